// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Words and numbers put together.
#pragma once

#include <cstdio>
#include <string>
#include <type_traits>

namespace stic::testing {

// A word or a number, written out. Classes instead of templates, which would be compiled for every list of types.
class Part {
 public:
  Part(const char* words) : words_(words) {}
  Part(const std::string& words) : words_(words) {}
  template <typename Number, std::enable_if_t<std::is_arithmetic_v<Number>, int> = 0>
  Part(Number number) {
    if constexpr (std::is_floating_point_v<Number>)
      words_ = written(static_cast<double>(number));
    else
      words_ = std::to_string(number);
  }
  const std::string& words() const { return words_; }

 private:
  static std::string written(double number) {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.9g", number);
    return digits;
  }
  std::string words_;
};

inline std::string joined(const Part* parts, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += parts[i].words();
  return all;
}

// The arguments written one after another.
template <typename... Parts>
std::string text(const Parts&... parts) {
  const Part all[] = {parts...};
  return joined(all, static_cast<int>(sizeof...(Parts)));
}

}  // namespace stic::testing
