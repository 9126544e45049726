// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Where vrm_batch takes a pixel from, flipped and shifted by the image's own coins, and what it makes of it.
#pragma once

#include "arguments.h"
#include "normal.h"
#include "streams.h"

namespace stic {

struct Placement {
  bool flip;
  int down, right;
};

// The coins are words 0..2 of the row's augmentation block.
STIC_HD Placement placement_of(const VrmBatch& args, int64_t row) {
  const Words coins = noise_words(address_of(args.noise, kAugmentation), chain_id(args.noise, row), 0u);
  const uint32_t choices = 2u * static_cast<uint32_t>(args.max_shift) + 1u;
  return {uniform_of(coins.w0) < args.flip_probability,
          static_cast<int>(high_word(wide_product(coins.w1, choices))) - args.max_shift,
          static_cast<int>(high_word(wide_product(coins.w2, choices))) - args.max_shift};
}

STIC_HD bool leaves_in_place(const Placement& placement) {
  return !placement.flip && placement.down == 0 && placement.right == 0;
}

// The row and the column that (row, column) of the flipped and shifted image comes from; edge pixels repeat.
template <typename Index>
STIC_HD Index source_row(const Placement& placement, Index row, Index height) {
  const Index from = row - placement.down;
  return from < 0 ? 0 : from < height ? from : height - 1;
}

template <typename Index>
STIC_HD Index source_column(const Placement& placement, Index column, Index width) {
  Index from = column - placement.right;
  from = from < 0 ? 0 : from < width ? from : width - 1;
  return placement.flip ? width - 1 - from : from;
}

// A pixel as the network sees it: (2·u8 − 255)/255, exactly ∓1 at the ends.
template <typename C>
STIC_HD C scaled(uint8_t pixel) {
  constexpr C kScale = static_cast<C>(1.0 / 255.0);
  return static_cast<C>(2 * pixel - 255) * kScale;
}

// λ·own + (1 − λ)·partner
template <typename C>
STIC_HD C mixed(C weight, C own, C partner) {
  return fused_multiply_add(weight, own - partner, partner);
}

}  // namespace stic
