// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

#include <algorithm>

#include "gram_gradient.cuh"
#include "gram_kernels.h"

namespace stic::cuda {

cudaError_t gram_gradient(const GramGradient* layers, int64_t count, int64_t chains, DType dtype,
                          const float* grad_loss, cudaStream_t stream) {
  for (int64_t first = 0; first < count && chains > 0; first += kMostGradients) {
    GramGradients group{};
    const int64_t members = std::min<int64_t>(kMostGradients, count - first);
    int64_t most = 0;
    for (int64_t i = 0; i < members; ++i) {
      group.at[i] = layers[first + i];
      most = std::max(most, group.at[i].numbers);
    }
    if (most == 0) continue;
    group.grad_loss = grad_loss;
    group.chains = chains;
    const cudaError_t error = with_feature_type(dtype, [&](auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      Launch shape = piece_launch<T>(chains, most, stream);
      shape.grid.z = static_cast<unsigned>(members);
      return launch(gram_gradient_kernel<T>, shape, group);
    });
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace stic::cuda
