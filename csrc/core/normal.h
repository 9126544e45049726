// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Uniform and normal variates from random words, the same bits on every machine.
//
// Box–Muller: from words a, b, with u = (a>>1 + ½)·2⁻³¹ in (0, 1] and b choosing θ of 2³² equal turns,
//     z0 = √(−2 log u)·cos θ,   z1 = √(−2 log u)·sin θ,   so |z| ≤ √(2·32·log 2) = 6.66.
// log, sin and cos are fp32 polynomials evaluated with explicit fma; tools/fit_normal_polynomials.py derives their
// coefficients and prints their errors (2e-8 relative, 2.4e-8 and 7e-9 absolute).
#pragma once

#include "philox.h"

namespace stic {

// Uniform on [0, 1): the word's upper 24 bits.
template <typename Bits>
STIC_HD auto uniform_of(Bits word) {
  return signed_float_of(word >> 8) * 0x1p-24f;
}

// log(u) for u in [2⁻³², 1]: exponent and mantissa m in [√½, √2), then log(1 + f) = f − f²/2 + f³·P(f), f = m − 1.
template <typename Float>
STIC_HD Float log_unit(Float u) {
  constexpr uint32_t kSqrtHalf = 0x3F3504F3u;
  constexpr float kLog2 = 0x1.62e430p-1f;
  const auto bits = bits_of(u);
  const auto exponent = shift_right_signed(bits - kSqrtHalf, 23);
  const Float f = float_of(bits - (exponent << 23)) - 1.0f;
  Float p = -0x1.43b246p-4f;
  p = fused_multiply_add(p, f, 0x1.02814ep-3f);
  p = fused_multiply_add(p, f, -0x1.0a33eap-3f);
  p = fused_multiply_add(p, f, 0x1.231ce6p-3f);
  p = fused_multiply_add(p, f, -0x1.54d03ep-3f);
  p = fused_multiply_add(p, f, 0x1.999f14p-3f);
  p = fused_multiply_add(p, f, -0x1.0000cep-2f);
  p = fused_multiply_add(p, f, 0x1.555554p-2f);
  p = fused_multiply_add(p, f, -0.5f);
  return fused_multiply_add(signed_float_of(exponent), kLog2, fused_multiply_add(f * f, p, f));
}

template <typename Bits, typename Float>
STIC_HD void box_muller(Bits a, Bits b, Float& z0, Float& z1) {
  const Float u = fused_multiply_add(signed_float_of(a >> 1), 0x1p-31f, 0x1p-32f);
  const Float radius = square_root(-2.0f * log_unit(u));

  // The top two bits choose the quarter turn, the rest the place t in [−½, ½] of a quarter turn within it.
  const Float t = signed_float_of(b << 2) * 0x1p-32f;
  const Float t2 = t * t;
  Float sine = -0x1.2d9b40p-8f;
  sine = fused_multiply_add(sine, t2, 0x1.465ec4p-4f);
  sine = fused_multiply_add(sine, t2, -0x1.4abbbap-1f);
  sine = fused_multiply_add(sine, t2, 0x1.921fb6p+0f) * t;
  Float cosine = 0x1.d9c2e8p-11f;
  cosine = fused_multiply_add(cosine, t2, -0x1.55c57ap-6f);
  cosine = fused_multiply_add(cosine, t2, 0x1.03c1dcp-2f);
  cosine = fused_multiply_add(cosine, t2, -0x1.3bd3ccp+0f);
  cosine = fused_multiply_add(cosine, t2, 1.0f);

  // An odd quarter swaps the two; the cosine is negative in quarters 1 and 2, the sine in 2 and 3.
  const Bits cosine_sign = (b + 0x40000000u) & 0x80000000u, sine_sign = b & 0x80000000u;
  z0 = radius * float_of(bits_of(by_bit_30(b, sine, cosine)) ^ cosine_sign);
  z1 = radius * float_of(bits_of(by_bit_30(b, cosine, sine)) ^ sine_sign);
}

}  // namespace stic
