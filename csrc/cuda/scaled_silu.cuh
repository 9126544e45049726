// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// silu(s·x)/0.596 and its derivative, one read of each input, one write; bound by memory.
//
// Where nothing is summed, threads take packs (packs.cuh) of chains: all numbers where they have one scale, a sample
// with the channels last, otherwise a channel of a sample. Else, with the channels last, a block has up to 32 packs of
// a sample's channels: a column of threads (y) goes through the positions of a pack and adds up its terms, and a tree
// in shared memory joins the columns' sums. Otherwise a row of threads (rows.cuh) sums along a channel. So a sum
// depends on the shape alone.
#pragma once

#include "../core/silu.h"
#include "rows.cuh"

namespace stic {
namespace cuda {

// What is done where nothing is summed.
struct SiluPieces {
  ScaledSilu of;
  const void* grad;  // null for the value
  void* out;
  int64_t chains, elements;
};

// The scales of a chain's packs.
template <typename T>
class ChainScales {
 public:
  using C = typename Compute<T>::type;

  __device__ __forceinline__ ChainScales(const SiluPieces& args, int64_t chain)
      : channels_(args.of.channels), is_short_(args.elements >> 32 == 0) {
    const C* const scales = static_cast<const C*>(args.of.scales);
    if (scales && args.of.channels_last)
      recurring_ = scales + chain * channels_;
    else
      one_ = scales ? scales[chain] : static_cast<C>(args.of.scale);
  }

  __device__ __forceinline__ void of_pack(int64_t at, C (&scales)[kPack<T>]) const {
    if (!recurring_) {
#pragma unroll
      for (C& scale : scales) scale = one_;
      return;
    }
    int64_t channel = is_short_ ? static_cast<uint32_t>(at) % static_cast<uint32_t>(channels_) : at % channels_;
#pragma unroll
    for (C& scale : scales) {
      scale = recurring_[channel];
      channel = channel + 1 == channels_ ? 0 : channel + 1;
    }
  }

 private:
  const C* recurring_ = nullptr;
  C one_ = 0;
  int64_t channels_;
  bool is_short_;
};

template <typename T, bool aligned, bool backward>
__device__ __forceinline__ void silu_pieces(const SiluPieces& args) {
  using C = typename Compute<T>::type;
  const int64_t elements = args.elements;
  for_each_chain(args.chains, [&](int64_t chain) {
    const int64_t row = chain * elements;
    const ChainScales<T> chain_scales(args, chain);
    for_each_piece<T>(elements, [&](int64_t first) {
      Pack<T> from[kPacks<T>], grad[kPacks<T>];
#pragma unroll
      for (int i = 0; i < kPacks<T>; ++i) {
        const int64_t next = first + i * kStride<T>, at = next < elements ? next : first;
        from[i] = load_pack<aligned>(static_cast<const T*>(args.of.x) + row, at, elements);
        if (backward) grad[i] = load_pack<aligned>(static_cast<const T*>(args.grad) + row, at, elements);
      }
#pragma unroll
      for (int i = 0; i < kPacks<T>; ++i) {
        const int64_t at = first + i * kStride<T>;
        if (at >= elements) break;
        C scales[kPack<T>], values[kPack<T>];
        chain_scales.of_pack(at, scales);
#pragma unroll
        for (int j = 0; j < kPack<T>; ++j) {
          const C u = scales[j] * load(from[i][j]);
          values[j] = backward ? scales[j] * (load(grad[i][j]) * gained_silu_slope(u)) : gained_silu(u);
        }
        store_pack<aligned>(static_cast<T*>(args.out) + row, at, elements, rounded<T>(values));
      }
    });
  });
}

template <typename T, bool backward>
__global__ void __launch_bounds__(kThreads, kBlocks) silu_pieces_kernel(SiluPieces args, bool aligned) {
  if (aligned)
    silu_pieces<T, true, backward>(args);
  else
    silu_pieces<T, false, backward>(args);
}

// The gradient in one pack, whose terms in the gradients of the scales are added to `sums`.
template <typename T, bool aligned>
__device__ __forceinline__ void pull_back_pack(const ScaledSiluBackward& args, int64_t row, int64_t at,
                                               int64_t elements, const typename Compute<T>::type (&scales)[kPack<T>],
                                               typename Compute<T>::type (&sums)[kPack<T>]) {
  using C = typename Compute<T>::type;
  const Pack<T> from = load_pack<aligned>(static_cast<const T*>(args.of.x) + row, at, elements);
  const Pack<T> grad = load_pack<aligned>(static_cast<const T*>(args.grad) + row, at, elements);
  C values[kPack<T>];
#pragma unroll
  for (int i = 0; i < kPack<T>; ++i) {
    const C x = load(from[i]), slope = load(grad[i]) * gained_silu_slope(scales[i] * x);
    values[i] = scales[i] * slope;
    sums[i] += x * slope;  // of zeros beyond the end
  }
  store_pack<aligned>(static_cast<T*>(args.grad_x) + row, at, elements, rounded<T>(values));
}

template <typename C>
struct ScaleSum {
  C sum;
};

template <typename C>
__device__ __forceinline__ void add(ScaleSum<C>& sums, const ScaleSum<C>& more) {
  sums.sum += more.sum;
}
template <typename C>
__device__ __forceinline__ ScaleSum<C> of_lane(const ScaleSum<C>& sums, int lanes) {
  return {__shfl_xor_sync(0xFFFFFFFFu, sums.sum, lanes)};
}

template <typename T, bool aligned>
__device__ __forceinline__ void pull_back_row(const ScaledSiluBackward& args, int64_t row) {
  using C = typename Compute<T>::type;
  const int64_t elements = args.of.positions;
  C scales[kPack<T>], sums[kPack<T>] = {};
#pragma unroll
  for (C& scale : scales) scale = static_cast<const C*>(args.of.scales)[row];
  for (int64_t at = threadIdx.x * kPack<T>; at < elements; at += blockDim.x * kPack<T>)
    pull_back_pack<T, aligned>(args, row * elements, at, elements, scales, sums);
  ScaleSum<C> of_thread = {};
#pragma unroll
  for (const C& sum : sums) of_thread.sum += sum;
  const ScaleSum<C> of_row = row_sums(of_thread);
  if (threadIdx.x == 0) static_cast<C*>(args.grad_scales)[row] = of_row.sum;
}

template <typename T>
__global__ void __launch_bounds__(kMostAlong) silu_rows_kernel(ScaledSiluBackward args, bool aligned) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= args.of.batch * args.of.channels) return;  // a whole warp, and only where rows are warps
  if (aligned)
    pull_back_row<T, true>(args, row);
  else
    pull_back_row<T, false>(args, row);
}

