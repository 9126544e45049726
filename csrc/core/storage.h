// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Storage types of the kernels: bfloat16 and IEEE half as bit patterns, with branch-free conversions to and from fp32
// that round to nearest even and keep NaN, so that loops over them vectorise on every instruction set. A device has
// instructions for them, which agree but for the bits of a NaN.
#pragma once

#include "arithmetic.h"

namespace stic {

struct BFloat16 {
  uint16_t bits;
};

struct Float16 {
  uint16_t bits;
};

// The type a kernel computes in: fp64 for fp64, fp32 for everything else.
template <typename T>
struct Compute {
  using type = float;
};
template <>
struct Compute<double> {
  using type = double;
};

STIC_HD float load(float value) { return value; }
STIC_HD double load(double value) { return value; }
STIC_HD float load(BFloat16 value) { return float_of(static_cast<uint32_t>(value.bits) << 16); }

// Half to single: place exponent and mantissa in a float, rescale by 2¹¹² to mend the bias (exact for subnormals too).
STIC_HD float load(Float16 value) {
#if defined(__CUDA_ARCH__)
  float single;
  asm("cvt.f32.f16 %0, %1;" : "=f"(single) : "h"(value.bits));
  return single;
#else
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(value.bits & 0x7FFFu) << 13;
  const float finite = float_of(magnitude) * 0x1p112f;
  const uint32_t special = magnitude | 0x7F800000u;
  return float_of(sign | (magnitude >= 0x0F800000u ? special : bits_of(finite)));
#endif
}

STIC_HD void store(float* target, float value) { *target = value; }
STIC_HD void store(double* target, double value) { *target = value; }

STIC_HD void store(BFloat16* target, float value) {
#if defined(__CUDA_ARCH__)
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(target->bits) : "f"(value));
#else
  const uint32_t bits = bits_of(value);
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const uint32_t quiet_nan = (bits >> 16) | 0x40u;
  target->bits = static_cast<uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet_nan : rounded);
#endif
}

// Single to half: above 2⁻¹⁴ round the mantissa in place; below, adding ½ lets the fp32 adder round to the subnormal
// grid of 2⁻²⁴.
STIC_HD void store(Float16* target, float value) {
#if defined(__CUDA_ARCH__)
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(target->bits) : "f"(value));
#else
  const uint32_t bits = bits_of(value), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
  const uint32_t normal = (magnitude - 0x38000000u + 0xFFFu + ((magnitude >> 13) & 1u)) >> 13;
  const uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - 0x3F000000u;
  const uint32_t finite = magnitude < 0x38800000u ? subnormal : normal;
  const uint32_t special = magnitude > 0x7F800000u ? 0x7E00u : 0x7C00u;
  target->bits = static_cast<uint16_t>(sign | (magnitude >= 0x477FF000u ? special : finite));
#endif
}

// Two neighbours in a word, the first in its lower half: on a device in one instruction.
template <typename T>
STIC_HD uint32_t stored_pair(float first, float second) {
  T low, high;
  store(&low, first);
  store(&high, second);
  return low.bits | static_cast<uint32_t>(high.bits) << 16;
}
#if defined(__CUDA_ARCH__)
template <>
STIC_HD uint32_t stored_pair<BFloat16>(float first, float second) {
  uint32_t both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
  return both;
}
template <>
STIC_HD uint32_t stored_pair<Float16>(float first, float second) {
  uint32_t both;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
  return both;
}
#endif

}  // namespace stic
