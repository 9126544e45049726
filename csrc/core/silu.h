// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// silu(u)/0.596 and its derivative. C is a scalar, or the CPU's vectors with the e^t of cpu/lanes.h.
#pragma once

#include <cmath>

#include "arithmetic.h"

namespace stic {

STIC_HD float exponential(float t) { return expf(t); }
STIC_HD double exponential(double t) { return exp(t); }

// a/b, on a device to two units in the last place: b is at least 1.
template <typename C>
STIC_HD C quotient(C a, C b) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(C) == sizeof(float)) return __fdividef(a, b);
#endif
  return a / b;
}

// The inverse of the root mean square of silu of a standard normal number (Karras et al. 2024, equation 81).
constexpr double kSiluGain = 1 / 0.596;

template <typename C>
STIC_HD C gained_silu(C u) {
  return quotient(C(kSiluGain) * u, C(1) + exponential(C(0) - u));
}

template <typename C>
STIC_HD C gained_silu_slope(C u) {
  const C sigma = quotient(C(1), C(1) + exponential(C(0) - u));
  return C(kSiluGain) * sigma * multiply_add(u, C(1) - sigma, C(1));
}

}  // namespace stic
