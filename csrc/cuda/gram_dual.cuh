// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The dual form of one layer for one chain, by one thread block: at most 64 positions, any number of channels.
//
//     P = FᵀF, Q = −(M/N)·RᵀF, S = RᵀR     ‖G − A‖² = ‖P‖²/M² − 2‖RᵀF‖²/(MN) + ‖S‖²/N²     ∂/∂F = 4(FP + RQ)/M²
//
// Channels come in slabs of 32. The first walk along them sums P, RᵀF and S in registers, of P and S only the blocks on
// and above the diagonal; P and Q then go through shared memory into the registers of the warps that need them, and the
// second walk multiplies slab by slab and writes the gradient. Features stay in shared memory between the walks as
// far as it reaches (640×64 in fp32 on Hopper); references are read again, from the L2 cache that they have just
// passed. Bound by memory: 3·C·M numbers in and out against 4.5·C·M² multiplications on the tensor cores.
#pragma once

#include "gram_layer.h"
#include "gram_products.cuh"

namespace stic::cuda::gram {

constexpr int kDualStages = 4;

template <typename T>
constexpr int kDualRingBytes = kDualStages * 2 * kTileBytes<T>;

// What a warp sums in the first walk: 32 of 64 rows of FᵀR, of P or of S. Of P and S the lower rows leave out the first
// 32 columns, which the upper ones hold as their last. Two of eight warps rest.
struct DualRole {
  bool cross, own, other;
  int first_row;

  __device__ explicit DualRole(int warp)
      : cross(warp < 2),
        own(warp == 2 || warp == 4),
        other(warp == 3 || warp == 5),
        first_row(warp == 1 || warp >= 4 ? 32 : 0) {}

  __device__ int first_column() const { return cross ? 0 : first_row; }
  __device__ bool is_mirrored(int column) const { return !cross && column >= first_row + 32; }
};

template <typename T, bool accurate, bool channels_last>
class Dual {
  using Slab = Tile<T, channels_last>;  // the summed channels lie inside if they are last
  using Products = Tile<float, false>;  // 32 rows of 64; P takes two, Q the next two
  static constexpr bool kSplit = accurate && sizeof(T) == 4, kRounded = !accurate && sizeof(T) == 4;
  static_assert(kSide == kMostDualPositions);
  static_assert(kDualRingBytes<T> >= 4 * kTileBytes<float>, "P and Q pass through the ring of slabs");

 public:
  __device__ Dual(const GramLayer& layer, int64_t chain, int resident, unsigned char* shared)
      : layer_(layer),
        resident_(resident),
        slabs_((layer.channels + kDepth - 1) / kDepth),
        features_(features_of<T, channels_last>(layer.features, chain, layer.channels, layer.size)),
        reference_(features_of<T, channels_last>(layer.reference, layer.shared_target ? 0 : chain, layer.channels,
                                                 layer.reference_size)),
        gradient_(layer.gradient ? static_cast<T*>(layer.gradient) + chain * layer.channels * layer.size : nullptr),
        ring_(reinterpret_cast<T*>(shared)),
        products_(reinterpret_cast<float*>(shared)) {}

  // The first walk; `partial` holds one number per warp.
  __device__ Squares squares(double* partial) {
    const int warp = threadIdx.x / 32;
    const DualRole role(warp);
    WarpSums<channels_last> sums;
    for_each_step<kDualStages>(
        slabs_,
        [&](int step, int slot) {
          fetch<channels_last>(features_at(step, slot), features_, 0, step * kDepth);
          fetch<channels_last>(reference_at(slot), reference_, 0, step * kDepth);
        },
        [&](int step, int slot) {
          if constexpr (kRounded) {
            round_fetched<channels_last>(features_at(step, slot));
            round_fetched<channels_last>(reference_at(slot));
          }
        },
        [&](int step, int slot) {
          if (!role.cross && !role.own && !role.other) return;
          const T *const features = features_at(step, slot), *const reference = reference_at(slot);
          sums.template add<kSplit, kSplit>(role.other ? reference : features, role.first_row,
                                            role.own ? features : reference, role.first_column() == 32);
        });
    const float scale = -static_cast<float>(layer_.size) / static_cast<float>(layer_.reference_size);
    float square = 0;
    __syncthreads();  // P and Q take the ring's place
    sums.for_each([&](int row, int column, float sum) {
      const int own_row = role.first_row + row;
      if (column < role.first_column()) return sum;
      square = fused_multiply_add(role.is_mirrored(column) ? 2 * sum : sum, sum, square);
      if (role.cross) *product_at(kSide + column, own_row) = scale * sum;
      if (role.own) *product_at(own_row, column) = sum;
      if (role.own && role.is_mirrored(column)) *product_at(column, own_row) = sum;
      return sum;
    });
    const double total = warp_sum(square);
    if (threadIdx.x % 32 == 0) partial[warp] = total;
    __syncthreads();
    const double size = layer_.size, reference_size = layer_.reference_size;
    const double own = partial[2] + partial[4], cross = partial[0] + partial[1], other = partial[3] + partial[5];
    const double norm = other / (reference_size * reference_size);
    const double distance = own / (size * size) - 2 * cross / (size * reference_size) + norm;
    return {distance < 0 ? 0 : distance, norm};  // NaN stays NaN
  }

