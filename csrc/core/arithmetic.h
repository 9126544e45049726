// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Annotations and bit-level primitives that host and device share, so that both evaluate the same arithmetic.
//
// The CPU's vectors (cpu/lanes.h) overload every function here, so that one formula serves scalars and vectors.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define STIC_HD __host__ __device__ __forceinline__
#else
// always_inline keeps each translation unit's copy compiled for its own instruction set: an out-of-line inline
// function would be merged by the linker and might run AVX-512 code on a machine without it.
#define STIC_HD static inline __attribute__((always_inline))
#endif

namespace stic {

STIC_HD uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

STIC_HD float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// The float of a word read as a signed integer.
STIC_HD float signed_float_of(uint32_t bits) { return static_cast<float>(static_cast<int32_t>(bits)); }

// Shifts copies of the sign in from the left.
STIC_HD uint32_t shift_right_signed(uint32_t bits, int places) {
  return static_cast<uint32_t>(static_cast<int32_t>(bits) >> places);
}

// One of two, by bit 30 of a word.
STIC_HD float by_bit_30(uint32_t word, float if_set, float if_clear) { return word & 0x40000000u ? if_set : if_clear; }

STIC_HD uint64_t wide_product(uint32_t a, uint32_t b) {
#if defined(__CUDA_ARCH__)
  uint64_t product;  // in one instruction; of the other form the compiler adds the products of the upper halves, 0
  asm("mul.wide.u32 %0, %1, %2;" : "=l"(product) : "r"(a), "r"(b));
  return product;
#else
  return static_cast<uint64_t>(a) * b;
#endif
}
STIC_HD uint32_t high_word(uint64_t product) { return static_cast<uint32_t>(product >> 32); }
STIC_HD uint32_t low_word(uint64_t product) { return static_cast<uint32_t>(product); }

// One rounding, on every target: a·b + c.
STIC_HD float fused_multiply_add(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

STIC_HD double fused_multiply_add(double a, double b, double c) {
#if defined(__CUDA_ARCH__)
  return __fma_rn(a, b, c);
#else
  return __builtin_fma(a, b, c);
#endif
}

// a·b + c, in one rounding where that is as fast: for what nobody depends on the last bit of.
STIC_HD float multiply_add(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return a * b + c;
#endif
}

STIC_HD double multiply_add(double a, double b, double c) {
#if defined(__CUDA_ARCH__)
  return __fma_rn(a, b, c);
#else
  return a * b + c;
#endif
}

// Correctly rounded square root of ∓0 or of a number from 2⁻⁹⁰ to 2⁹⁰, on every target.
STIC_HD float square_root(float value) {
#if defined(__CUDA_ARCH__)
  // What the compiler makes of __fsqrt_rn for such numbers on sm_80 to sm_120, less its branch to all the others. The
  // bound only takes the infinity out of 1/√0.
  float inverse;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(fabsf(value)));
  inverse = fminf(inverse, 0x1p50f);
  const float root = value * inverse;
  return __fmaf_rn(__fmaf_rn(-root, root, value), 0.5f * inverse, root);
#else
  return __builtin_sqrtf(value);
#endif
}

// `value` within [low, high]; NaN stays NaN. Where value and bound are zeros of unlike sign, either may come out.
STIC_HD float clamped(float value, float low, float high) {
#if defined(__CUDA_ARCH__)
  float floored, result;  // two statements: one might write to where the bound that it reads last is kept
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(floored) : "f"(value), "f"(low));
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(floored), "f"(high));
  return result;
#else
  const float floored = value < low ? low : value;  // false for NaN
  return floored > high ? high : floored;
#endif
}

STIC_HD double clamped(double value, double low, double high) {
  const double floored = value < low ? low : value;
  return floored > high ? high : floored;
}

}  // namespace stic
