// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Fibers: stacks of their own between which a program jumps by hand. A jump saves the registers that a function call
// preserves and takes some nanoseconds (ucontext would ask the kernel for its signal mask each time).
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STIC_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define STIC_ADDRESS_SANITIZER
#endif

namespace stic::emulation {

struct Fiber {
  void* stack_pointer = nullptr;  // while it does not run
  const void* bottom = nullptr;   // of its stack, for AddressSanitizer
  size_t size = 0;
  void* fake_stack = nullptr;
};

// The fiber that main() runs on.
Fiber& main_fiber();

// Makes fiber number `index` start afresh in `entry`, which must never return. Stacks are made once and used again.
void prepare(Fiber& fiber, int index, void (*entry)());

// Leaves `from` for `to`; returns when something jumps back to `from`.
void jump(Fiber& from, Fiber& to);

// To be called first in `entry`: completes the jump there.
void arrived();

// Forgets what abandoned fibers have left on their stacks.
void sweep_stacks();

}  // namespace stic::emulation
