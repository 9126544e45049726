// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The collectives of a warp that multiply matrix fragments; the layouts are device.cuh's.
#pragma once

#include <cstdint>

#include "block.h"

namespace stic::emulation {

enum class Precision { kTf32, kBf16 };

// How products, which are exact, are added to an element of d.
//
// kTruncated: as compute capability 8.x does, the roughest of those that the kernels run on. Half of the products, then
// the other half: each of them and what d holds is cut off at 2⁻²⁴ of the power of two that the largest of all has, by
// its factors' exponents; the sum of that is exact, and is cut off at fp32. Cutting off goes towards zero, so that sums
// of one sign come out too small. (Compute capability 9.0 takes all products at once and cuts off at 2⁻²⁵.)
// M. Fasi, N. J. Higham, M. Mikaitis, S. Pranesh, "Numerical behavior of NVIDIA tensor cores", PeerJ Computer Science
// 7:e330, 2021; F. A. Khattak, M. Mikaitis, "Accurate models of NVIDIA tensor cores", arXiv:2512.07004, 2025.
//
// kNearest: rounded to the nearest fp32 number once, after all of them are summed. Nobody's, but what a kernel loses in
// it is the kernel's own.
enum class Sums { kTruncated, kNearest };
extern Sums sums;

// d += a·b.
void multiply(const Site& site, Precision precision, float* d, const uint32_t* a, const uint32_t* b);

// The TF32 number nearest to a float, ties away from zero.
uint32_t nearest_tf32(float value);

}  // namespace stic::emulation
