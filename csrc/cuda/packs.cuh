// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// How kernels that treat all elements alike divide their work: a thread takes packs of neighbouring elements of one
// chain, whole Philox blocks of four, moved 16 bytes at a time.
//
// A row of threads (x) runs along a chain, each with kPacks packs, 32 apart so that a warp's accesses join; blocks
// run along the pieces of a chain (x) and along chains (y). Where chains are short a block has several rows. Chains
// whose addresses are not all multiples of 16 bytes, and only those can be ragged, are moved element by element.
#pragma once

#include <type_traits>

#include "../core/arguments.h"
#include "../core/normal.h"
#include "device.cuh"

namespace stic {
namespace cuda {

constexpr int kThreads = 128;  // of a block
constexpr int kBlocks = 8;     // that a processor holds at once: half of its threads, with 64 registers each
constexpr int kWarp = 32;

// Elements of a pack: 16 bytes, but for fp64, where four take 32.
template <typename T>
constexpr int kPack = sizeof(T) == 2 ? 8 : 4;

// Packs that a thread has in flight: eight numbers of two or four bytes, four of eight. With half of its threads a
// processor then waits for 16 or 32 KB of each input; an H100's bandwidth times latency are 15 KB a processor.
template <typename T>
constexpr int kPacks = sizeof(T) == 4 ? 2 : 1;

// 16 bytes as they are moved; 16-bit numbers two in a word, the first in its lower half.
template <typename T>
struct alignas(16) [[gnu::may_alias]] Chunk {
  using Number = std::conditional_t<sizeof(T) == 2, uint32_t, T>;
  Number number[16 / sizeof(Number)];
};

template <typename T>
struct Pack {
  using Number = typename Chunk<T>::Number;
  static constexpr int kInChunk = 16 / sizeof(Number), kWide = sizeof(Number) / sizeof(T);
  static constexpr int kChunks = kPack<T> * sizeof(T) / 16;
  Chunk<T> chunk[kChunks];

  __device__ __forceinline__ Number& number(int i) { return chunk[i / kInChunk].number[i % kInChunk]; }
  __device__ __forceinline__ T operator[](int i) const {
    const Number number = chunk[i / kWide / kInChunk].number[i / kWide % kInChunk];
    if constexpr (kWide == 1)
      return number;
    else
      return {static_cast<uint16_t>(i % 2 ? number >> 16 : number)};
  }
};

template <bool aligned, typename T>
__device__ __forceinline__ Pack<T> load_pack(const T* row, int64_t at, int64_t elements) {
  Pack<T> pack;
  if constexpr (aligned) {
#pragma unroll
    for (int i = 0; i < Pack<T>::kChunks; ++i) pack.chunk[i] = reinterpret_cast<const Chunk<T>*>(row + at)[i];
  } else {
    T numbers[kPack<T>];
#pragma unroll
    for (int i = 0; i < kPack<T>; ++i) numbers[i] = at + i < elements ? row[at + i] : T{};
    memcpy(&pack, numbers, sizeof pack);
  }
  return pack;
}

// Said outright: nvcc 13 joins the loads of a chunk's numbers into one, but not all stores. The compiler is not told
// that memory changes, which would keep it from moving anything out of loops: no thread reads what it has stored.
template <typename T>
__device__ __forceinline__ void store_chunk(Chunk<T>* target, const Chunk<T>& chunk) {
#if defined(__CUDA_ARCH__)
  uint32_t words[4];
  memcpy(words, &chunk, sizeof words);
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(target)), "r"(words[0]),
               "r"(words[1]), "r"(words[2]), "r"(words[3]));
#else
  *target = chunk;
#endif
}

template <bool aligned, typename T>
__device__ __forceinline__ void store_pack(T* row, int64_t at, int64_t elements, const Pack<T>& pack) {
  if constexpr (aligned) {
#pragma unroll
    for (int i = 0; i < Pack<T>::kChunks; ++i) store_chunk(reinterpret_cast<Chunk<T>*>(row + at) + i, pack.chunk[i]);
  } else {
#pragma unroll
    for (int i = 0; i < kPack<T>; ++i)
      if (at + i < elements) row[at + i] = pack[i];
  }
}

template <typename T, typename C>
__device__ __forceinline__ Pack<T> rounded(const C (&values)[kPack<T>]) {
  Pack<T> pack;
#pragma unroll
  for (int i = 0; i < kPack<T>; i += Pack<T>::kWide) {
    if constexpr (Pack<T>::kWide == 2)
      pack.number(i / 2) = stored_pair<T>(values[i], values[i + 1]);
    else
      pack.number(i) = values[i];
  }
  return pack;
}

