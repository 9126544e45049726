// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// One batch for vicinal risk minimisation, from uint8 to the network's input in one pass.
//
// Row r: v_r = (2·u8 − 255)/255, exactly ±1 at the ends, of the image flipped and shifted by its own coins, edge pixels
//        repeated;
//        out_r = λ_r·v_r + (1 − λ_r)·v_partner(r) + σ·N(0, 1).
// The coins are words 0..2 of the row's augmentation block. Bound by the arithmetic of the noise.
#include "../core/placement.h"
#include "kernel_loops.h"

namespace stic {
namespace STIC_ISA {

// Walks an image's pixels in row-major order of the flipped and shifted picture.
struct PixelWalk {
  const uint8_t* image;
  Placement placement;
  int64_t height, width;
  int64_t at, column, row, channel;

  PixelWalk(const VrmBatch& args, int64_t image_row, int64_t begin)
      : image(args.images + image_row * args.channels * args.height * args.width),
        placement(placement_of(args, image_row)),
        height(args.height),
        width(args.width),
        at(begin),
        column(begin % args.width),
        row(begin / args.width % args.height),
        channel(begin / (args.width * args.height)) {}

  // pixels[0..count) = the next count pixels.
  void take(uint8_t* pixels, uint32_t count) {
    if (leaves_in_place(placement)) {
      memcpy(pixels, image + at, count);
      at += count;
      return;
    }
    for (uint32_t i = 0; i < count; ++i) {
      const int64_t from_row = source_row(placement, row, height);
      pixels[i] = image[(channel * height + from_row) * width + source_column(placement, column, width)];
      if (++column == width) {
        column = 0;
        if (++row == height) {
          row = 0;
          ++channel;
        }
      }
    }
  }
};

template <typename T>
static void batch(const VrmBatch& args, int threads) {
  using C = typename Compute<T>::type;
  const C noise_std = static_cast<C>(args.noise_std);
  const int64_t elements = args.channels * args.height * args.width;
  const NoiseAddress address = address_of(args.noise, kInstanceNoise);
  for_each_piece(args.rows, elements, threads, [&](int64_t row, int64_t begin, int64_t end) {
    const uint32_t id = chain_id(args.noise, row);
    T* const out = static_cast<T*>(args.out) + row * elements;
    const int64_t partner = args.partner ? args.partner[row] : row;
    const C weight = args.partner ? static_cast<C>(args.weight[row]) : C(1);
    PixelWalk own(args, row, begin), other(args, partner, begin);
    with_flag(args.partner != nullptr, [&](auto is_mixed) {
      with_flag(args.noise_std != 0, [&](auto has_noise) {
        for_each_block(begin, end, [&](int64_t at, auto count) {
          alignas(64) uint8_t pixels[kBlock], partner_pixels[kBlock];
          alignas(64) float noise[kBlock];
          own.take(pixels, count);
          if (is_mixed) other.take(partner_pixels, count);
          if (has_noise) normal_block(noise, address, id, at / kBlock);
          for (int i = 0; i < count; ++i) {
            C value = scaled<C>(pixels[i]);
            if (is_mixed) value = mixed(weight, value, scaled<C>(partner_pixels[i]));
            if (has_noise) value = fused_multiply_add(noise_std, static_cast<C>(noise[i]), value);
            store(out + at + i, value);
          }
        });
      });
    });
  });
}

void vrm_batch(const VrmBatch& args, int threads) {
  with_storage_type(args.dtype, [&](auto* type) { batch<std::remove_pointer_t<decltype(type)>>(args, threads); });
}

}  // namespace STIC_ISA
}  // namespace stic
