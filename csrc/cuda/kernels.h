// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The launches: each starts its kernel on a stream of the current device and returns CUDA's error; pointers are the
// device's. Nothing is launched where there is nothing to do.
#pragma once

#if defined(STIC_EMULATED)
#include "emulation.h"
#else
#include <cuda_runtime_api.h>
#endif

#include "../core/arguments.h"

namespace stic {
namespace cuda {

// An error where the module holds no code for the current device: all kernels are compiled for the same ones.
cudaError_t find_kernels();

cudaError_t noise_fill(const NoiseFill& args, cudaStream_t stream);
cudaError_t grmala_step(const GrmalaStep& args, cudaStream_t stream);
cudaError_t metropolis_accept(const MetropolisAccept& args, cudaStream_t stream);
cudaError_t scaled_silu(const ScaledSilu& args, cudaStream_t stream);
cudaError_t scaled_silu_backward(const ScaledSiluBackward& args, cudaStream_t stream);
cudaError_t vrm_batch(const VrmBatch& args, cudaStream_t stream);

}  // namespace cuda
}  // namespace stic
