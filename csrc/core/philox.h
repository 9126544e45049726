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

struct Words {
  uint32_t w0, w1, w2, w3;
};

STIC_HD uint32_t high_product(uint32_t a, uint32_t b) {
  return static_cast<uint32_t>((static_cast<uint64_t>(a) * b) >> 32);
}

STIC_HD Words philox4x32_10(Words counter, uint32_t key0, uint32_t key1) {
  constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
  constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
#if defined(__CUDACC__)
#pragma unroll
#else
#pragma GCC unroll 10
#endif
  for (int round = 0; round < 10; ++round) {
    const uint32_t high0 = high_product(kMultiplier0, counter.w0), low0 = kMultiplier0 * counter.w0;
    const uint32_t high1 = high_product(kMultiplier1, counter.w2), low1 = kMultiplier1 * counter.w2;
    counter = {high1 ^ counter.w1 ^ key0, low1, high0 ^ counter.w3 ^ key1, low0};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

// The noise contract's address of a random word: normal(seed, chain, step, element, stream) reads word element % 4 of
// the block whose counter is (element / 4, chain, step, stream).
struct NoiseAddress {
  uint64_t seed;
  uint32_t step;
  uint32_t stream;
};

STIC_HD Words noise_words(const NoiseAddress& address, uint32_t chain, uint32_t quad) {
  return philox4x32_10({quad, chain, address.step, address.stream}, static_cast<uint32_t>(address.seed),
                       static_cast<uint32_t>(address.seed >> 32));
}

}  // namespace stic
