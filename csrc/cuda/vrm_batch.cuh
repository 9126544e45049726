// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// One batch for vicinal risk minimisation, from uint8 to the network's input in one pass.
//
// Row r: v_r = (2·u8 − 255)/255, exactly ±1 at the ends, of the image flipped and shifted by its own coins, edge pixels
//        repeated;
//        out_r = λ_r·v_r + (1 − λ_r)·v_partner(r) + σ·N(0, 1).
// A thread gathers the pixels of a pack one by one, forwards or backwards: neighbours lie in one line of the cache. Two
// divisions for each pack tell its place in the image, of which it has fewer than 2³¹ numbers. Bound by arithmetic:
// some 430 instructions for four elements, 142 of them noise, against two bytes read and four written for each.
#pragma once

#include "../core/placement.h"
#include "packs.cuh"

namespace stic {
namespace cuda {

// An image as the batch sees it.
struct PlacedImage {
  const uint8_t* pixels;
  Placement placement;
};

__device__ __forceinline__ PlacedImage placed_image(const VrmBatch& args, int64_t row) {
  PlacedImage image = {args.images + row * args.channels * args.height * args.width, {false, 0, 0}};
  if (args.flip_probability > 0 || args.max_shift > 0) image.placement = placement_of(args, row);
  return image;
}

// values = the pixels from `at` on, scaled. The last pack of an image that is not made of whole ones repeats its end.
template <typename C, int count>
__device__ __forceinline__ void gather(C (&values)[count], const PlacedImage& image, const VrmBatch& args, int at) {
  const int width = static_cast<int>(args.width), height = static_cast<int>(args.height);
  const int lines = static_cast<int>(args.channels) * height;
  int line = at / width, column = at - line * width, row = line % height;
  uint8_t pixels[count];
#pragma unroll
  for (int i = 0; i < count; ++i) {
    const int from = (line - row + source_row(image.placement, row, height)) * width;
    pixels[i] = image.pixels[from + source_column(image.placement, column, width)];
    const bool next_line = column + 1 == width && line + 1 < lines;
    column = next_line ? 0 : column + 1;
    line += next_line;
    row = !next_line ? row : row + 1 == height ? 0 : row + 1;
  }
#pragma unroll
  for (int i = 0; i < count; ++i) values[i] = scaled<C>(pixels[i]);
}

template <typename T, bool aligned>
__device__ __forceinline__ void batch_pieces(const VrmBatch& args, const RoundKeys& keys) {
  using C = typename Compute<T>::type;
  const int64_t elements = args.channels * args.height * args.width;
  const C noise_std = static_cast<C>(args.noise_std);
  for_each_chain(args.rows, [&](int64_t row) {
    const ChainNoise source = chain_noise(keys, args.noise, kInstanceNoise, row);
    const int64_t partner = args.partner ? args.partner[row] : row;
    const C weight = args.partner ? static_cast<C>(args.weight[row]) : C(1);
    const PlacedImage own = placed_image(args, row), other = placed_image(args, partner);
    for_each_piece<T>(elements, [&](int64_t first) {
#pragma unroll 1
      for (int i = 0; i < kPacks<T>; ++i) {
        const int64_t at = first + i * kStride<T>;
        if (at >= elements) break;
        C values[kPack<T>];
        gather(values, own, args, static_cast<int>(at));
        if (args.partner) {
          C others[kPack<T>];
          gather(others, other, args, static_cast<int>(at));
#pragma unroll
          for (int j = 0; j < kPack<T>; ++j) values[j] = mixed(weight, values[j], others[j]);
        }
        if (args.noise_std != 0) {
          C noise[kPack<T>];
          normals(noise, source, at);
#pragma unroll
          for (int j = 0; j < kPack<T>; ++j) values[j] = fused_multiply_add(noise_std, noise[j], values[j]);
        }
        store_pack<aligned>(static_cast<T*>(args.out) + row * elements, at, elements, rounded<T>(values));
      }
    });
  });
}

template <typename T>
__global__ void __launch_bounds__(kThreads, kBlocks) vrm_batch_kernel(VrmBatch args, RoundKeys keys, bool aligned) {
  if (aligned)
    batch_pieces<T, true>(args, keys);
  else
    batch_pieces<T, false>(args, keys);
}

}  // namespace cuda
}  // namespace stic
