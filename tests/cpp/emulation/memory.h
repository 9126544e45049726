// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The emulated device's memory: the shared memory of the running block, the global memory that buffers own, and the
// asynchronous copies between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "block.h"

namespace stic::emulation {

constexpr size_t kSharedLimit = 232448;  // bytes for one block on compute capability 9.0

// What shared_limit() answers and launches are held to. A test may lower it.
extern size_t shared_limit_bytes;

// Shared memory starts a block as NaN (all bits set).
void begin_block(int threads, size_t shared_bytes);
// What is wrong with the block that has ended, or an empty string.
std::string end_block();
// A fault if copies that the thread has started were never waited for.
void end_thread(int thread);

unsigned char* shared_memory(const Site& site);
// Global memory from which copies may read. Where nobody owns any, they may read everywhere.
void own(const void* address, size_t bytes);
void disown(const void* address);

// cp.async of the running thread; see device.cuh.
void start_copy(const Site& site, void* shared, const void* global, int valid);
void commit_copies(const Site& site);
void await_copies(const Site& site, int pending);

}  // namespace stic::emulation
