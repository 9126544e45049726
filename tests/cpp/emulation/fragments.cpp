// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT
#include "fragments.h"

#include "../../../csrc/core/storage.h"

namespace stic::emulation {

Sums sums = Sums::kTruncated;

namespace {

// For what only touches arrays of its own at places that the compiler knows: sanitizers would double its time.
#define STIC_UNCHECKED __attribute__((no_sanitize("address", "undefined")))

struct Product {
  float* d;
  const uint32_t *a, *b;
};

double low_half(uint32_t word) { return load(BFloat16{static_cast<uint16_t>(word)}); }

// Half a row of b or d, and the like of integers.
constexpr int kHalf = 4;
typedef double Half __attribute__((vector_size(kHalf * sizeof(double))));
typedef int64_t Bits __attribute__((vector_size(kHalf * sizeof(int64_t))));
typedef int32_t Integers __attribute__((vector_size(kHalf * sizeof(int32_t))));

// Of single numbers' leading bits; of zeros one that no product has.
STIC_UNCHECKED Integers exponents_of(const Half& numbers) {
  const Bits biased = (Bits)numbers >> 52 & 0x7FF;
  const Integers exponent = __builtin_convertvector(biased, Integers) - 1023;
  const Integers bounded = exponent < -126 ? exponent - exponent - 126 : exponent;
  return exponent == -1023 ? exponent - exponent - 400 : bounded;
}

// Returns nothing: without AVX, registers do not take a Half.
STIC_UNCHECKED void take_power_of_two(Half& power, const Integers& exponent) {
  power = (Half)((__builtin_convertvector(exponent, Bits) + 1023) << 52);
}

// Both factors and d, by rows.
template <int depth>
struct Matrices {
  Half a[16][depth / kHalf], b[depth][2], d[16][2];

  STIC_UNCHECKED bool all_finite() const {
    Half zeros = {};
    for (const auto& row : a)
      for (const Half& half : row) zeros += half * 0;
    for (const auto& row : b) zeros += row[0] * 0 + row[1] * 0;
    for (const auto& row : d) zeros += row[0] * 0 + row[1] * 0;
    return zeros[0] + zeros[1] + zeros[2] + zeros[3] == 0;
  }

  STIC_UNCHECKED void add_exactly() {
    for (int row = 0; row < 16; ++row)
      for (int half = 0; half < 2; ++half) {
        Half sum = {};
        for (int k = 0; k < depth; ++k) sum += a[row][k / kHalf][k % kHalf] * b[k][half];
        d[row][half] += sum;
      }
  }

  // Of the products from `first` up to `end`, all finite.
  STIC_UNCHECKED void add_truncated(int first, int end) {
    constexpr int kKept = 24;                                  // bits behind the leading one
    constexpr int64_t kBeyondSingle = (int64_t{1} << 29) - 1;  // of a double's bits
    Integers of_a[16][depth / kHalf], of_b[depth][2];
    for (int row = 0; row < 16; ++row)
      for (int k = first; k < end; k += kHalf) of_a[row][k / kHalf] = exponents_of(a[row][k / kHalf]);
    for (int k = first; k < end; ++k)
      for (int half = 0; half < 2; ++half) of_b[k][half] = exponents_of(b[k][half]);
    for (int row = 0; row < 16; ++row)
      for (int half = 0; half < 2; ++half) {
        Integers largest = exponents_of(d[row][half]);
        for (int k = first; k < end; ++k) {
          const Integers exponent = of_a[row][k / kHalf][k % kHalf] + of_b[k][half];
          largest = exponent > largest ? exponent : largest;
        }
        Half units, unit;
        take_power_of_two(units, kKept - largest);
        take_power_of_two(unit, largest - kKept);
        Integers whole = __builtin_convertvector(d[row][half] * units, Integers);
        for (int k = first; k < end; ++k)
          whole += __builtin_convertvector(a[row][k / kHalf][k % kHalf] * b[k][half] * units, Integers);
        const Half sum = __builtin_convertvector(whole, Half) * unit;
        d[row][half] = (Half)((Bits)sum & ~kBeyondSingle);
      }
  }
};

template <Precision precision>
STIC_UNCHECKED void multiply_fragments(void* const brought[32], uint32_t) {
  constexpr int kDepth = precision == Precision::kTf32 ? 8 : 16;
  Matrices<kDepth> all;
  for (int lane = 0; lane < 32; ++lane) {
    const Product& mine = *static_cast<const Product*>(brought[lane]);
    const int group = lane / 4, member = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const int row = group + i % 2 * 8;
      if (precision == Precision::kTf32) {
        all.a[row][i / 2][member] = float_of(mine.a[i] & 0xFFFFE000u);
      } else {
        const int k = 2 * member + i / 2 * 8;
        all.a[row][k / kHalf][k % kHalf] = low_half(mine.a[i]);
        all.a[row][k / kHalf][k % kHalf + 1] = low_half(mine.a[i] >> 16);
      }
      all.d[group + i / 2 * 8][member / 2][2 * (member % 2) + i % 2] = mine.d[i];
    }
    for (int i = 0; i < 2; ++i) {
      if (precision == Precision::kTf32) {
        all.b[member + i * 4][group / 4][group % 4] = float_of(mine.b[i] & 0xFFFFE000u);
      } else {
        const int k = 2 * member + i * 8;
        all.b[k][group / 4][group % 4] = low_half(mine.b[i]);
        all.b[k + 1][group / 4][group % 4] = low_half(mine.b[i] >> 16);
      }
    }
  }
  if (sums == Sums::kNearest || !all.all_finite()) {
    all.add_exactly();
  } else {
    all.add_truncated(0, kDepth / 2);
    all.add_truncated(kDepth / 2, kDepth);
  }
  for (int lane = 0; lane < 32; ++lane) {
    const Product& mine = *static_cast<const Product*>(brought[lane]);
    const int group = lane / 4, member = lane % 4;
    for (int i = 0; i < 4; ++i)
      mine.d[i] = static_cast<float>(all.d[group + i / 2 * 8][member / 2][2 * (member % 2) + i % 2]);
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