// A chain's noise on the device.
struct ChainNoise {
  const RoundKeys& keys;
  NoiseAddress address;
  uint32_t chain;

  // The words of the element's quad.
  __device__ __forceinline__ Words words(int64_t element) const {
    return noise_words(keys, address, chain, static_cast<uint32_t>(static_cast<uint64_t>(element) / 4));
  }
};

__device__ __forceinline__ ChainNoise chain_noise(const RoundKeys& keys, const NoiseSource& source, uint32_t stream,
                                                  int64_t chain) {
  return {keys, address_of(source, stream), chain_id(source, chain)};
}

// The normals of the elements from `at`, a multiple of four, on.
template <typename C, int count>
__device__ __forceinline__ void normals(C (&out)[count], const ChainNoise& noise, int64_t at) {
#pragma unroll
  for (int i = 0; i < count; i += 4) {
    const Words words = noise.words(at + i);
    float z0, z1, z2, z3;
    box_muller(words.w0, words.w1, z0, z1);
    box_muller(words.w2, words.w3, z2, z3);
    out[i] = z0, out[i + 1] = z1, out[i + 2] = z2, out[i + 3] = z3;
  }
}

// Likewise the uniforms.
template <typename C, int count>
__device__ __forceinline__ void uniforms(C (&out)[count], const ChainNoise& noise, int64_t at) {
#pragma unroll
  for (int i = 0; i < count; i += 4) {
    const Words words = noise.words(at + i);
    out[i] = uniform_of(words.w0), out[i + 1] = uniform_of(words.w1);
    out[i + 2] = uniform_of(words.w2), out[i + 3] = uniform_of(words.w3);
  }
}

// Elements from a thread's pack to its next.
template <typename T>
constexpr int64_t kStride = kWarp * kPack<T>;

// body(chain) for the thread's chains.
template <typename Body>
__device__ __forceinline__ void for_each_chain(int64_t chains, const Body& body) {
  const int64_t first = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y;
  for (int64_t chain = first; chain < chains; chain += static_cast<int64_t>(gridDim.y) * blockDim.y) body(chain);
}

// body(at) for the thread's pieces of a chain: `at` is the first element of the first pack, which exists; the others,
// kStride elements apart, may lie beyond the chain's end.
template <typename T, typename Body>
__device__ __forceinline__ void for_each_piece(int64_t elements, const Body& body) {
  const unsigned warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, piece = blockDim.x * kPacks<T>;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * piece + warp * (kWarp * kPacks<T>)+lane;
  const int64_t packs = (elements + kPack<T> - 1) / kPack<T>, step = static_cast<int64_t>(gridDim.x) * piece;
  for (int64_t pack = first; pack < packs; pack += step) body(pack * kPack<T>);
}

// The launch that covers all elements. A row has whole warps, or a power of two that divides one.
template <typename T>
Launch piece_launch(int64_t chains, int64_t elements, cudaStream_t stream) {
  constexpr int64_t kMostBlocksBeside = 65535, kPlenty = 8192;  // blocks that fill any device several times over
  const int64_t packs = (elements + kPack<T> - 1) / kPack<T>;
  int along = 1;
  while (along < kThreads && (along < kWarp ? along : along * kPacks<T>) < packs) along *= 2;
  const int64_t beside = kThreads / along, piece = static_cast<int64_t>(along) * kPacks<T>;
  const int64_t pieces = (packs + piece - 1) / piece, rows = (chains + beside - 1) / beside;
  const int64_t turns = pieces * rows < 2 * kPlenty ? 1 : pieces * rows < 4 * kPlenty ? 2 : 4;
  Launch shape;
  shape.grid = dim3(static_cast<unsigned>((pieces + turns - 1) / turns),
                    static_cast<unsigned>(rows < kMostBlocksBeside ? rows : kMostBlocksBeside));
  shape.block = dim3(static_cast<unsigned>(along), static_cast<unsigned>(beside));
  shape.stream = stream;
  return shape;
}

// Whether every row of (chains, elements) starts and ends at a multiple of 16 bytes in each array, null ones aside.
template <typename T, typename... Array>
bool rows_aligned(int64_t elements, const Array*... arrays) {
  return (reinterpret_cast<uintptr_t>(arrays) | ...) % 16 == 0 && elements % kPack<T> == 0;
}

}  // namespace cuda
}  // namespace stic
