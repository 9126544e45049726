// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// How ‖G − A‖² of a layer becomes its term of the Gram loss: the four scales of stic_fast.gram_loss.
#pragma once

#include <cmath>

#include "arithmetic.h"

namespace stic {

enum class GramScale : int { kLog = 0, kRelative = 1, kGatys = 2, kNone = 3 };

struct GramTerm {
  double value;
  double slope;  // ∂value/∂‖G − A‖²
};

// The term from ‖G − A‖² and ‖A‖², of features of that many channels and positions.
STIC_HD GramTerm gram_term(GramScale scale, double square, double norm, double channels, double size) {
  constexpr double kSmallestNorm = 1e-12;
  if (scale == GramScale::kNone) return {size * size * square, size * size};
  if (scale == GramScale::kGatys) return {square / (4 * channels * channels), 1 / (4 * channels * channels)};
  const double per_norm = 1 / (norm < kSmallestNorm ? kSmallestNorm : norm), relative = square * per_norm;
  if (scale == GramScale::kRelative) return {relative, per_norm};
  return {log1p(relative), per_norm / (1 + relative)};
}

}  // namespace stic
