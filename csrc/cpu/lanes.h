// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The vectors of the instruction set this is compiled for, with the primitives of core/arithmetic.h overloaded on them.
//
// Written in the compiler's vectors, which exist for every target; intrinsics stand only where those have no word for
// an instruction: fused multiply-add, square root, and the 32x32→64-bit product. GCC has all that is used here from
// version 9 on. Every type holds two vectors and computes on both in step, so that each hides the other's latency:
// measured, that makes noise in 0.82 of the time.
#pragma once

#include <cstddef>
#include <utility>

#include "../core/arithmetic.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define STIC_MEMBER __attribute__((always_inline))

namespace stic {
namespace STIC_ISA {

// The scalar ones stay visible beside the vectors'.
using stic::bits_of;
using stic::by_bit_30;
using stic::clamped;
using stic::float_of;
using stic::fused_multiply_add;
using stic::high_word;
using stic::low_word;
using stic::multiply_add;
using stic::shift_right_signed;
using stic::signed_float_of;
using stic::square_root;
using stic::wide_product;

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <typename T>
using Vector [[gnu::vector_size(kVectorBytes)]] = T;

constexpr int kVectorLanes = kVectorBytes / 4;  // of 32 bits
constexpr int kLanes = 2 * kVectorLanes;

// Two vectors of T.
template <typename T>
struct Pair {
  Vector<T> first, second;

  Pair() = default;
  STIC_MEMBER Pair(Vector<T> a, Vector<T> b) : first(a), second(b) {}
  STIC_MEMBER Pair(T value) : first(value - Vector<T>{}), second(first) {}

