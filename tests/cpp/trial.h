// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// One run of one combination: its buffers, its launches and what is expected of the outputs. The first run is compared
// with the reference, every other run bit for bit with the first.
#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "device_buffer.h"
#include "elements.h"
#include "values.h"

namespace stic::testing {

// A place in a test's source; Line() as a default argument is the caller's.
struct Line {
  explicit Line(const char* file_ = __builtin_FILE(), int number_ = __builtin_LINE()) : file(file_), number(number_) {}
  const char* file;
  int number;
};
inline std::string text_of(const Line& line) {
  const std::string path = line.file;
  return text(path.substr(path.find_last_of('/') + 1), ":", line.number);
}

// Ends a combination.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Bytes = std::vector<unsigned char>;
using Outputs = std::map<std::string, Bytes>;  // of the first run, by name

class Trial {
 public:
  Trial(bool first, Outputs& outputs) : first_(first), outputs_(outputs) {}

  // A buffer that holds `values`, `offset` elements past an aligned address. Unless an output is expected in it, the
  // combination fails if a kernel changes it.
  template <typename T>
  DeviceBuffer<T> input(const std::vector<T>& values, int64_t offset = 0) {
    const DeviceBuffer<T> buffer(values, offset);
    const Elements all = elements_of(values);
    kept_.push_back({buffer.memory(), Bytes(all.bytes, all.bytes + all.size()), true});
    return buffer;
  }

  // A buffer that holds NaN (all bits set).
  template <typename T>
  DeviceBuffer<T> output(int64_t count, int64_t offset = 0) {
    const DeviceBuffer<T> buffer(count, offset);
    kept_.push_back({buffer.memory(), {}, false});
    return buffer;
  }

  // Takes what a launcher returned, and waits for the device.
  void launch(cudaError_t error, Line line = Line()) {
    if (error != cudaSuccess) fail(line, text("the launch returned ", cudaGetErrorString(error)));
    const std::string trouble = backend::synchronize();
    if (!trouble.empty()) fail(line, trouble);
  }

  void check(bool holds, const std::string& what, Line line = Line()) {
    ++expectations_;
    if (!holds) fail(line, what);
  }

  // Expects the bits of `wanted`: a vector<T>, or a callable that makes one and is called in the first run alone.
  template <typename T, typename Wanted>
  void expect_equal(const std::string& name, const DeviceBuffer<T>& buffer, const Wanted& wanted, Line line = Line()) {
    const std::vector<T> got = buffer.download();
    std::string report;
    if (first_) {
      const std::vector<T> values = evaluated(wanted);
      report = difference_in_bits(elements_of(got), elements_of(values));
    }
    settle(name, buffer.memory(), elements_of(got), report, line);
  }

  // Expects every element within the tolerance of `wanted`: a vector of numbers, or a callable that makes one.
  template <typename T, typename Wanted>
  void expect_close(const std::string& name, const DeviceBuffer<T>& buffer, const Wanted& wanted, Tolerance tolerance,
                    Line line = Line()) {
    const std::vector<T> got = buffer.download();
    std::string report;
    if (first_) {
      const auto values = evaluated(wanted);
      report = difference_beyond(tolerance, elements_of(got), elements_of(values));
    }
    settle(name, buffer.memory(), elements_of(got), report, line);
  }

  // Expects `judge` to answer the downloaded vector<T> with an empty string; else it is what the report says after the
  // name.
  template <typename T, typename Judge>
  void expect_that(const std::string& name, const DeviceBuffer<T>& buffer, const Judge& judge, Line line = Line()) {
    const std::vector<T> got = buffer.download();
    settle(name, buffer.memory(), elements_of(got), first_ ? std::string(judge(got)) : std::string(), line);
  }

  // Expects the same bits in every run, whatever they are.
  template <typename T>
  void expect_same(const std::string& name, const DeviceBuffer<T>& buffer, Line line = Line()) {
    const std::vector<T> got = buffer.download();
    settle(name, buffer.memory(), elements_of(got), {}, line);
  }

  // After the body: something was expected, guards are intact, inputs as they were.
  void finish() const {
    if (expectations_ == 0) throw Failure("nothing was expected of it");
    for (const Kept& kept : kept_) {
      const std::string damage = kept.memory->damage();
      if (!damage.empty()) throw Failure(text("a kernel ", damage, " (a buffer of ", kept.memory->bytes(), " bytes)"));
      if (!kept.unchanged) continue;
      Bytes now(kept.memory->bytes());
      backend::to_host(now.data(), kept.memory->data(), now.size());
      if (now != kept.uploaded) throw Failure(text("a kernel changed an input of ", now.size(), " bytes"));
    }
  }

 private:
  struct Kept {
    std::shared_ptr<GuardedMemory> memory;
    Bytes uploaded;
    bool unchanged;
  };

  [[noreturn]] static void fail(Line line, const std::string& what) { throw Failure(text(text_of(line), ": ", what)); }

  // Fails with what the reference has to say, or else where the output is not what it was in the first run.
  void settle(const std::string& name, const std::shared_ptr<GuardedMemory>& memory, const Elements& got,
              const std::string& report, Line line) {
    ++expectations_;
    if (!report.empty()) fail(line, name + report);
    for (Kept& kept : kept_)
      if (kept.memory == memory) kept.unchanged = false;
    const auto [place, fresh] = outputs_.emplace(name, Bytes(got.bytes, got.bytes + got.size()));
    const Elements before{place->second.data(), place->second.size() / got.width, got.width, got.value};
    const std::string difference = fresh ? std::string() : difference_in_bits(got, before);
    if (!difference.empty())
      fail(line, text(name, difference, " since the first run: the order of threads or copies matters"));
  }

  template <typename Wanted>
  static auto evaluated(const Wanted& wanted) {
    if constexpr (std::is_invocable_v<Wanted>)
      return wanted();
    else
      return wanted;
  }

  bool first_;
  int expectations_ = 0;
  Outputs& outputs_;
  std::vector<Kept> kept_;
};

}  // namespace stic::testing