  // The second walk: gradient = factor·(FP + RQ). A warp takes 16 channels of a slab and 16 positions.
  __device__ void gradient(float factor) {
    const int warp = threadIdx.x / 32, first_channel = warp / 4 * 16, first_position = warp % 4 * 16;
    float kept[2 * kSide / 8][2][2];
    take_products(kept, first_position);
    for_each_step<kDualStages>(
        slabs_,
        [&](int step, int slot) {
          if (step >= resident_) fetch<channels_last>(features_at(step, slot), features_, 0, step * kDepth);
          fetch<channels_last>(reference_at(slot), reference_, 0, step * kDepth);
        },
        [&](int step, int slot) {
          if constexpr (kRounded) {
            if (step >= resident_) round_fetched<channels_last>(features_at(step, slot));
            round_fetched<channels_last>(reference_at(slot));
          }
        },
        [&](int step, int slot) {
          float sums[2][4] = {};
          add_slab(sums, features_at(step, slot), first_channel, kept);
          add_slab(sums, reference_at(slot), first_channel, kept + kSide / 8);
          write(sums, step * kDepth + first_channel, first_position, factor);
        });
  }

 private:
  __device__ T* reference_at(int slot) const { return ring_ + (2 * slot + 1) * Slab::kNumbers; }
  __device__ T* features_at(int step, int slot) const {
    return ring_ + (step < resident_ ? 2 * kDualStages + step : 2 * slot) * Slab::kNumbers;
  }
  __device__ float* product_at(int row, int column) const {
    return products_ + row / kDepth * Products::kNumbers + Products::place(row % kDepth, column);
  }

  // Where the slabs' order of depths puts number i (0 or 1) of a lane in a step of eight: with the channels last as the
  // tensor cores number them, else four neighbours for every two steps.
  static __device__ int position_of(int step, int i) {
    const Lane lane;
    return channels_last ? step * 8 + i * 4 + lane.member : step / 2 * 16 + 4 * lane.member + step % 2 * 2 + i;
  }

  // P and Q for the warp's 16 positions: column n of the two products holds positions 2n and 2n + 1.
  __device__ void take_products(float (&kept)[2 * kSide / 8][2][2], int first_position) const {
    const Lane lane;
#pragma unroll
    for (int step = 0; step < 2 * kSide / 8; ++step)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const auto pair =
            *reinterpret_cast<const Run<float, 2>*>(product_at(position_of(step, i), first_position + 2 * lane.group));
#pragma unroll
        for (int j = 0; j < 2; ++j) kept[step][j][i] = accurate ? pair.at[j] : float_of(to_tf32(pair.at[j]));
      }
  }

  // sums += slab·products over the slab's 64 positions, of which the tensor cores sum 32 from nothing.
  __device__ void add_slab(float (&sums)[2][4], const T* slab, int first_channel, const float (*products)[2][2]) const {
#pragma unroll
    for (int pair = 0; pair < kSide / 16; pair += kDepth / 16) {
      float part[2][4] = {};
#pragma unroll
      for (int i = 0; i < kDepth / 16; ++i) add_pair(part, slab, first_channel, products, pair + i);
      for (int i = 0; i < 2; ++i) add_rounded(sums[i], part[i]);
    }
  }

  // sums += slab·products over 16 positions.
  __device__ void add_pair(float (&sums)[2][4], const T* slab, int first_channel, const float (*products)[2][2],
                           int pair) const {
    const Lane lane;
    Fragment<4, kSplit> a[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if constexpr (channels_last) {
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          float two[2];
          Slab::read(two, slab, position_of(2 * pair + i, k), first_channel + 2 * lane.group);
          for (int j = 0; j < 2; ++j) a[i].set(2 * k + j, two[j]);
        }
      } else {
        float four[4];
        Slab::read(four, slab, first_channel + i * 8 + lane.group, position_of(2 * pair, 0));
#pragma unroll
        for (int k = 0; k < 4; ++k) a[k / 2].set(k % 2 * 2 + i, four[k]);
      }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      Fragment<2, accurate> b;
      b.set(0, products[2 * pair + i / 2][i % 2][0]);
      b.set(1, products[2 * pair + i / 2][i % 2][1]);
      add_product(sums[i % 2], a[i / 2], b);
    }
  }

  // A lane holds four neighbouring positions of two channels, which with the channels last are neighbours too.
  __device__ void write(const float (&sums)[2][4], int first_channel, int first_position, float factor) const {
    const Lane lane;
    const int position = first_position + 4 * lane.member;
    if constexpr (channels_last) {
      const int channel = first_channel + 2 * lane.group;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float pair[2] = {factor * sums[i % 2][i / 2], factor * sums[i % 2][2 + i / 2]};
        if (position + i < layer_.size)
          store_run(gradient_ + static_cast<int64_t>(position + i) * layer_.channels + channel, pair,
                    layer_.channels - channel);
      }
    } else {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int channel = first_channel + i * 8 + lane.group;
        const float four[4] = {factor * sums[0][2 * i], factor * sums[1][2 * i], factor * sums[0][2 * i + 1],
                               factor * sums[1][2 * i + 1]};
        if (channel < layer_.channels)
          store_run(gradient_ + static_cast<int64_t>(channel) * layer_.size + position, four, layer_.size - position);
      }
    }
  }

  const GramLayer& layer_;
  const int resident_, slabs_;
  const Matrix<T> features_, reference_;
  T *const gradient_, *const ring_;
  float* const products_;
};

}  // namespace stic::cuda::gram