  friend STIC_MEMBER Pair operator+(Pair a, Pair b) { return {a.first + b.first, a.second + b.second}; }
  friend STIC_MEMBER Pair operator-(Pair a, Pair b) { return {a.first - b.first, a.second - b.second}; }
  friend STIC_MEMBER Pair operator*(Pair a, Pair b) { return {a.first * b.first, a.second * b.second}; }
  friend STIC_MEMBER Pair operator/(Pair a, Pair b) { return {a.first / b.first, a.second / b.second}; }
  friend STIC_MEMBER Pair operator&(Pair a, Pair b) { return {a.first & b.first, a.second & b.second}; }
  friend STIC_MEMBER Pair operator|(Pair a, Pair b) { return {a.first | b.first, a.second | b.second}; }
  friend STIC_MEMBER Pair operator^(Pair a, Pair b) { return {a.first ^ b.first, a.second ^ b.second}; }
  friend STIC_MEMBER Pair operator~(Pair a) { return {~a.first, ~a.second}; }
  friend STIC_MEMBER Pair operator<<(Pair a, int places) { return {a.first << places, a.second << places}; }
  friend STIC_MEMBER Pair operator>>(Pair a, int places) { return {a.first >> places, a.second >> places}; }
};

using Floats = Pair<float>;   // kLanes floats
using Bits = Pair<uint32_t>;  // kLanes words of 32 bits

// From and to memory of any alignment.
using UnalignedFloats [[gnu::vector_size(kVectorBytes), gnu::aligned(4), gnu::may_alias]] = float;
STIC_HD Vector<float> load_vector(const float* from) { return *reinterpret_cast<const UnalignedFloats*>(from); }
STIC_HD void store_vector(float* to, Vector<float> value) { *reinterpret_cast<UnalignedFloats*>(to) = value; }
STIC_HD Floats load_lanes(const float* from) { return {load_vector(from), load_vector(from + kVectorLanes)}; }
STIC_HD void store_lanes(float* to, Floats value) {
  store_vector(to, value.first);
  store_vector(to + kVectorLanes, value.second);
}

STIC_HD Vector<float> fused_multiply_add(Vector<float> a, Vector<float> b, Vector<float> c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
  return (Vector<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  for (int lane = 0; lane < kVectorLanes; ++lane) c[lane] = __builtin_fmaf(a[lane], b[lane], c[lane]);
  return c;
#endif
}

STIC_HD Vector<float> square_root(Vector<float> value) {
#if defined(__AVX512F__)
  return _mm512_maskz_sqrt_ps(0xFFFF, value);
#elif defined(__AVX2__)
  return _mm256_sqrt_ps(value);
#elif defined(__x86_64__)
  return _mm_sqrt_ps(value);
#elif defined(__aarch64__)
  return (Vector<float>)vsqrtq_f32((float32x4_t)value);
#else
  for (int lane = 0; lane < kVectorLanes; ++lane) value[lane] = __builtin_sqrtf(value[lane]);
  return value;
#endif
}

// Of the lower halves of 64-bit lanes, whatever the upper halves hold.
STIC_HD Vector<uint64_t> wide_product(Vector<uint64_t> a, Vector<uint64_t> b) {
#if defined(__AVX512F__)
  return (Vector<uint64_t>)_mm512_maskz_mul_epu32(0xFF, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Vector<uint64_t>)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
  return (Vector<uint64_t>)_mm_mul_epu32((__m128i)a, (__m128i)b);
#elif defined(__aarch64__)  // which has no product of 64-bit lanes, but this of narrowed ones
  return (Vector<uint64_t>)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#else
  return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

STIC_HD Floats fused_multiply_add(Floats a, Floats b, Floats c) {
  return {fused_multiply_add(a.first, b.first, c.first), fused_multiply_add(a.second, b.second, c.second)};
}
STIC_HD Floats square_root(Floats value) { return {square_root(value.first), square_root(value.second)}; }

STIC_HD Floats multiply_add(Floats a, Floats b, Floats c) {
#if defined(__AVX2__) || defined(__aarch64__)
  return fused_multiply_add(a, b, c);
#else
  return a * b + c;
#endif
}

STIC_HD Vector<float> clamped(Vector<float> value, float low, float high) {
  [[maybe_unused]] const Vector<float> floor = low - Vector<float>{}, ceiling = high - Vector<float>{};
#if defined(__AVX512F__)
  return _mm512_maskz_min_ps(0xFFFF, _mm512_maskz_max_ps(0xFFFF, value, floor), ceiling);
#elif defined(__AVX2__)
  return _mm256_min_ps(_mm256_max_ps(value, floor), ceiling);
#elif defined(__x86_64__)
  return _mm_min_ps(_mm_max_ps(value, floor), ceiling);
#elif defined(__aarch64__)
  return (Vector<float>)vminq_f32(vmaxq_f32((float32x4_t)value, (float32x4_t)floor), (float32x4_t)ceiling);
#else
  for (int lane = 0; lane < kVectorLanes; ++lane) value[lane] = stic::clamped(value[lane], low, high);
  return value;
#endif
}

STIC_HD Bits bits_of(Floats value) { return {(Vector<uint32_t>)value.first, (Vector<uint32_t>)value.second}; }
STIC_HD Floats float_of(Bits bits) { return {(Vector<float>)bits.first, (Vector<float>)bits.second}; }
STIC_HD Floats signed_float_of(Bits bits) {
  return {__builtin_convertvector((Vector<int32_t>)bits.first, Vector<float>),
          __builtin_convertvector((Vector<int32_t>)bits.second, Vector<float>)};
}
STIC_HD Bits shift_right_signed(Bits bits, int places) {
  return {(Vector<uint32_t>)((Vector<int32_t>)bits.first >> places),
          (Vector<uint32_t>)((Vector<int32_t>)bits.second >> places)};
}

STIC_HD Floats by_bit_30(Bits word, Floats if_set, Floats if_clear) {
  const Bits set = 0u - (word >> 30 & 1u);
  return float_of((bits_of(if_set) & set) | (bits_of(if_clear) & ~set));
}

// e^t to two units in the last place; infinity from 88.4 on, 0 up to −87.7, anything for NaN.
STIC_HD Floats exponential(Floats t) {
  // Added to a number it leaves the nearest integer n, and n + 127, the biased exponent of 2ⁿ, in the lowest bits.
  constexpr float kRound = 0x1.8p23f + 127;
  constexpr float kLog2e = 0x1.715476p+0f;
  constexpr float kHigh = 0x1.62ep-1f, kLow = 0x1.0bfbe8p-15f;  // of ln 2: n·kHigh is exact
  t = {clamped(t.first, -88.0f, 88.8f), clamped(t.second, -88.0f, 88.8f)};
  const Floats rounded = multiply_add(t, kLog2e, kRound), n = rounded - Floats(kRound);
  const Floats r = multiply_add(n, -kLow, multiply_add(n, -kHigh, t));
  // e^r for |r| ≤ ln(2)/2 as 1 + r + r²·q(r), with the least relative error for this degree, 4e−9.
  Floats q = multiply_add(0x1.6a2434p-10f, r, 0x1.1239e2p-7f);
  q = multiply_add(q, r, 0x1.5558f2p-5f);
  q = multiply_add(q, r, 0x1.555492p-3f);
  q = multiply_add(q, r, 0x1.fffffcp-2f);
  return multiply_add(multiply_add(q, r, 1.0f), r, 1.0f) * float_of(bits_of(rounded) << 23);
}

// kLanes words, each in the lower half of a 64-bit lane whose upper half holds anything: the form in which processors
// multiply 32-bit words, so that the ten rounds of Philox need no packing between them.
struct SpreadBits {
  Pair<uint64_t> even, odd;
  SpreadBits() = default;
  STIC_MEMBER SpreadBits(Pair<uint64_t> even, Pair<uint64_t> odd) : even(even), odd(odd) {}
  STIC_MEMBER SpreadBits(uint64_t word) : even(word), odd(word) {}
};

STIC_HD SpreadBits operator^(SpreadBits a, SpreadBits b) { return {a.even ^ b.even, a.odd ^ b.odd}; }

struct SpreadProducts {
  Pair<uint64_t> even, odd;
};

STIC_HD SpreadProducts wide_product(SpreadBits a, uint32_t b) {
  const Vector<uint64_t> factor = b + Vector<uint64_t>{};
  return {{wide_product(a.even.first, factor), wide_product(a.even.second, factor)},
          {wide_product(a.odd.first, factor), wide_product(a.odd.second, factor)}};
}
STIC_HD SpreadBits high_word(SpreadProducts product) { return {product.even >> 32, product.odd >> 32}; }
STIC_HD SpreadBits low_word(SpreadProducts product) { return {product.even, product.odd}; }

// Lane i is entry index(i) of a's lanes followed by b's.
template <typename Lanes, typename Index, size_t... lane>
STIC_HD Lanes shuffle(Lanes a, Lanes b, Index index, std::index_sequence<lane...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, index(static_cast<int>(lane))...);
#else  // GCC has the same from version 12 on, and this in every version; a comparison has integers as wide as the lanes
  return __builtin_shuffle(a, b, decltype(a == b){index(static_cast<int>(lane))...});
#endif
}

// Lane 2i of each vector from the even half, lane 2i + 1 from the odd one.
STIC_HD Bits packed(SpreadBits words) {
  constexpr auto alternate = [](int lane) { return lane % 2 ? kVectorLanes + lane - 1 : lane; };
  const std::make_index_sequence<kVectorLanes> all;
  return {shuffle((Vector<uint32_t>)words.even.first, (Vector<uint32_t>)words.odd.first, alternate, all),
          shuffle((Vector<uint32_t>)words.even.second, (Vector<uint32_t>)words.odd.second, alternate, all)};
}

// Transposes the 4x4 matrices that groups of four neighbouring lanes of the rows are: afterwards rows[j] holds, in
// lanes 4g .. 4g + 3, what was in lane 4g + j of the four rows.
STIC_HD void transpose_quads(Vector<float>& row0, Vector<float>& row1, Vector<float>& row2, Vector<float>& row3) {
  using Doubles = Vector<double>;
  const std::make_index_sequence<kVectorLanes> all;
  const std::make_index_sequence<kVectorLanes / 2> pairs;
  constexpr auto low = [](int i) { return i % 2 * kVectorLanes + i / 4 * 4 + i % 4 / 2; };
  constexpr auto high = [](int i) { return i % 2 * kVectorLanes + i / 4 * 4 + i % 4 / 2 + 2; };
  constexpr auto low_pair = [](int i) { return i % 2 * kVectorLanes / 2 + i / 2 * 2; };
  constexpr auto high_pair = [](int i) { return i % 2 * kVectorLanes / 2 + i / 2 * 2 + 1; };
  const Doubles low01 = (Doubles)shuffle(row0, row1, low, all), high01 = (Doubles)shuffle(row0, row1, high, all);
  const Doubles low23 = (Doubles)shuffle(row2, row3, low, all), high23 = (Doubles)shuffle(row2, row3, high, all);
  row0 = (Vector<float>)shuffle(low01, low23, low_pair, pairs);
  row1 = (Vector<float>)shuffle(low01, low23, high_pair, pairs);
  row2 = (Vector<float>)shuffle(high01, high23, low_pair, pairs);
  row3 = (Vector<float>)shuffle(high01, high23, high_pair, pairs);
}

// Transposes the square matrix of kVectorLanes rows: swaps the off-diagonal blocks of `step` lanes, then of half as
// many.
template <int step = kVectorLanes / 2>
STIC_HD void transpose(Vector<float> (&rows)[kVectorLanes]) {
  const std::make_index_sequence<kVectorLanes> all;
  constexpr auto upper = [](int i) { return i & step ? kVectorLanes + i - step : i; };
  constexpr auto lower = [](int i) { return i & step ? kVectorLanes + i : i + step; };
  for (int i = 0; i < kVectorLanes; ++i) {
    if (i & step) continue;
    const Vector<float> above = rows[i], below = rows[i + step];
    rows[i] = shuffle(above, below, upper, all);
    rows[i + step] = shuffle(above, below, lower, all);
  }
  if constexpr (step > 1) transpose<step / 2>(rows);
}

}  // namespace STIC_ISA
}  // namespace stic
