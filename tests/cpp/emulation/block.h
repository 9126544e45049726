// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// A block of threads on the host: one fiber per thread, and the points at which threads wait for each other.
//
// A thread runs until it waits or returns; then the next one that can run does, in the order that the schedule says.
// Where nobody can run any more although some still wait, the program is wrong, and the fault names who waits where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "site.h"

namespace stic::emulation {

// What the built-in variables read. Changes at every jump between fibers.
struct Position {
  Index thread, block, threads, grid;
};
extern Position position;

enum class Order { kAscending, kDescending, kShuffled };

// Everything that hardware leaves open and a kernel may not depend on.
struct Schedule {
  Order threads = Order::kAscending, blocks = Order::kAscending;
  bool hop = false;             // warps take turns after each collective, instead of running up to a barrier
  bool deferred_copies = true;  // asynchronous copies move their bytes when waited for, or else at once
  uint64_t seed = 0;
};
extern Schedule schedule;

// Whether there are kernels for the device. A test may take them away.
inline bool holds_code = true;

struct Grid {
  Index blocks, threads;
  size_t shared;
};

// Ends the running kernel with a fault, or on the host throws it.
[[noreturn]] void fault(const Site& site, const std::string& message);

// Runs `body(context)` once for each thread of each block.
void run_grid(const Grid& grid, void (*body)(void* context), void* context);

enum class Vote { kAny, kAll, kCount };

// Waits for all threads of the block.
int meet_block(const Site& site, Vote vote, bool predicate);

// Waits for the lanes of the warp that `mask` names. Each leaves a pointer to what it brings; the last to come calls
// `complete` with all of them, which writes each lane's result through its pointer.
using Complete = void (*)(void* const brought[32], uint32_t mask);
void meet_warp(const Site& site, uint32_t mask, void* brought, Complete complete);

// The same for collectives of all 32 lanes.
void meet_whole_warp(const Site& site, void* brought, Complete complete);

// Number of the running thread in its block.
int running_thread();

}  // namespace stic::emulation
