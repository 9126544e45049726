// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The primal form of one layer for one chain, by one thread block: any number of channels and positions.
//
//     D = FFᵀ − (M/N)·RRᵀ, or FFᵀ − M·(A + Aᵀ)/2     ‖G − A‖² = ‖D‖²/M² + ‖(A − Aᵀ)/2‖²     ∂/∂F = 4·DF/M²
//
// D is summed in parts of 128×128, of which only those on and above the diagonal are computed; a part and its mirror
// image go to global memory, which for the sizes of a layer is the L2 cache. The gradient multiplies D with the
// features again. Bound by the tensor cores: (C²/2)·(M + N) + C²·M multiplications.
#pragma once

#include "gram_layer.h"
#include "gram_products.cuh"

namespace stic::cuda::gram {

constexpr int kPrimalStages = 3;
constexpr int kPart = 2 * kSide;  // side of a part: eight warps with 32×64 each

template <typename T>
constexpr int kPrimalSlotBytes = 2 * kTileBytes<float> + 2 * kTileBytes<T>;

template <typename T, bool accurate, bool channels_last>
class Primal {
  static constexpr bool kSplit = accurate && sizeof(T) == 4, kRounded = !accurate && sizeof(T) == 4;

 public:
  __device__ Primal(const GramLayer& layer, int64_t chain, unsigned char* shared)
      : layer_(layer),
        chain_(chain),
        slots_(shared),
        warp_row_(threadIdx.x / 64 * 32),
        warp_column_(threadIdx.x / 32 % 2 * 64) {}

  // Sums D part by part and keeps it; `partial` holds one number per warp. One loop over all parts: what the compiler
  // would keep of a row of them, in two, takes registers too.
  __device__ Squares squares(double* partial) {
    double square = 0, norm = 0, skew = 0;
    for (int row = 0, column = 0; row < layer_.channels;) {
      add_part(row, column, square, norm, skew);
      column += kPart;
      if (column >= layer_.channels) column = row += kPart;
    }
    const double size = layer_.size, divisor = layer_.gram ? 1.0 : layer_.reference_size;
    const double all_square = block_sum(square, partial), all_norm = block_sum(norm, partial);
    return {all_square / (size * size) + block_sum(skew, partial), all_norm / (divisor * divisor)};
  }

  // gradient = factor·DF.
  __device__ void gradient(float factor) {
    for (int channel = 0, position = 0; channel < layer_.channels;) {
      WarpSums<channels_last> sums;
      add_gradient(sums, channel, position);
      write(sums, channel + warp_row_, position + warp_column_, factor);
      position += kPart;
      if (position >= layer_.size) position = 0, channel += kPart;
    }
  }

 private:
  // D[row.., column..]: −(M/N)·RRᵀ or −M·(A + Aᵀ)/2, then + FFᵀ.
  __device__ void add_part(int row, int column, double& square, double& norm, double& skew) {
    const int block_row = (row + warp_row_) / kSide, block_column = (column + warp_column_) / kSide;
    const bool idle = block_row > block_column;  // its mirror image is summed
    const float weight = idle ? 0.0f : block_row < block_column ? 2.0f : 1.0f;
    WarpSums<!channels_last> sums;
    if (layer_.gram) {
      start_from_gram(sums, row + warp_row_, column + warp_column_, weight, norm, skew);
    } else {
      add_products(sums, reference(), layer_.reference_size, row, column, idle);
      norm += weight * square_of(sums);
      const float scale = -static_cast<float>(layer_.size) / static_cast<float>(layer_.reference_size);
      sums.for_each([&](int, int, float sum) { return scale * sum; });
    }
    add_products(sums, features(), layer_.size, row, column, idle);
    square += weight * square_of(sums);
    if (layer_.gradient && !idle) keep(sums, row + warp_row_, column + warp_column_, block_row < block_column);
  }

  // sums += FFᵀ[row.., column..] over the positions of a matrix.
  __device__ void add_products(WarpSums<!channels_last>& sums, const Matrix<T>& matrix, int positions, int row,
                               int column, bool idle) {
    constexpr bool kInside = !channels_last;
    for_each_step<kPrimalStages>(
        (positions + kDepth - 1) / kDepth,
        [&](int step, int slot) {
          for (int half = 0; half < 2; ++half) {
            fetch<kInside>(left_at<T>(slot, half), matrix, row + half * kSide, step * kDepth);
            if (row != column) fetch<kInside>(right_at(slot, half), matrix, column + half * kSide, step * kDepth);
          }
        },
        [&](int, int slot) {
          if constexpr (kRounded) {
            for (int half = 0; half < 2; ++half) {
              round_fetched<kInside>(left_at<T>(slot, half));
              if (row != column) round_fetched<kInside>(right_at(slot, half));
            }
          }
        },
        [&](int, int slot) {
          if (idle) return;
          const int half = warp_column_ / kSide;
          const T* const right = row == column ? left_at<T>(slot, half) : right_at(slot, half);
          sums.template add<kSplit, kSplit>(left_at<T>(slot, warp_row_ / kSide), warp_row_ % kSide, right);
        });
  }

