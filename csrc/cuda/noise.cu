// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

#include "kernels.h"
#include "noise.cuh"

namespace stic {
namespace cuda {

cudaError_t find_kernels() { return find_code(noise_fill_kernel<float>); }

cudaError_t noise_fill(const NoiseFill& args, cudaStream_t stream) {
  if (args.chains == 0 || args.elements == 0) return cudaSuccess;
  return with_storage_type(args.dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    return launch(noise_fill_kernel<T>, piece_launch<T>(args.chains, args.elements, stream), args,
                  round_keys(args.noise.seed), rows_aligned<T>(args.elements, args.out));
  });
}

}  // namespace cuda
}  // namespace stic
