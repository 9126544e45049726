// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The device under test when it is emulated: its memory, and the orders of threads, blocks and copies to be tried.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "emulation.h"
#include "emulation/fiber.h"
#include "emulation/watch.h"

#if defined(STIC_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

namespace stic::testing::backend {

inline unsigned char* allocate(size_t bytes) {
  return static_cast<unsigned char*>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
}
inline void release(unsigned char* memory) { std::free(memory); }

inline void to_device(void* target, const void* source, size_t bytes) {
  if (bytes > 0) std::memcpy(target, source, bytes);
}
inline void to_host(void* target, const void* source, size_t bytes) { to_device(target, source, bytes); }
inline void fill(void* target, int byte, size_t bytes) {
  if (bytes > 0) std::memset(target, byte, bytes);
}

// Between the fences, `front` bytes before and `back` behind, lie `bytes` bytes that kernels may touch.
inline void fence(unsigned char* whole, size_t front, size_t bytes, size_t back) {
  emulation::own(whole + front, bytes);
#if defined(STIC_ADDRESS_SANITIZER)
  __asan_poison_memory_region(whole, front);
  __asan_poison_memory_region(whole + front + bytes, back);
#else
  static_cast<void>(back);
#endif
}
inline void unfence(unsigned char* whole, size_t front, size_t bytes, size_t back) {
  emulation::disown(whole + front);
#if defined(STIC_ADDRESS_SANITIZER)
  __asan_unpoison_memory_region(whole, front + bytes + back);
#else
  static_cast<void>(bytes + back);
#endif
}

// The first run is as tidy as can be, the second its opposite; further ones are shuffled in ways of their own.
inline std::string begin_run(int run) {
  using emulation::Order;
  emulation::Schedule& schedule = emulation::schedule;
  emulation::shared_limit_bytes = emulation::kSharedLimit;
  schedule = {};
  if (run == 0) return "threads and blocks ascending, copies deferred";
  schedule.seed = static_cast<uint64_t>(run);
  schedule.hop = true;
  schedule.deferred_copies = run % 2 == 0;
  if (run == 1) {
    schedule.threads = schedule.blocks = Order::kDescending;
    return "threads and blocks descending, warps in turn, copies at once";
  }
  schedule.threads = schedule.blocks = Order::kShuffled;
  return "threads and blocks shuffled with seed " + std::to_string(run) + ", warps in turn, copies " +
         (schedule.deferred_copies ? "deferred" : "at once");
}

// How the tensor cores add: as hardware does, unless told otherwise.
constexpr const char* kMoreOptions = " [--sums truncated|nearest]";
inline bool choose_sums(const std::string& way) {
  emulation::sums = way == "nearest" ? emulation::Sums::kNearest : emulation::Sums::kTruncated;
  return way == "nearest" || way == "truncated";
}

inline void watch(const std::string& combination, int seconds) { emulation::watch(combination, seconds); }

// Emulated launches are over when they return, and throw their faults.
inline std::string synchronize() { return {}; }

}  // namespace stic::testing::backend