  // sums += DF[channel.., position..].
  __device__ void add_gradient(WarpSums<channels_last>& sums, int channel, int position) {
    const int pitch = static_cast<int>(difference_pitch(layer_.channels));
    const Matrix<T> features = this->features();
    const Matrix<float> difference(this->difference(), 0, layer_.channels, layer_.channels, pitch);
    for_each_step<kPrimalStages>(
        (layer_.channels + kDepth - 1) / kDepth,
        [&](int step, int slot) {
          for (int half = 0; half < 2; ++half) {
            fetch<channels_last>(left_at<float>(slot, half), difference, channel + half * kSide, step * kDepth);
            fetch<channels_last>(right_at(slot, half), features, position + half * kSide, step * kDepth);
          }
        },
        [&](int, int slot) {
          for (int half = 0; half < 2; ++half) {
            if constexpr (!accurate) round_fetched<channels_last>(left_at<float>(slot, half));
            if constexpr (kRounded) round_fetched<channels_last>(right_at(slot, half));
          }
        },
        [&](int, int slot) {
          sums.template add<accurate, kSplit>(left_at<float>(slot, warp_row_ / kSide), warp_row_ % kSide,
                                              right_at(slot, warp_column_ / kSide));
        });
  }

  // sums = −M·(A + Aᵀ)/2, and what that leaves out: ‖(A − Aᵀ)/2‖², which no G can mend.
  __device__ void start_from_gram(WarpSums<!channels_last>& sums, int first_row, int first_column, float weight,
                                  double& norm, double& skew) {
    const int channels = layer_.channels;
    const float* const gram = layer_.gram + target() * channels * channels;
    float norms = 0, skews = 0;
    sums.for_each([&](int i, int j, float) {
      const int row = first_row + i, column = first_column + j;
      if (row >= channels || column >= channels) return 0.0f;
      const float above = gram[static_cast<int64_t>(row) * channels + column];
      const float below = gram[static_cast<int64_t>(column) * channels + row];
      norms = fused_multiply_add(0.5f * above, above, fused_multiply_add(0.5f * below, below, norms));
      skews = fused_multiply_add(0.25f * (above - below), above - below, skews);
      return -0.5f * static_cast<float>(layer_.size) * (above + below);
    });
    norm += weight * norms;
    skew += weight * skews;
  }

  // A part of D, and its mirror image.
  __device__ void keep(WarpSums<!channels_last>& sums, int first_row, int first_column, bool mirrored) {
    const int channels = layer_.channels;
    const int64_t pitch = difference_pitch(channels);
    float* const difference = this->difference();
    sums.for_each_run([&](int row, int column, const auto& run) {
      if (first_row + row < channels)
        store_run(difference + (first_row + row) * pitch + first_column + column, run,
                  channels - first_column - column);
    });
    if (!mirrored) return;
    sums.for_each([&](int i, int j, float sum) {
      const int row = first_row + i, column = first_column + j;
      if (row < channels && column < channels) difference[column * pitch + row] = sum;
      return sum;
    });
  }

  // A part of the gradient: channels by positions.
  __device__ void write(WarpSums<channels_last>& sums, int first_channel, int first_position, float factor) const {
    const int channels = layer_.channels, size = layer_.size;
    T* const gradient = static_cast<T*>(layer_.gradient) + chain_ * channels * size;
    sums.for_each([&](int, int, float sum) { return factor * sum; });
    if constexpr (channels_last)
      sums.for_each([&](int i, int j, float number) {
        const int channel = first_channel + i, position = first_position + j;
        if (channel < channels && position < size)
          store(gradient + static_cast<int64_t>(position) * channels + channel, number);
        return number;
      });
    else
      sums.for_each_run([&](int row, int column, const auto& run) {
        const int channel = first_channel + row, position = first_position + column;
        if (channel < channels)
          store_run(gradient + static_cast<int64_t>(channel) * size + position, run, size - position);
      });
  }

  static __device__ float square_of(WarpSums<!channels_last>& sums) {
    float square = 0;
    sums.for_each([&](int, int, float sum) {
      square = fused_multiply_add(sum, sum, square);
      return sum;
    });
    return square;
  }

  static __device__ double block_sum(double value, double* partial) {
    const double total = warp_sum(value);
    __syncthreads();
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = total;
    __syncthreads();
    double sum = 0;
    for (int warp = 0; warp < kWarps; ++warp) sum += partial[warp];
    return sum;
  }

  // Where things lie is computed anew at every use: it would take registers that the products need.
  __device__ int64_t target() const { return layer_.shared_target ? 0 : chain_; }
  __device__ Matrix<T> features() const {
    return features_of<T, channels_last>(layer_.features, chain_, layer_.channels, layer_.size);
  }
  __device__ Matrix<T> reference() const {
    return features_of<T, channels_last>(layer_.reference, target(), layer_.channels, layer_.reference_size);
  }
  __device__ float* difference() const {
    return layer_.difference + chain_ * layer_.channels * difference_pitch(layer_.channels);
  }

  // A slot holds two tiles of the left factor, with room for fp32, and two of the right one.
  template <typename Left>
  __device__ Left* left_at(int slot, int half) const {
    return reinterpret_cast<Left*>(slots_ + slot * kPrimalSlotBytes<T> + half * kTileBytes<float>);
  }
  __device__ T* right_at(int slot, int half) const {
    return reinterpret_cast<T*>(slots_ + slot * kPrimalSlotBytes<T> + 2 * kTileBytes<float> + half * kTileBytes<T>);
  }

  const GramLayer& layer_;
  const int64_t chain_;
  unsigned char* const slots_;
  const int warp_row_, warp_column_;
};

}  // namespace stic::cuda::gram
