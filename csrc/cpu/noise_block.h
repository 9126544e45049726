// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Blocks of noise in vector registers: the words, normals or uniforms of 4·kLanes neighbouring elements of one chain.
#pragma once

#include "../core/normal.h"
#include "lanes.h"

namespace stic {
namespace STIC_ISA {

constexpr int kBlock = 4 * kLanes;  // elements whose noise is made at once: one Philox counter in each lane

// The words of the block's counters. Lane 4g + j of vector v holds those of quad v·kVectorLanes + j·G + g, where
// G = kVectorLanes/4 counts groups of four lanes, so that transposing the groups brings elements into their order.
STIC_HD WordsOf<Bits> block_words(const NoiseAddress& address, uint32_t chain, int64_t block) {
  constexpr int kGroups = kVectorLanes / 4;
  Vector<uint64_t> even{}, odd{};
  for (int i = 0; i < kVectorLanes / 2; ++i) {
    even[i] = i % 2 * 2 * kGroups + i / 2;
    odd[i] = even[i] + kGroups;
  }
  const uint64_t first = static_cast<uint64_t>(block) * kLanes, second = first + kVectorLanes;
  const SpreadBits quads({even + first, even + second}, {odd + first, odd + second});
  const WordsOf<SpreadBits> words = noise_words(address, chain, quads);
  return {packed(words.w0), packed(words.w1), packed(words.w2), packed(words.w3)};
}

// Writes four rows, of which lane i of row j belongs to element j of the quad in lane i, in the elements' order.
STIC_HD void store_quads(float* out, Floats row0, Floats row1, Floats row2, Floats row3) {
  transpose_quads(row0.first, row1.first, row2.first, row3.first);
  transpose_quads(row0.second, row1.second, row2.second, row3.second);
  const Vector<float> rows[8] = {row0.first,  row1.first,  row2.first,  row3.first,
                                 row0.second, row1.second, row2.second, row3.second};
  memcpy(out, rows, sizeof rows);
}

// z[0..kBlock) = the normals of elements kBlock·block .. kBlock·(block + 1) − 1 of one chain.
STIC_HD void normal_block(float* z, const NoiseAddress& address, uint32_t chain, int64_t block) {
  const WordsOf<Bits> words = block_words(address, chain, block);
  Floats row0, row1, row2, row3;
  box_muller(words.w0, words.w1, row0, row1);
  box_muller(words.w2, words.w3, row2, row3);
  store_quads(z, row0, row1, row2, row3);
}

// Likewise the uniforms.
STIC_HD void uniform_block(float* u, const NoiseAddress& address, uint32_t chain, int64_t block) {
  const WordsOf<Bits> words = block_words(address, chain, block);
  store_quads(u, uniform_of(words.w0), uniform_of(words.w1), uniform_of(words.w2), uniform_of(words.w3));
}

}  // namespace STIC_ISA
}  // namespace stic
