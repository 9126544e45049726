// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The launches of the Gram loss; see kernels.h for what holds for all.
#pragma once

#include "gram_layer.h"
#include "kernels.h"

namespace stic::cuda {

// Loss and gradient of the layers' terms, in one launch for 32 layers. Features are fp32, multiplied as TF32 numbers or
// with `accurate` as two each, or bfloat16.
cudaError_t gram_loss(const GramLayer* layers, int64_t count, int64_t chains, DType dtype, bool accurate,
                      cudaStream_t stream);

cudaError_t gram_gradient(const GramGradient* layers, int64_t count, int64_t chains, DType dtype,
                          const float* grad_loss, cudaStream_t stream);

// Calls body with a null pointer of the type that dtype names: bfloat16 or float32.
template <typename Body>
auto with_feature_type(DType dtype, const Body& body) {
  return dtype == DType::kBFloat16 ? body(static_cast<BFloat16*>(nullptr)) : body(static_cast<float*>(nullptr));
}

}  // namespace stic::cuda
