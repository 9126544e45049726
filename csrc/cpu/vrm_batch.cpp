// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// One batch for vicinal risk minimisation, from uint8 to the network's input in one pass.
//
// Row r: v_r = (2·u8 − 255)/255, exactly ±1 at the ends, of the image flipped and shifted by its own coins, edge pixels
//        repeated;
//        out_r = λ_r·v_r + (1 − λ_r)·v_partner(r) + σ·N(0, 1).
// The coins are words 0..2 of the row's augmentation block. Bound by the arithmetic of the noise.
#include "kernel_loops.h"

namespace stic {
namespace STIC_ISA {

struct Placement {
  bool flip;
  int64_t down, right;
};

STIC_HD Placement placement_of(const VrmBatch& args, int64_t row) {
  const Words coins = noise_words(address_of(args.noise, kAugmentation), chain_id(args.noise, row), 0u);
  const uint32_t choices = 2u * static_cast<uint32_t>(args.max_shift) + 1u;
  return {uniform_of(coins.w0) < args.flip_probability,
          static_cast<int64_t>(high_word(wide_product(coins.w1, choices))) - args.max_shift,
          static_cast<int64_t>(high_word(wide_product(coins.w2, choices))) - args.max_shift};
}

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

  bool in_place() const { return !placement.flip && placement.down == 0 && placement.right == 0; }

  // pixels[0..count) = the next count pixels.
  void take(uint8_t* pixels, uint32_t count) {
    if (in_place()) {
      memcpy(pixels, image + at, count);
      at += count;
      return;
    }
    for (uint32_t i = 0; i < count; ++i) {
      const int64_t from_row = std::clamp<int64_t>(row - placement.down, 0, height - 1);
      const int64_t shifted = std::clamp<int64_t>(column - placement.right, 0, width - 1);
      pixels[i] = image[(channel * height + from_row) * width + (placement.flip ? width - 1 - shifted : shifted)];
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
static void batch(const VrmBatch& args) {
  using C = typename Compute<T>::type;
  constexpr C kScale = static_cast<C>(1.0 / 255.0);
  const C noise_std = static_cast<C>(args.noise_std);
  const int64_t elements = args.channels * args.height * args.width;
  const NoiseAddress address = address_of(args.noise, kInstanceNoise);
  for_each_piece(args.rows, elements, args.threads, [&](int64_t row, int64_t begin, int64_t end) {
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
            C value = static_cast<C>(2 * pixels[i] - 255) * kScale;
            if (is_mixed) {
              const C mixed_in = static_cast<C>(2 * partner_pixels[i] - 255) * kScale;
              value = fused_multiply_add(weight, value - mixed_in, mixed_in);
            }
            if (has_noise) value = fused_multiply_add(noise_std, static_cast<C>(noise[i]), value);
            store(out + at + i, value);
          }
        });
      });
    });
  });
}

void vrm_batch(const VrmBatch& args) {
  with_storage_type(args.dtype, [&](auto* type) { batch<std::remove_pointer_t<decltype(type)>>(args); });
}

}  // namespace STIC_ISA
}  // namespace stic
