// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Products of tiles on the tensor cores, summed in registers: a warp takes 32 rows by 64 columns.
//
// Two bfloat16 factors are multiplied as they are. Others are TF32: 10 bits of mantissa, exact for bfloat16. Where
// fp32 is to count in full, it is split into two TF32 numbers, and of the four products the three large ones are added.
//
// The tensor cores multiply exactly but do not round what they add to the nearest fp32 number: they cut it off, each
// time they add, so that sums of one sign come out too small, the more so the longer they are. Hence they sum no more
// than one tile's depth, from nothing; that is added in fp32, rounded to nearest, to what the tiles before have given.
//
// Which of a tile's 32 or 64 indices a lane takes as its row, column or depth is free as long as both factors agree. A
// lane takes four neighbours of a tile's row, so that one access of 16 bytes (8 for bfloat16) feeds four
// registers: four rows or columns where the side lies inside, the depths of two steps where the summed dimension does.
#pragma once

#include <type_traits>

#include "gram_tiles.cuh"

namespace stic::cuda::gram {

// n numbers of a fragment.
template <int n, bool split>
struct Fragment {
  uint32_t high[n], low[split ? n : 1];

  // `value` is a TF32 number unless it is to be split, here by truncation: what is lost is below 2⁻²¹ of it.
  __device__ __forceinline__ void set(int i, float value) {
    constexpr uint32_t kKept = 0xFFFFE000u;
    high[i] = split ? bits_of(value) & kKept : bits_of(value);
    if constexpr (split) low[i] = bits_of(value - float_of(high[i])) & kKept;
  }
};

template <bool split_a, bool split_b>
__device__ __forceinline__ void add_product(float (&sums)[4], const Fragment<4, split_a>& a,
                                            const Fragment<2, split_b>& b) {
  if constexpr (split_a) mma_tf32(sums, a.low, b.high);
  if constexpr (split_b) mma_tf32(sums, a.high, b.low);
  mma_tf32(sums, a.high, b.high);
}

// Two numbers that are neighbours along the summed dimension, as the tensor cores take them.
__device__ __forceinline__ uint32_t pair_of(BFloat16 first, BFloat16 second) {
  return first.bits | static_cast<uint32_t>(second.bits) << 16;
}

// numbers += more, each rounded to the nearest.
template <int n>
__device__ __forceinline__ void add_rounded(float (&numbers)[n], const float (&more)[n]) {
#pragma unroll
  for (int i = 0; i < n; ++i) numbers[i] += more[i];
}

// A lane's place in a fragment.
struct Lane {
  int group, member;
  __device__ __forceinline__ Lane() : group(threadIdx.x % 32 / 4), member(threadIdx.x % 4) {}
};

struct Squares {
  double square, norm;  // ‖G − A‖² and ‖A‖²
};

template <bool inside>
struct WarpSums {
  static constexpr int kRows = 32, kColumns = 64;
  float at[kRows / 16][kColumns / 8][4] = {};

  // += left·right over a tile's depth: the 32 rows of `left` from first_row on, all columns of `right` or, with
  // `right_half`, the last 32.
  template <bool split_left, bool split_right, typename Left, typename Right>
  __device__ __forceinline__ void add(const Left* left, int first_row, const Right* right, bool right_half = false) {
    if constexpr (std::is_same_v<Left, BFloat16> && std::is_same_v<Right, BFloat16>)
      add_pairs(left, first_row, right, right_half);
    else if constexpr (inside)
      add_inside<split_left, split_right>(left, first_row, right, right_half);
    else
      add_outside<split_left, split_right>(left, first_row, right, right_half);
  }

  // body(row, column, numbers) for the lane's runs of neighbours in a row.
  template <typename Body>
  __device__ __forceinline__ void for_each_run(const Body& body) const {
    const Lane lane;
    constexpr int kRun = inside ? 2 : 8, kRuns = kColumns / 4 / kRun;
#pragma unroll
    for (int i = 0; i < kRows / 8; ++i) {
      const int row = inside ? i * 8 + lane.group : 4 * lane.group + i;
#pragma unroll
      for (int run = 0; run < kRuns; ++run) {
        float numbers[kRun];
#pragma unroll
        for (int j = 0; j < kRun; ++j)
          numbers[j] = inside ? at[i / 2][run][i % 2 * 2 + j] : at[i / 2][run * 4 + j % 4][i % 2 * 2 + j / 4];
        body(row, run * 4 * kRun + lane.member * kRun, numbers);
      }
    }
  }

  // number = body(row, column, number) for each of the lane's.
  template <typename Body>
  __device__ __forceinline__ void for_each(const Body& body) {
    const Lane lane;
#pragma unroll
    for (int i = 0; i < kRows / 8; ++i) {
      const int row = inside ? i * 8 + lane.group : 4 * lane.group + i;
#pragma unroll
      for (int tile = 0; tile < kColumns / 8; ++tile)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const int n = 2 * lane.member + j;
          float& number = at[i / 2][tile][i % 2 * 2 + j];
          number = body(row, inside ? tile * 8 + n : tile / 4 * 32 + 4 * n + tile % 4, number);
        }
    }
  }

