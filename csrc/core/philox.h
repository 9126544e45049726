// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Philox4x32-10, the counter-based generator behind the noise contract.
//
// J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011:
// ten rounds of two 32x32→64-bit multiplications on a 128-bit counter under a 64-bit key. The multipliers and the
// Weyl increments of the key (the golden ratio and √3 − 1, in units of 2⁻³²) are table 2 of the paper.
#pragma once

#include "arithmetic.h"

namespace stic {

template <typename Word>
struct WordsOf {
  Word w0, w1, w2, w3;
};
using Words = WordsOf<uint32_t>;

constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;

template <typename Word>
STIC_HD WordsOf<Word> philox_round(const WordsOf<Word>& counter, uint32_t key0, uint32_t key1) {
  constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
  const auto product0 = wide_product(counter.w0, kMultiplier0), product1 = wide_product(counter.w2, kMultiplier1);
  return {high_word(product1) ^ counter.w1 ^ key0, low_word(product1), high_word(product0) ^ counter.w3 ^ key1,
          low_word(product0)};
}

template <typename Word>
STIC_HD WordsOf<Word> philox4x32_10(WordsOf<Word> counter, uint32_t key0, uint32_t key1) {
#if defined(__CUDA_ARCH__)
#pragma unroll
#elif !defined(__CUDACC__)
#pragma GCC unroll 10
#endif
  for (int round = 0; round < 10; ++round) {
    counter = philox_round(counter, key0, key1);
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

// The keys of all rounds, for kernels whose arguments cost nothing to read: there an addition would.
struct RoundKeys {
  uint32_t word0[10], word1[10];
};

inline RoundKeys round_keys(uint64_t seed) {
  RoundKeys keys;
  for (uint32_t round = 0; round < 10; ++round) {
    keys.word0[round] = static_cast<uint32_t>(seed) + round * kWeyl0;
    keys.word1[round] = static_cast<uint32_t>(seed >> 32) + round * kWeyl1;
  }
  return keys;
}

// The noise contract's address of a random word: normal(seed, chain, step, element, stream) reads word element % 4 of
// the block whose counter is (element / 4, chain, step, stream).
struct NoiseAddress {
  uint64_t seed;
  uint32_t step;
  uint32_t stream;
};

template <typename Word>
STIC_HD WordsOf<Word> noise_words(const NoiseAddress& address, uint32_t chain, Word quad) {
  return philox4x32_10(WordsOf<Word>{quad, Word(chain), Word(address.step), Word(address.stream)},
                       static_cast<uint32_t>(address.seed), static_cast<uint32_t>(address.seed >> 32));
}

// The same with the seed's round keys at hand.
STIC_HD Words noise_words(const RoundKeys& keys, const NoiseAddress& address, uint32_t chain, uint32_t quad) {
  Words counter{quad, chain, address.step, address.stream};
#if defined(__CUDA_ARCH__)
#pragma unroll
#endif
  for (int round = 0; round < 10; ++round) counter = philox_round(counter, keys.word0[round], keys.word1[round]);
  return counter;
}

}  // namespace stic
