// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Places in a kernel's source, places in a grid, and the errors found there, in words.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

namespace stic::emulation {

// An error of the program under test that hardware would not forgive.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A place in the kernel's source and what is called there; Site("…") as a default argument is the caller's.
struct Site {
  explicit Site(const char* operation_ = "", const char* file_ = __builtin_FILE(), int line_ = __builtin_LINE())
      : operation(operation_), file(file_), line(line_) {}
  const char* operation;
  const char* file;
  int line;
};

inline bool operator==(const Site& a, const Site& b) {
  const auto same = [](const char* one, const char* other) { return one == other || std::strcmp(one, other) == 0; };
  return a.line == b.line && same(a.operation, b.operation) && same(a.file, b.file);
}

inline std::string text_of(const Site& site) {
  const char* const slash = std::strrchr(site.file, '/');
  return std::string(slash ? slash + 1 : site.file) + ":" + std::to_string(site.line);
}

// Of a thread, a block, or how many there are.
struct Index {
  unsigned x = 0, y = 0, z = 0;
};

inline std::string text_of(const Index& index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

inline std::string text_of_lanes(uint32_t mask) {
  char digits[16];
  std::snprintf(digits, sizeof digits, "0x%08x", mask);
  return std::string("lanes ") + digits;
}

}  // namespace stic::emulation
