// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Tiles of matrices in shared memory, fetched ahead of their use.
//
// A tile has 64 numbers of a product's side and 32 of the summed dimension and keeps the order of the memory it came
// from: with the summed dimension `inside`, 64 rows of 32 numbers, otherwise 32 rows of 64. Its rows are of 16-byte
// chunks, whose places are exchanged by the row's number, so that a warp that reads four numbers a lane meets each bank
// once, whether groups of four lanes read along a row and groups lie in different rows, or the other way round.
#pragma once

#include "../core/storage.h"
#include "device.cuh"

namespace stic::cuda::gram {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kSide = 64, kDepth = 32;

template <typename T>
constexpr int kTileBytes = kSide * kDepth * static_cast<int>(sizeof(T));

// n neighbours in a row, read or written at once.
template <typename T, int n>
struct alignas(n * sizeof(T)) Run {
  T at[n];
};

template <typename T, bool inside>
struct Tile {
  static constexpr int kRows = inside ? kSide : kDepth, kColumns = inside ? kDepth : kSide;
  static constexpr int kChunk = 16 / sizeof(T), kChunks = kColumns / kChunk;
  static constexpr int kNumbers = kRows * kColumns;

  static __device__ __forceinline__ int place(int row, int column) {
    const int exchange = kChunks == 4 ? row & 2 : (row & 1) << 2 | (row & 2);
    return row * kColumns + (column / kChunk ^ exchange) * kChunk + column % kChunk;
  }

  // n neighbours, beginning at a multiple of n.
  template <int n>
  static __device__ __forceinline__ Run<T, n> run(const T* tile, int row, int column) {
    return *reinterpret_cast<const Run<T, n>*>(tile + place(row, column));
  }

  template <int n>
  static __device__ __forceinline__ void read(float (&numbers)[n], const T* tile, int row, int column) {
    const Run<T, n> stored = run<n>(tile, row, column);
#pragma unroll
    for (int i = 0; i < n; ++i) numbers[i] = load(stored.at[i]);
  }
};

// A matrix in global memory, of which every row begins at a multiple of 16 bytes or is read number by number.
template <typename T>
struct Matrix {
  const T* data;
  int rows, columns, pitch;
  bool aligned;

  __device__ Matrix(const void* first, int64_t chain, int rows, int columns, int pitch)
      : data(static_cast<const T*>(first) + chain * rows * pitch),
        rows(rows),
        columns(columns),
        pitch(pitch),
        aligned(reinterpret_cast<uintptr_t>(data) % 16 == 0 && pitch * sizeof(T) % 16 == 0) {}
};

// One chain's features as they lie in memory: rows of positions, or with the channels last rows of channels.
template <typename T, bool channels_last>
__device__ __forceinline__ Matrix<T> features_of(const void* first, int64_t chain, int channels, int positions) {
  return channels_last ? Matrix<T>(first, chain, positions, channels, channels)
                       : Matrix<T>(first, chain, channels, positions, positions);
}

// This thread's chunks of a tile: one column of chunks, rows kRowStep apart.
template <typename T, bool inside>
struct OwnChunks {
  using Shape = Tile<T, inside>;
  static constexpr int kRowStep = kThreads / Shape::kChunks, kCount = Shape::kRows / kRowStep;
  static_assert(kRowStep % 4 == 0, "all of them lie at the same place of their row");
  const int row, column;

  __device__ __forceinline__ OwnChunks()
      : row(static_cast<int>(threadIdx.x / Shape::kChunks)),
        column(static_cast<int>(threadIdx.x % Shape::kChunks) * Shape::kChunk) {}
  __device__ __forceinline__ T* in(T* tile, int i) const {
    return tile + Shape::place(row, column) + i * kRowStep * Shape::kColumns;
  }
};

// Starts copying the part of a matrix that begins at (side, depth) into a tile; zeros beyond the matrix's edges.
template <bool inside, typename T>
__device__ __forceinline__ void fetch(T* tile, const Matrix<T>& matrix, int side, int depth) {
  constexpr int kChunk = Tile<T, inside>::kChunk;
  const OwnChunks<T, inside> own;
  const int row = (inside ? side : depth) + own.row, column = (inside ? depth : side) + own.column;
  const int left = matrix.columns - column, inner = left < 0 ? 0 : left < kChunk ? left : kChunk;
  const T* from = matrix.data + static_cast<int64_t>(row) * matrix.pitch + column;
  if (matrix.aligned) {
#pragma unroll
    for (int i = 0; i < own.kCount; ++i, from += own.kRowStep * matrix.pitch) {
      const int valid = row + i * own.kRowStep < matrix.rows ? inner : 0;
      copy_async(own.in(tile, i), valid > 0 ? from : matrix.data, valid * static_cast<int>(sizeof(T)));
    }
  } else {
#pragma unroll 1
    for (int i = 0; i < own.kCount; ++i, from += own.kRowStep * matrix.pitch) {
      const int valid = row + i * own.kRowStep < matrix.rows ? inner : 0;
      T* const to = own.in(tile, i);
      for (int j = 0; j < kChunk; ++j) to[j] = j < valid ? from[j] : T{};
    }
  }
}

// Rounds to TF32 what this thread has fetched of a tile, once for all its readers.
template <bool inside>
__device__ __forceinline__ void round_fetched(float* tile) {
  const OwnChunks<float, inside> own;
#pragma unroll
  for (int i = 0; i < own.kCount; ++i) {
    auto* const chunk = reinterpret_cast<Run<float, 4>*>(own.in(tile, i));
    Run<float, 4> run = *chunk;
#pragma unroll
    for (float& number : run.at) number = float_of(to_tf32(number));
    *chunk = run;
  }
}

// Walks along the summed dimension with stages − 1 fetches under way. For each step: fetch(step, slot); once that has
// arrived, round(step, slot) by the threads that fetched; then multiply(step, slot).
template <int stages, typename Fetch, typename Round, typename Multiply>
__device__ __forceinline__ void for_each_step(int steps, const Fetch& fetch, const Round& round,
                                              const Multiply& multiply) {
  __syncthreads();  // what the slots held has been read
  for (int step = 0; step < stages - 1; ++step) {
    if (step < steps) fetch(step, step);
    copy_async_commit();
  }
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<stages - 2>();
    round(step, step % stages);
    __syncthreads();
    const int ahead = step + stages - 1;
    if (ahead < steps) fetch(ahead, ahead % stages);
    copy_async_commit();
    multiply(step, step % stages);
  }
  copy_async_wait<0>();
}

// Writes `valid` of n neighbours, together where they may be.
template <typename T, int n>
__device__ __forceinline__ void store_run(T* out, const float (&numbers)[n], int valid) {
  constexpr int kTogether = n * sizeof(T) > 16 ? 16 / sizeof(T) : n;
  if (valid >= n && reinterpret_cast<uintptr_t>(out) % (kTogether * sizeof(T)) == 0) {
#pragma unroll
    for (int i = 0; i < n; i += kTogether) {
      Run<T, kTogether> run;
#pragma unroll
      for (int j = 0; j < kTogether; ++j) store(&run.at[j], numbers[i + j]);
      *reinterpret_cast<Run<T, kTogether>*>(out + i) = run;
    }
  } else {
#pragma unroll
    for (int i = 0; i < n; ++i)
      if (i < valid) store(out + i, numbers[i]);
  }
}

// The sum over a warp, in every lane.
__device__ __forceinline__ double warp_sum(double value) {
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, distance);
  return value;
}

}  // namespace stic::cuda::gram
