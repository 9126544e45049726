// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The Gram loss s·‖G(F) − A‖²_F of each chain and layer and its gradient in F, all layers in one launch.
//
// One thread block takes one chain of one layer from its first read to its gradient, so that every sum has one owner
// and one order: results do not depend on the batch, on other layers, or on the run. Features come from memory once;
// what is needed of them again lies in shared memory or the L2 cache.
#pragma once

#include "gram_dual.cuh"
#include "gram_primal.cuh"

namespace stic::cuda::gram {

constexpr int kMostLayers = 32;       // of one launch: its arguments may take 4 KB
constexpr int kReductionBytes = 128;  // of shared memory before the tiles: a number per warp, and the slope
static_assert((kWarps + 1) * sizeof(double) <= kReductionBytes);

struct Layers {
  GramLayer at[kMostLayers];
  int chains;
  int resident;  // slabs of features that the dual form may keep in shared memory
};

template <typename Form>
__device__ __forceinline__ void take_chain(const GramLayer& layer, int64_t chain, Form form, double* partial) {
  const Squares squares = form.squares(partial);
  if (threadIdx.x == 0) {
    const GramTerm term = gram_term(layer.scale, squares.square, squares.norm, layer.channels, layer.size);
    layer.terms[chain] = static_cast<float>(term.value);
    layer.slopes[chain] = static_cast<float>(term.slope);
    partial[kWarps] = term.slope;
  }
  if (layer.gradient == nullptr) return;
  __syncthreads();
  const double size = layer.size;
  form.gradient(static_cast<float>(partial[kWarps] * 4 / (size * size)));
}

template <typename T, bool accurate, bool channels_last>
__device__ __forceinline__ void take_chain_laid_out(const GramLayer& layer, int64_t chain, int resident) {
  double* const partial = reinterpret_cast<double*>(dynamic_shared());
  unsigned char* const tiles = dynamic_shared() + kReductionBytes;
  if (layer.dual)
    take_chain(layer, chain, Dual<T, accurate, channels_last>(layer, chain, resident, tiles), partial);
  else
    take_chain(layer, chain, Primal<T, accurate, channels_last>(layer, chain, tiles), partial);
}

// grid.x = layers·chains.
template <typename T, bool accurate>
__global__ void __launch_bounds__(kThreads, 1) gram_loss_kernel(const __grid_constant__ Layers layers) {
  const GramLayer& layer = layers.at[blockIdx.x / layers.chains];
  const int64_t chain = blockIdx.x % layers.chains;
  if (layer.channels_last)
    take_chain_laid_out<T, accurate, true>(layer, chain, layers.resident);
  else
    take_chain_laid_out<T, accurate, false>(layer, chain, layers.resident);
}

}  // namespace stic::cuda::gram
