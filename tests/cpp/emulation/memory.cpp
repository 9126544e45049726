// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT
#include "memory.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "fiber.h"

#if defined(STIC_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

namespace stic::emulation {

size_t shared_limit_bytes = kSharedLimit;

namespace {

// Shared memory lies between two guards.
constexpr size_t kGuard = 4096, kMost = 256 * 1024;
constexpr unsigned char kGuardByte = 0xFD;
alignas(128) unsigned char shared_arena[kGuard + kMost + kGuard];
unsigned char* const shared = shared_arena + kGuard;
size_t shared_bytes;
bool in_block;

std::map<const unsigned char*, size_t> owned;  // start → bytes

struct Copy {
  Site site;
  unsigned char* shared;
  const unsigned char* global;
  int valid;
  int group;
};

struct Copies {
  std::vector<Copy> pending;  // oldest first
  int group = 0;              // the open one
};
std::vector<Copies> copies;  // by thread

void set_fence(bool closed) {
#if defined(STIC_ADDRESS_SANITIZER)
  const auto change = closed ? __asan_poison_memory_region : __asan_unpoison_memory_region;
  change(shared_arena, kGuard);
  change(shared + shared_bytes, sizeof shared_arena - kGuard - shared_bytes);
#else
  static_cast<void>(closed);
#endif
}

void perform(const Copy& copy) {
  const size_t valid = static_cast<size_t>(copy.valid);
  if (valid > 0) std::memcpy(copy.shared, copy.global, valid);
  std::memset(copy.shared + valid, 0, 16 - valid);
}

// Whether a buffer holds the bytes; of memory that comes from elsewhere nothing is known.
bool may_be_read(const unsigned char* address, size_t bytes) {
  if (owned.empty()) return true;
  auto place = owned.upper_bound(address);
  if (place == owned.begin()) return false;
  --place;
  return address + bytes <= place->first + place->second;
}

}  // namespace

void begin_block(int threads, size_t bytes) {
  shared_bytes = bytes;
  in_block = true;
  set_fence(false);
  std::memset(shared - kGuard, kGuardByte, kGuard);
  std::memset(shared, 0xFF, bytes);
  std::memset(shared + bytes, kGuardByte, kGuard);
  set_fence(true);
  if (copies.size() < static_cast<size_t>(threads)) copies.resize(static_cast<size_t>(threads));
  for (Copies& each : copies) each = {{}, 0};
}

std::string end_block() {
  in_block = false;
  set_fence(false);
  for (size_t i = 0; i < kGuard; ++i) {
    if (shared[shared_bytes + i] != kGuardByte)
      return "shared memory was written " + std::to_string(i) + " bytes past its " + std::to_string(shared_bytes);
    if (shared_arena[i] != kGuardByte)
      return "shared memory was written " + std::to_string(kGuard - i) + " bytes before its start";
  }
  return {};
}

void end_thread(int thread) {
  const Copies& mine = copies[static_cast<size_t>(thread)];
  if (mine.pending.empty()) return;
  fault(mine.pending[0].site, std::to_string(mine.pending.size()) + " copies were started and never waited for");
}

unsigned char* shared_memory(const Site& site) {
  if (!in_block) fault(site, "dynamic_shared");
  return shared;
}

void own(const void* address, size_t bytes) { owned[static_cast<const unsigned char*>(address)] = bytes; }
void disown(const void* address) { owned.erase(static_cast<const unsigned char*>(address)); }

void start_copy(const Site& site, void* target, const void* source, int valid) {
  const int64_t start = static_cast<unsigned char*>(target) - shared;
  if (start < 0 || static_cast<size_t>(start) + 16 > shared_bytes)
    fault(site, "copy_async of 16 bytes at offset " + std::to_string(start) + " of shared memory, which has " +
                    std::to_string(shared_bytes));
  if (reinterpret_cast<uintptr_t>(target) % 16 != 0) fault(site, "copy_async to shared memory not aligned to 16 bytes");
  if (reinterpret_cast<uintptr_t>(source) % 16 != 0) fault(site, "copy_async from an address not aligned to 16 bytes");
  if (valid < 0 || valid > 16) fault(site, "copy_async of " + std::to_string(valid) + " bytes; 0 to 16 can be");
  const unsigned char* const global = static_cast<const unsigned char*>(source);
  if (valid > 0 && !may_be_read(global, static_cast<size_t>(valid)))
    fault(site, "copy_async from global memory outside of any buffer");
  Copies& mine = copies[static_cast<size_t>(running_thread())];
  mine.pending.push_back({site, static_cast<unsigned char*>(target), global, valid, mine.group});
  if (!schedule.deferred_copies) perform(mine.pending.back());
}

void commit_copies(const Site& site) {
  if (!in_block) fault(site, "copy_async_commit");
  ++copies[static_cast<size_t>(running_thread())].group;
}

void await_copies(const Site& site, int pending) {
  if (!in_block) fault(site, "copy_async_wait");
  Copies& mine = copies[static_cast<size_t>(running_thread())];
  size_t done = 0;
  while (done < mine.pending.size() && mine.pending[done].group < mine.group - pending) {
    if (schedule.deferred_copies) perform(mine.pending[done]);
    ++done;
  }
  mine.pending.erase(mine.pending.begin(), mine.pending.begin() + static_cast<int64_t>(done));
}

}  // namespace stic::emulation
