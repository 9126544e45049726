// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The collectives of a warp that multiply matrix fragments; the layouts are device.cuh's.
#pragma once

#include <cstdint>

#include "block.h"

namespace stic::emulation {

enum class Precision { kTf32, kBf16 };

// d += a·b. Products are exact and each element is rounded to fp32 once, after all of them are summed.
void multiply(const Site& site, Precision precision, float* d, const uint32_t* a, const uint32_t* b);

// The TF32 number nearest to a float, ties away from zero.
uint32_t nearest_tf32(float value);

}  // namespace stic::emulation
