// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT
#include "fragments.h"

#include "../../../csrc/core/storage.h"

namespace stic::emulation {

namespace {

struct Product {
  float* d;
  const uint32_t *a, *b;
};

double low_half(uint32_t word) { return load(BFloat16{static_cast<uint16_t>(word)}); }

// Half a row of b or d. A vector type, because sanitizers would look at every element of an array.
typedef double Half __attribute__((vector_size(32)));

template <Precision precision>
void multiply_fragments(void* const brought[32], uint32_t) {
  constexpr int kDepth = precision == Precision::kTf32 ? 8 : 16;
  double a[16][kDepth];
  Half b[kDepth][2], d[16][2];
  for (int lane = 0; lane < 32; ++lane) {
    const Product& mine = *static_cast<const Product*>(brought[lane]);
    const int group = lane / 4, member = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const int row = group + i % 2 * 8;
      if (precision == Precision::kTf32) {
        a[row][member + i / 2 * 4] = float_of(mine.a[i] & 0xFFFFE000u);
      } else {
        const int k = 2 * member + i / 2 * 8;
        a[row][k] = low_half(mine.a[i]);
        a[row][k + 1] = low_half(mine.a[i] >> 16);
      }
    }
    for (int i = 0; i < 2; ++i) {
      if (precision == Precision::kTf32) {
        b[member + i * 4][group / 4][group % 4] = float_of(mine.b[i] & 0xFFFFE000u);
      } else {
        const int k = 2 * member + i * 8;
        b[k][group / 4][group % 4] = low_half(mine.b[i]);
        b[k + 1][group / 4][group % 4] = low_half(mine.b[i] >> 16);
      }
    }
  }
  for (int row = 0; row < 16; ++row) {
    Half left = {}, right = {};
    for (int k = 0; k < kDepth; ++k) {
      left += a[row][k] * b[k][0];
      right += a[row][k] * b[k][1];
    }
    d[row][0] = left;
    d[row][1] = right;
  }
  for (int lane = 0; lane < 32; ++lane) {
    const Product& mine = *static_cast<const Product*>(brought[lane]);
    for (int i = 0; i < 4; ++i) {
      const double sum = d[lane / 4 + i / 2 * 8][lane % 4 / 2][2 * (lane % 2) + i % 2];
      mine.d[i] = static_cast<float>(static_cast<double>(mine.d[i]) + sum);
    }
  }
}

}  // namespace

void multiply(const Site& site, Precision precision, float* d, const uint32_t* a, const uint32_t* b) {
  Product product{d, a, b};
  meet_whole_warp(
      site, &product,
      precision == Precision::kTf32 ? multiply_fragments<Precision::kTf32> : multiply_fragments<Precision::kBf16>);
}

uint32_t nearest_tf32(float value) {
  const uint32_t bits = bits_of(value), magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return (bits | 0x00400000u) & 0xFFFFE000u;  // NaN
  if (magnitude == 0x7F800000u) return bits;                               // infinity
  return (bits + 0x1000u) & 0xFFFFE000u;
}

}  // namespace stic::emulation