template <typename T, bool aligned>
__device__ __forceinline__ void pull_back_columns(const ScaledSiluBackward& args, int64_t sample, int64_t share) {
  using C = typename Compute<T>::type;
  const int64_t channels = args.of.channels, first = (share * blockDim.x + threadIdx.x) * kPack<T>;
  C scales[kPack<T>] = {}, sums[kPack<T>] = {};
  if (first < channels) {
#pragma unroll
    for (int i = 0; i < kPack<T>; ++i)
      if (first + i < channels) scales[i] = static_cast<const C*>(args.of.scales)[sample * channels + first + i];
    for (int64_t position = threadIdx.y; position < args.of.positions; position += blockDim.y)
      pull_back_pack<T, aligned>(args, (sample * args.of.positions + position) * channels, first, channels, scales,
                                 sums);
  }
  C* const of_columns = reinterpret_cast<C*>(dynamic_shared());
  const auto place = [](unsigned column, int i) { return (column * blockDim.x + threadIdx.x) * kPack<T> + i; };
#pragma unroll
  for (int i = 0; i < kPack<T>; ++i) of_columns[place(threadIdx.y, i)] = sums[i];
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half)
      for (int i = 0; i < kPack<T>; ++i) of_columns[place(threadIdx.y, i)] += of_columns[place(threadIdx.y + half, i)];
  }
  if (threadIdx.y > 0) return;
  for (int i = 0; i < kPack<T>; ++i)
    if (first + i < channels)
      static_cast<C*>(args.grad_scales)[sample * channels + first + i] = of_columns[place(0, i)];
}

template <typename T>
__global__ void __launch_bounds__(kMostAlong)
    silu_columns_kernel(ScaledSiluBackward args, unsigned shares, bool aligned) {
  if (aligned)
    pull_back_columns<T, true>(args, blockIdx.x / shares, blockIdx.x % shares);
  else
    pull_back_columns<T, false>(args, blockIdx.x / shares, blockIdx.x % shares);
}

}  // namespace cuda
}  // namespace stic
