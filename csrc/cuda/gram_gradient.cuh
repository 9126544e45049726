// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The backward pass of the Gram loss: what the forward pass wrote for each layer's term, times the chain's grad_loss,
// all layers in one launch. Bound by memory: one read, one write.
#pragma once

#include "gram_layer.h"
#include "packs.cuh"

namespace stic::cuda {

constexpr int kMostGradients = 128;  // of one launch: its arguments may take 4 KB

struct GramGradients {
  GramGradient at[kMostGradients];
  const float* grad_loss;  // (chains)
  int64_t chains;
};

template <typename T, bool aligned>
__device__ __forceinline__ void scale_pieces(const GramGradient& layer, const float* grad_loss, int64_t chains) {
  for_each_chain(chains, [&](int64_t chain) {
    const T* const of_term = static_cast<const T*>(layer.of_term) + chain * layer.numbers;
    T* const gradient = static_cast<T*>(layer.gradient) + chain * layer.numbers;
    const float factor = grad_loss[chain];
    for_each_piece<T>(layer.numbers, [&](int64_t first) {
      Pack<T> packs[kPacks<T>];
#pragma unroll
      for (int i = 0; i < kPacks<T>; ++i) {
        const int64_t next = first + i * kStride<T>;
        packs[i] = load_pack<aligned>(of_term, next < layer.numbers ? next : first, layer.numbers);
      }
#pragma unroll
      for (int i = 0; i < kPacks<T>; ++i) {
        float scaled[kPack<T>];
#pragma unroll
        for (int j = 0; j < kPack<T>; ++j) scaled[j] = factor * load(packs[i][j]);
        const int64_t at = first + i * kStride<T>;
        if (at < layer.numbers) store_pack<aligned>(gradient, at, layer.numbers, rounded<T>(scaled));
      }
    });
  });
}

// grid.z = layers.
template <typename T>
__global__ void __launch_bounds__(kThreads, kBlocks)
    gram_gradient_kernel(const __grid_constant__ GramGradients layers) {
  const GramGradient& layer = layers.at[blockIdx.z];
  const uintptr_t addresses = reinterpret_cast<uintptr_t>(layer.of_term) | reinterpret_cast<uintptr_t>(layer.gradient);
  if (addresses % 16 == 0 && layer.numbers % kPack<T> == 0)
    scale_pieces<T, true>(layer, layers.grad_loss, layers.chains);
  else
    scale_pieces<T, false>(layer, layers.grad_loss, layers.chains);
}

}  // namespace stic::cuda
