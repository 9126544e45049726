// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// How kernels that sum along a chain divide their work: a row of threads (x) owns a chain, a warp, or for long chains a
// whole block. A tree of shuffles joins a warp's sums, and shared memory those of the warps in their order, so that the
// result depends on the chain alone.
#pragma once

#include "packs.cuh"

namespace stic {
namespace cuda {

constexpr int kMostAlong = 1024;  // threads of a row

// The launch for chains whose sums take as many bytes: more threads for longer chains, of which few make a batch.
inline Launch row_launch(int64_t chains, int64_t elements, size_t sums, cudaStream_t stream) {
  const int along = elements <= 1024 ? kWarp : elements <= 32768 ? 256 : kMostAlong;
  const int rows = along < 256 ? 256 / along : 1;
  Launch shape;
  shape.grid = dim3(static_cast<unsigned>((chains + rows - 1) / rows));
  shape.block = dim3(static_cast<unsigned>(along), static_cast<unsigned>(rows));
  shape.shared = along == kWarp ? 0 : along / kWarp * sums;
  shape.stream = stream;
  return shape;
}

// The row's sums, the same bits in each of its threads. add(sums, more) adds in place; of_lane(sums, lanes) are those
// of the lane whose number differs in the bits of `lanes`.
template <typename Sums>
__device__ __forceinline__ Sums row_sums(Sums sums) {
#pragma unroll
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) add(sums, of_lane(sums, lanes));
  if (blockDim.x == kWarp) return sums;
  Sums* const of_warps = reinterpret_cast<Sums*>(dynamic_shared());
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = sums;
  __syncthreads();
  sums = of_warps[0];
  for (unsigned warp = 1; warp < blockDim.x / kWarp; ++warp) add(sums, of_warps[warp]);
  return sums;
}

}  // namespace cuda
}  // namespace stic
