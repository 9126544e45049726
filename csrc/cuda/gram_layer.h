// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// What the Gram kernels are told of each layer. All layers of a call have the same chains and one type.
#pragma once

#include <cstdint>

#include "../core/gram_scale.h"

namespace stic::cuda {

struct GramLayer {
  const void* features;   // (chains, channels, size), or (chains, size, channels) with the channels last
  const void* reference;  // likewise, with reference_size; null if A is given
  const float* gram;      // A: (chains, channels, channels); null if reference is given
  float* difference;      // (chains, channels, difference_pitch): the primal form's D; null without a gradient
  void* gradient;         // like features: of the layer's term; null if not asked for
  float *terms, *slopes;  // (chains): the layer's term, and its derivative in ‖FFᵀ/M − A‖²
  int channels, size, reference_size;
  bool channels_last, shared_target, dual;  // shared_target: one for all chains
  GramScale scale;
};

// Gradient of the loss in a layer's features, from that of the layer's term: times grad_loss, chain by chain.
struct GramGradient {
  const void* of_term;  // (chains, numbers)
  void* gradient;       // likewise
  int64_t numbers;
};

// Numbers between rows of D: whole 16 bytes.
STIC_HD int64_t difference_pitch(int64_t channels) { return (channels + 3) / 4 * 4; }

// Most positions of features and of references that the dual form takes.
constexpr int kMostDualPositions = 64;

}  // namespace stic::cuda
