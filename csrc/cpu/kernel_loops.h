// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Shared by the kernel sources: parallel loops over chains and pieces of chains.
//
// Every kernel source is compiled once per instruction set with STIC_ISA naming its namespace. All helpers here have
// internal linkage, so each instruction set keeps its own copy.
#pragma once

#include <algorithm>
#include <type_traits>

#include "../core/streams.h"
#include "kernels.h"
#include "noise_block.h"

namespace stic {
namespace STIC_ISA {

constexpr int64_t kPiece = 32 * kBlock;  // elements of one chain that one thread takes at a time
constexpr int64_t kPerThread = 16384;    // elements that repay waking a thread

// How many of the threads share the items, which are so much work in all; `repays` of it repay the waking of a thread.
// Whoever wakes one wakes all, so none is woken where fewer than one in kIdleToOne would have work: the barrier at the
// end waits for a word from each, some 0.1 µs apiece, and a share takes 3 to 10 µs.
STIC_HD int64_t workers_for(int64_t items, int64_t work, int64_t repays, int threads) {
  constexpr int kIdleToOne = 32;
  const int64_t workers = std::min({items, int64_t{threads}, 1 + work / repays});
  return workers * kIdleToOne < threads ? std::min<int64_t>(items, 1) : workers;
}

// body(worker) for worker = 0 .. workers − 1, each on a thread of its own. The team has one thread or all of them, as
// PyTorch's own teams have: GCC's OpenMP ends the threads by which a team is smaller than the one before it, and
// creates them again for the next that is larger.
template <typename Body>
static inline void for_each_worker(int64_t workers, [[maybe_unused]] int threads, const Body& body) {
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (workers > 1)
  for (int64_t worker = 0; worker < workers; ++worker) body(worker);
}

// body(item) over all items, which are so many elements; each worker's follow each other.
template <typename Body>
static inline void for_each_item(int64_t items, int64_t elements, int threads, const Body& body) {
  const int64_t workers = workers_for(items, elements, kPerThread, threads);
  for_each_worker(workers, threads, [&](int64_t worker) {
    for (int64_t item = items * worker / workers; item < items * (worker + 1) / workers; ++item) body(item);
  });
}

// body(chain, begin, end) over all elements of all chains, begin a multiple of the block size.
template <typename Body>
static inline void for_each_piece(int64_t chains, int64_t elements, int threads, const Body& body) {
  const int64_t pieces = (elements + kPiece - 1) / kPiece;
  for_each_item(chains * pieces, chains * elements, threads, [&](int64_t item) {
    const int64_t begin = item % pieces * kPiece;
    body(item / pieces, begin, std::min(elements, begin + kPiece));
  });
}

// body(at, count) over the blocks of [begin, end): the count of whole blocks is a compile-time constant, so that their
// loops unroll; only the last may be a smaller int.
template <typename Body>
STIC_HD void for_each_block(int64_t begin, int64_t end, const Body& body) {
  int64_t at = begin;
  for (; at + kBlock <= end; at += kBlock) body(at, std::integral_constant<int, kBlock>());
  if (at < end) body(at, static_cast<int>(end - at));
}

// Asks for what a walk through memory will read 4 KB later, one block's worth. The processor's own prefetchers stop at
// each page and do not run ahead far enough while noise is made: 13 ms become 8.4 ms at 9.6 million elements.
template <typename T>
STIC_HD void prefetch_ahead(const T* block) {
  constexpr int kLine = 64, kAhead = 4096;
  for (int byte = 0; byte < kBlock * static_cast<int>(sizeof(T)); byte += kLine)
    __builtin_prefetch(reinterpret_cast<const char*>(block) + kAhead + byte);
}

// Calls body with std::true_type or std::false_type.
template <typename Body>
STIC_HD void with_flag(bool flag, const Body& body) {
  if (flag)
    body(std::true_type());
  else
    body(std::false_type());
}

// body(chain) over all chains.
template <typename Body>
static inline void for_each_chain(int64_t chains, int64_t elements, int threads, const Body& body) {
  for_each_item(chains, chains * elements, threads, body);
}

void noise_fill(const NoiseFill&, int threads);
void grmala_step(const GrmalaStep&, int threads);
void gram_loss(const GramLayer*, int64_t count, int threads);
void gram_loss_gradient(const GramLayer*, int64_t count, int threads);
void metropolis_accept(const MetropolisAccept&, int threads);
void scaled_silu(const ScaledSilu&, int threads);
void scaled_silu_backward(const ScaledSiluBackward&, int threads);
void vrm_batch(const VrmBatch&, int threads);

}  // namespace STIC_ISA
}  // namespace stic
