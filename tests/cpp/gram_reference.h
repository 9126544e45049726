// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The Gram loss of one layer in double precision, by its definition: no dual form, no tiles. Beside each number stands
// the sum of the absolute values that a kernel may add on its way there, to which its rounding errors are proportional.
#pragma once

#include <cmath>
#include <vector>

#include "../../csrc/core/gram_scale.h"

namespace stic::testing {

// One chain's features, channel by channel.
using Doubles = std::vector<double>;

struct GramReference {
  double term, slope, term_noise, slope_noise;
  Doubles gradient;         // (channels, size)
  Doubles gradient_noise;   // of its last product: Σ |D|·|F|, or Σ |F|·|P| + |R|·|Q|
  Doubles gradient_before;  // of the products before
};

// products[i][j] += factor·Σ_p left[i][p]·left[j][p]
inline void add_gram(Doubles& products, const Doubles& features, int channels, int size, double factor) {
  for (int i = 0; i < channels; ++i)
    for (int j = 0; j < channels; ++j) {
      double sum = 0;
      for (int p = 0; p < size; ++p) sum += features[i * size + p] * features[j * size + p];
      products[i * channels + j] += factor * sum;
    }
}

inline Doubles absolute(Doubles values) {
  for (double& value : values) value = std::fabs(value);
  return values;
}

inline double squares(const Doubles& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return sum;
}

// += factor·Σ |left|·|leftᵀ·features|, (channels, size)
inline void add_dual_noise(Doubles& noise, const Doubles& left, const Doubles& features, int channels, int left_size,
                           int size, double factor) {
  for (int p = 0; p < size; ++p)
    for (int q = 0; q < left_size; ++q) {
      double product = 0;
      for (int c = 0; c < channels; ++c) product += left[c * left_size + q] * features[c * size + p];
      for (int c = 0; c < channels; ++c) noise[c * size + p] += factor * std::fabs(left[c * left_size + q] * product);
    }
}

// `gram` is A, or empty: then it is the reference's.
inline GramReference gram_reference(const Doubles& features, const Doubles& reference, Doubles gram, int channels,
                                    int size, int reference_size, GramScale scale, bool dual) {
  const size_t square_count = static_cast<size_t>(channels) * channels;
  Doubles difference(square_count), summed(square_count), summed_target(square_count);
  if (gram.empty()) {
    gram.assign(square_count, 0);
    add_gram(gram, reference, channels, reference_size, 1.0 / reference_size);
    add_gram(summed_target, absolute(reference), channels, reference_size, 1.0 / reference_size);
  } else {
    summed_target = absolute(gram);
  }
  for (size_t i = 0; i < square_count; ++i) summed[i] = size * summed_target[i];
  add_gram(difference, features, channels, size, 1.0 / size);
  add_gram(summed, absolute(features), channels, size, 1.0);
  for (size_t i = 0; i < square_count; ++i) difference[i] -= gram[i];

  GramReference result;
  const double norm = squares(gram);
  const GramTerm term = gram_term(scale, squares(difference), norm, channels, size);
  result.term = term.value;
  result.slope = term.slope;
  const double square_noise = squares(summed) / (static_cast<double>(size) * size);
  result.term_noise = term.slope * square_noise;
  // The slope is 1/‖A‖² or, of the logarithm, 1/(‖A‖² + ‖G − A‖²), unless it is a constant: the derivative of 1/x in
  // x is −1/x², the slope's own square, which meets what x adds up.
  const double of_norm = scale == GramScale::kLog || scale == GramScale::kRelative ? squares(summed_target) : 0;
  const double of_square = scale == GramScale::kLog ? square_noise : 0;
  result.slope_noise = term.slope * term.slope * (of_norm + of_square);
  const size_t count = static_cast<size_t>(channels) * size;
  result.gradient.assign(count, 0);
  result.gradient_noise.assign(count, 0);
  result.gradient_before.assign(count, 0);
  for (int i = 0; i < channels; ++i)
    for (int j = 0; j < channels; ++j) {
      const double symmetric = (difference[i * channels + j] + difference[j * channels + i]) / 2;
      for (int p = 0; p < size; ++p) {
        const double value = features[j * size + p], factor = 4 * term.slope / size;
        result.gradient[i * size + p] += factor * symmetric * value;
        if (!dual) result.gradient_noise[i * size + p] += factor * std::fabs(symmetric * value);
        result.gradient_before[i * size + p] += factor / size * summed[i * channels + j] * std::fabs(value);
      }
    }
  if (dual) {
    const double factor = 4 * term.slope / size;
    add_dual_noise(result.gradient_noise, features, features, channels, size, size, factor / size);
    add_dual_noise(result.gradient_noise, reference, features, channels, reference_size, size, factor / reference_size);
  }
  return result;
}

// A number as the tensor cores take it: 10 bits of mantissa, ties away from zero.
inline double tf32(double value) {
  const float single = static_cast<float>(value);
  return float_of((bits_of(single) + 0x1000u) & 0xFFFFE000u);
}

}  // namespace stic::testing
