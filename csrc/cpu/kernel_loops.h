// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Shared by the kernel sources: blocks of noise, and a parallel loop over (chain, piece of chain).
//
// Every kernel source is compiled once per instruction set with STIC_ISA naming its namespace. All helpers here have
// internal linkage, so each instruction set keeps its own copy.
#pragma once

#include <algorithm>

#include "../core/normal.h"
#include "../core/storage.h"
#include "../core/streams.h"
#include "kernels.h"

namespace stic {
namespace STIC_ISA {

constexpr int kBlock = 64;             // elements whose noise is made at once: 16 Philox counters
constexpr int64_t kPiece = 64 * 64;    // elements of one chain that one thread takes at a time
constexpr int64_t kPerThread = 16384;  // elements that repay waking a thread

STIC_HD uint32_t chain_id(const NoiseSource& noise, int64_t chain) {
  return static_cast<uint32_t>(noise.chain_ids ? noise.chain_ids[chain] : chain);
}

STIC_HD NoiseAddress address_of(const NoiseSource& noise, uint32_t stream) {
  return {noise.seed, static_cast<uint32_t>(noise.step), stream};
}

// z[0..64) = the normals of elements 64·block .. 64·block + 63 of one chain.
STIC_HD void normal_block(float* __restrict z, const NoiseAddress& address, uint32_t chain, int64_t block) {
  const uint32_t first = static_cast<uint32_t>(block * (kBlock / 4));
#pragma GCC ivdep
  for (int i = 0; i < kBlock / 4; ++i) {
    const Words words = noise_words(address, chain, first + i);
    box_muller(words.w0, words.w1, z[4 * i], z[4 * i + 1]);
    box_muller(words.w2, words.w3, z[4 * i + 2], z[4 * i + 3]);
  }
}

// Likewise the uniforms.
STIC_HD void uniform_block(float* __restrict u, const NoiseAddress& address, uint32_t chain, int64_t block) {
  const uint32_t first = static_cast<uint32_t>(block * (kBlock / 4));
#pragma GCC ivdep
  for (int i = 0; i < kBlock / 4; ++i) {
    const Words words = noise_words(address, chain, first + i);
    u[4 * i] = uniform_of(words.w0);
    u[4 * i + 1] = uniform_of(words.w1);
    u[4 * i + 2] = uniform_of(words.w2);
    u[4 * i + 3] = uniform_of(words.w3);
  }
}

// body(chain, begin, end) over all elements of all chains, begin a multiple of the block size.
template <typename Body>
static inline void for_each_piece(int64_t chains, int64_t elements, int threads, const Body& body) {
  const int64_t pieces = (elements + kPiece - 1) / kPiece;
  const int team = static_cast<int>(std::min<int64_t>(threads, 1 + chains * elements / kPerThread));
#pragma omp parallel for schedule(static) num_threads(team) if (team > 1)
  for (int64_t item = 0; item < chains * pieces; ++item) {
    const int64_t begin = item % pieces * kPiece;
    body(item / pieces, begin, std::min(elements, begin + kPiece));
  }
}

// body(chain) over all chains.
template <typename Body>
static inline void for_each_chain(int64_t chains, int64_t elements, int threads, const Body& body) {
  const int team = static_cast<int>(std::min<int64_t>(threads, 1 + chains * elements / kPerThread));
#pragma omp parallel for schedule(static) num_threads(team) if (team > 1)
  for (int64_t chain = 0; chain < chains; ++chain) body(chain);
}

// Calls body with a null pointer of the storage type that dtype names.
template <typename Body>
static inline void with_storage_type(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::kFloat32:
      return body(static_cast<float*>(nullptr));
    case DType::kFloat64:
      return body(static_cast<double*>(nullptr));
    case DType::kBFloat16:
      return body(static_cast<BFloat16*>(nullptr));
    case DType::kFloat16:
      return body(static_cast<Float16*>(nullptr));
  }
}

void noise_fill(const NoiseFill&);
void grmala_step(const GrmalaStep&);
void metropolis_accept(const MetropolisAccept&);
void vrm_batch(const VrmBatch&);

}  // namespace STIC_ISA
}  // namespace stic
