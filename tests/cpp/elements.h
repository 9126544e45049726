// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Comparing lists of stored numbers of any type, and what is said of the first difference.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "text.h"
#include "values.h"

namespace stic::testing {

// |got − wanted| ≤ absolute + relative·|wanted|. NaN matches NaN alone, an infinity itself alone.
struct Tolerance {
  double absolute = 0, relative = 0;

  bool accepts(double got, double wanted) const {
    if (std::isnan(wanted)) return std::isnan(got);
    if (std::isinf(wanted) || std::isinf(got)) return got == wanted;
    return std::fabs(got - wanted) <= absolute + relative * std::fabs(wanted);
  }
};

// A vector of stored numbers whose type is known to nobody but `value`.
struct Elements {
  const unsigned char* bytes;
  size_t count, width;
  double (*value)(const void* stored);

  size_t size() const { return count * width; }
  const unsigned char* at(size_t i) const { return bytes + i * width; }
  double operator[](size_t i) const { return value(at(i)); }
};

template <typename T>
Elements elements_of(const std::vector<T>& values) {
  return {reinterpret_cast<const unsigned char*>(values.data()), values.size(), sizeof(T), [](const void* place) {
            T stored;
            std::memcpy(&stored, place, sizeof stored);
            return number(stored);
          }};
}

// These answer with an empty string where all is well, else with what follows the list's name in a report.

inline std::string difference_in_count(size_t got, size_t wanted) {
  return got == wanted ? std::string() : text(" has ", got, " elements, wanted ", wanted);
}

inline std::string difference_in_bits(const Elements& got, const Elements& wanted) {
  if (got.count != wanted.count) return difference_in_count(got.count, wanted.count);
  if (got.size() == 0 || std::memcmp(got.bytes, wanted.bytes, got.size()) == 0) return {};
  size_t first = got.count, different = 0;
  for (size_t i = 0; i < got.count; ++i)
    if (std::memcmp(got.at(i), wanted.at(i), got.width) != 0 && different++ == 0) first = i;
  char numbers[160];
  std::snprintf(numbers, sizeof numbers, "] is %.17g (%a), wanted exactly %.17g (%a); ", got[first], got[first],
                wanted[first], wanted[first]);
  return text("[", first, numbers, different, " of ", got.count, " elements differ");
}

inline std::string difference_beyond(const Tolerance& tolerance, const Elements& got, const Elements& wanted) {
  if (got.count != wanted.count) return difference_in_count(got.count, wanted.count);
  size_t first = got.count, outside = 0;
  for (size_t i = 0; i < got.count; ++i)
    if (!tolerance.accepts(got[i], wanted[i]) && outside++ == 0) first = i;
  if (outside == 0) return {};
  const std::string within =
      std::isfinite(wanted[first])
          ? text(" to within ", tolerance.absolute + tolerance.relative * std::fabs(wanted[first]))
          : std::string();
  return text("[", first, "] is ", got[first], ", wanted ", wanted[first], within, "; ", outside, " of ", got.count,
              " elements are outside");
}

}  // namespace stic::testing
