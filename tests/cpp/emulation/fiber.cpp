// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT
#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#if defined(STIC_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

extern "C" void stic_jump(void** saved, void* next) __asm__("stic_jump");

// Pushes the callee-saved registers, changes stacks, pops the other's.
#if defined(__x86_64__)
__asm__(R"(
.text
.p2align 4
stic_jump:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
#elif defined(__aarch64__)
__asm__(R"(
.text
.p2align 4
stic_jump:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
#else
#error "the emulation changes stacks on x86-64 and aarch64 only"
#endif

namespace stic::emulation {

namespace {

constexpr size_t kStack = 256 * 1024;
[[maybe_unused]] constexpr size_t kLeavers = 16 * 1024;
std::vector<unsigned char*> stacks;  // each above a page that may not be touched

Fiber the_main_fiber;
Fiber* departed;  // by the latest jump

unsigned char* new_stack() {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* const memory = mmap(nullptr, page + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0) std::abort();
  return static_cast<unsigned char*>(memory) + page;
}

}  // namespace

Fiber& main_fiber() { return the_main_fiber; }

void prepare(Fiber& fiber, int index, void (*entry)()) {
  while (static_cast<size_t>(index) >= stacks.size()) stacks.push_back(new_stack());
  unsigned char* const stack = stacks[static_cast<size_t>(index)];
#if defined(STIC_ADDRESS_SANITIZER)
  // The functions by which the fiber before left this stack have never returned: nobody has swept up after them.
  __asan_unpoison_memory_region(stack + kStack - kLeavers, kLeavers);
#endif
  // Tops at different distances from a page's end: else all of them would compete for the same lines of the cache.
  const size_t stagger = static_cast<size_t>(index) * 7 % 61 * 64;
  void** top = reinterpret_cast<void**>(stack + kStack - stagger);
#if defined(__x86_64__)
  *--top = nullptr;                              // where a return address would be: entry sees an aligned stack
  *--top = reinterpret_cast<void*>(entry);       // popped by ret
  for (int i = 0; i < 6; ++i) *--top = nullptr;  // the registers
#else
  for (int i = 0; i < 20; ++i) *--top = nullptr;
  top[11] = reinterpret_cast<void*>(entry);  // x30
#endif
  fiber = {top, stack, kStack, nullptr};
}

void jump(Fiber& from, Fiber& to) {
  departed = &from;
#if defined(STIC_ADDRESS_SANITIZER)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
#endif
  stic_jump(&from.stack_pointer, to.stack_pointer);
#if defined(STIC_ADDRESS_SANITIZER)
  __sanitizer_finish_switch_fiber(from.fake_stack, &departed->bottom, &departed->size);
#endif
}

void arrived() {
#if defined(STIC_ADDRESS_SANITIZER)
  __sanitizer_finish_switch_fiber(nullptr, &departed->bottom, &departed->size);
#endif
}

void sweep_stacks() {
#if defined(STIC_ADDRESS_SANITIZER)
  for (unsigned char* const stack : stacks) __asan_unpoison_memory_region(stack, kStack);
#endif
}

}  // namespace stic::emulation
