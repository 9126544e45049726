// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The uses noise is put to. Each has its own stream, so that no two uses ever share a random word.
// stic_fast/ops/noise.py holds the same list for Python; tests/test_native.py compares the two.
#pragma once

#include <cstdint>

namespace stic {

enum Stream : uint32_t {
  kLangevin = 0,
  kChainInit = 1,
  kReinitCoin = 2,
  kInstanceNoise = 3,
  kMixup = 4,
  kAugmentation = 5,
  kMetropolis = 6,
  kBatchOrder = 7,
  kLatent = 8,
  kPatch = 9,
  kNoiseLevel = 10,
  kProbe = 11,
  kFilters = 12,
};

}  // namespace stic
