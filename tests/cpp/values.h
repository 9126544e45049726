// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Test data: the storage types, their names and precision, and reproducible random values.
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "../../csrc/core/arguments.h"
#include "text.h"

namespace stic::testing {

template <typename T>
struct TypeTag {
  using type = T;
};

// Calls visit(TypeTag<T>()) for each T.
template <typename... Types, typename Visit>
void for_each_type(Visit&& visit) {
  (visit(TypeTag<Types>()), ...);
}

// The four storage types; with STIC_FEW_TYPES, for a quick build, only float.
template <typename Visit>
void for_each_storage_type(Visit&& visit) {
#if defined(STIC_FEW_TYPES)
  for_each_type<float>(visit);
#else
  for_each_type<float, double, BFloat16, Float16>(visit);
#endif
}

template <typename T>
constexpr const char* type_name() {
  if (std::is_same_v<T, float>) return "float32";
  if (std::is_same_v<T, double>) return "float64";
  if (std::is_same_v<T, BFloat16>) return "bfloat16";
  if (std::is_same_v<T, Float16>) return "float16";
  return "integer";
}

template <typename T>
constexpr DType dtype_of() {
  return std::is_same_v<T, double>     ? DType::kFloat64
         : std::is_same_v<T, BFloat16> ? DType::kBFloat16
         : std::is_same_v<T, Float16>  ? DType::kFloat16
                                       : DType::kFloat32;
}

// Half the distance from 1 to the next number: the largest relative error of one rounding to T.
template <typename T>
constexpr double rounding() {
  return std::is_same_v<T, double>    ? 0x1p-53
         : std::is_same_v<T, float>   ? 0x1p-24
         : std::is_same_v<T, Float16> ? 0x1p-11
                                      : 0x1p-8;
}

// The value of a stored number, exactly.
template <typename T>
double number(T stored) {
  if constexpr (std::is_arithmetic_v<T>)
    return static_cast<double>(stored);
  else
    return static_cast<double>(load(stored));
}

// The stored number nearest to a value.
template <typename T>
T stored(double value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<T>(value);
  } else {
    T result;
    store(&result, static_cast<float>(value));
    return result;
  }
}

template <typename T>
std::vector<double> numbers(const std::vector<T>& stored) {
  std::vector<double> values;
  values.reserve(stored.size());
  for (const T item : stored) values.push_back(number(item));
  return values;
}

// A small generator for test data (SplitMix64), independent of the one under test.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t word() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t bound) { return word() % bound; }
  double uniform(double low, double high) { return low + (high - low) * static_cast<double>(word() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

// `count` numbers between low and high, rounded to T.
template <typename T>
std::vector<T> uniform_values(int64_t count, double low, double high, uint64_t seed) {
  Random random(seed);
  std::vector<T> values;
  values.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values.push_back(stored<T>(random.uniform(low, high)));
  return values;
}

// `count` integers from low to high, both included.
template <typename T>
std::vector<T> integer_values(int64_t count, int64_t low, int64_t high, uint64_t seed) {
  Random random(seed);
  std::vector<T> values;
  values.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<T>(low + static_cast<int64_t>(random.below(static_cast<uint64_t>(high - low + 1)))));
  return values;
}

}  // namespace stic::testing