 private:
  // body(half, sums) for the first 32 columns, unless left out, and the last: what the tensor cores sum of a tile.
  template <typename Body>
  __device__ __forceinline__ void for_each_half(bool right_half, const Body& body) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (half == 0 && right_half) continue;
      float sums[kRows / 16][kColumns / 16][4] = {};
      body(half, sums);
#pragma unroll
      for (int i = 0; i < kRows / 16; ++i)
#pragma unroll
        for (int tile = 0; tile < kColumns / 16; ++tile) add_rounded(at[i][half * kColumns / 16 + tile], sums[i][tile]);
    }
  }

  // Whole loops along the depth, for loads ahead of their use; of split numbers half of them, for want of registers.

  // A tile's row holds sides: a lane's four are its rows, or its column in four neighbouring products.
  template <bool split_left, bool split_right, typename Left, typename Right>
  __device__ __forceinline__ void add_outside(const Left* left, int first_row, const Right* right, bool right_half) {
    const Lane lane;
    for_each_half(right_half, [&](int half, auto& sums) {
#pragma unroll(split_left ? 2 : 4)
      for (int depth = 0; depth < kDepth; depth += 8) {
        Fragment<4, split_left> a[2];
        Fragment<2, split_right> b[4];
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          float four[4];
          Tile<Left, false>::read(four, left, depth + lane.member + k * 4, first_row + 4 * lane.group);
#pragma unroll
          for (int i = 0; i < 4; ++i) a[i / 2].set(k * 2 + i % 2, four[i]);
          Tile<Right, false>::read(four, right, depth + lane.member + k * 4, half * 32 + 4 * lane.group);
#pragma unroll
          for (int i = 0; i < 4; ++i) b[i].set(k, four[i]);
        }
#pragma unroll
        for (int i = 0; i < 8; ++i) add_product(sums[i / 4][i % 4], a[i / 4], b[i % 4]);
      }
    });
  }

  // A tile's row holds depths: a lane's four are those of two steps.
  template <bool split_left, bool split_right, typename Left, typename Right>
  __device__ __forceinline__ void add_inside(const Left* left, int first_row, const Right* right, bool right_half) {
    const Lane lane;
    for_each_half(right_half, [&](int half, auto& sums) {
#pragma unroll(split_left ? 1 : 2)
      for (int depth = 0; depth < kDepth; depth += 16) {
        Fragment<4, split_left> a[2][2];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          float four[4];
          Tile<Left, true>::read(four, left, first_row + i * 8 + lane.group, depth + 4 * lane.member);
#pragma unroll
          for (int k = 0; k < 4; ++k) a[k / 2][i / 2].set(k % 2 * 2 + i % 2, four[k]);
        }
#pragma unroll
        for (int tile = 0; tile < 4; ++tile) {
          float four[4];
          Tile<Right, true>::read(four, right, half * 32 + tile * 8 + lane.group, depth + 4 * lane.member);
          Fragment<2, split_right> b[2];
#pragma unroll
          for (int k = 0; k < 4; ++k) b[k / 2].set(k % 2, four[k]);
#pragma unroll
          for (int i = 0; i < 4; ++i) add_product(sums[i % 2][tile], a[i / 2][i % 2], b[i / 2]);
        }
      }
    });
  }

  // Both factors bfloat16: sixteen depths at once.
  __device__ __forceinline__ void add_pairs(const BFloat16* left, int first_row, const BFloat16* right,
                                            bool right_half) {
    for_each_half(right_half, [&](int half, auto& sums) {
#pragma unroll
      for (int depth = 0; depth < kDepth; depth += 16) {
        uint32_t a[2][4], b[4][2];
        read_pairs(left, first_row, depth, [&](int i, int k, uint32_t pair) { a[i / 2][k * 2 + i % 2] = pair; });
        read_pairs(right, half * 32, depth, [&](int i, int k, uint32_t pair) { b[i][k] = pair; });
#pragma unroll
        for (int i = 0; i < 8; ++i) mma_bf16(sums[i / 4][i % 4], a[i / 4], b[i % 4]);
      }
    });
  }

  // take(i, k, pair) for the lane's four of 32 sides, i, and the two pairs of its depths, k.
  template <typename Take>
  static __device__ __forceinline__ void read_pairs(const BFloat16* tile, int side, int depth, const Take& take) {
    using Shape = Tile<BFloat16, inside>;
    const Lane lane;
    Run<BFloat16, 4> runs[4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      runs[i] = inside ? Shape::template run<4>(tile, side + i * 8 + lane.group, depth + 4 * lane.member)
                       : Shape::template run<4>(tile, depth + i * 4 + lane.member, side + 4 * lane.group);
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int k = 0; k < 2; ++k)
        take(i, k,
             inside ? pair_of(runs[i].at[2 * k], runs[i].at[2 * k + 1])
                    : pair_of(runs[2 * k].at[i], runs[2 * k + 1].at[i]));
  }
};

}  // namespace stic::cuda::gram
