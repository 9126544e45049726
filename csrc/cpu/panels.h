// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Products of small matrices, packed so that one chain's stay in the cache.
//
// A packed matrix is a row of panels of kLanes columns each, a panel being its rows one after the other. A product is
// made in tiles of kTileRows x kLanes sums that live in registers: for each k one row of B's panel, two vectors, is
// multiplied by kTileRows broadcast numbers of A.
#pragma once

#include <algorithm>

#include "../core/storage.h"
#include "lanes.h"

namespace stic {
namespace STIC_ISA {

constexpr int kTileRows = kVectorBytes == 64 ? 8 : 4;  // with kLanes columns half of the vector registers

STIC_HD int64_t padded(int64_t width) { return (width + kLanes - 1) / kLanes * kLanes; }

// The sum of all lanes, in double precision.
STIC_HD double sum_of(Vector<float> value) {
  double sum = 0;
  for (int lane = 0; lane < kVectorLanes; ++lane) sum += value[lane];
  return sum;
}
STIC_HD double sum_of(Floats value) { return sum_of(value.first) + sum_of(value.second); }

// A matrix of depth rows and width columns, the last panel zero beyond the width.
struct Panels {
  float* data;
  int64_t depth, width;

  STIC_MEMBER float* at(int64_t row, int64_t column) const {
    return data + (column / kLanes * depth + row) * kLanes + column % kLanes;
  }
  STIC_MEMBER int64_t size() const { return padded(width) * depth; }
};

// A row-major matrix of another storage type.
template <typename T>
struct Rows {
  const T* data;
  int64_t rows, width;

  STIC_MEMBER const T* row(int64_t index) const { return data + index * width; }
};

// kVectorLanes numbers of any storage type, in fp32.
STIC_HD Vector<float> load_vector(const BFloat16* from) {
  using Halves [[gnu::vector_size(2 * kVectorLanes)]] = uint16_t;
  Halves halves;
  memcpy(&halves, from, sizeof halves);
  return (Vector<float>)(__builtin_convertvector(halves, Vector<uint32_t>) << 16);
}
STIC_HD Vector<float> load_vector(const Float16* from) {
  alignas(64) float values[kVectorLanes];
  for (int i = 0; i < kVectorLanes; ++i) values[i] = load(from[i]);
  return load_vector(values);
}

// The first count numbers, then zeros.
template <typename T>
STIC_HD Vector<float> load_some(const T* from, int64_t count) {
  if (count >= kVectorLanes) return load_vector(from);
  alignas(64) float values[kVectorLanes] = {};
  for (int64_t i = 0; i < count; ++i) values[i] = load(from[i]);
  return load_vector(values);
}

// to = the rows [first, first + to.depth) of from, columns [column, column + to.width).
template <typename T>
static void pack(const Panels& to, const Rows<T>& from, int64_t first, int64_t column) {
  for (int64_t left = 0; left < padded(to.width); left += kVectorLanes)
    for (int64_t k = 0; k < to.depth; ++k)
      store_vector(to.at(k, left), load_some(from.row(first + k) + column + left, to.width - left));
}

// square = the numbers from (row, column) on, zero outside the matrix.
template <typename T>
STIC_HD void load_square(Vector<float> (&square)[kVectorLanes], const Rows<T>& from, int64_t row, int64_t column) {
  for (int i = 0; i < kVectorLanes; ++i)
    square[i] = row + i < from.rows ? load_some(from.row(row + i) + column, from.width - column) : Vector<float>{};
}

// to = the transpose of from's columns [first, first + to.depth).
template <typename T>
static void pack_transposed(const Panels& to, const Rows<T>& from, int64_t first) {
  for (int64_t left = 0; left < padded(to.width); left += kVectorLanes)
    for (int64_t k = 0; k < to.depth; k += kVectorLanes) {
      Vector<float> square[kVectorLanes];
      for (int i = 0; i < kVectorLanes; ++i) __builtin_prefetch(from.row(left + kVectorLanes + i) + first + k, 0, 2);
      load_square(square, from, left, first + k);
      transpose(square);
      for (int i = 0; i < std::min<int64_t>(kVectorLanes, to.depth - k); ++i)
        store_vector(to.at(k + i, left), square[i]);
    }
}

// strips = the columns of a packed matrix, kTileRows side by side.
static void pack_strips(float* strips, const Panels& from) {
  for (int64_t column = 0; column < from.width; column += kTileRows)
    for (int64_t k = 0; k < from.depth; ++k, strips += kTileRows)
      memcpy(strips, from.at(k, column), kTileRows * sizeof(float));
}

// Asks for the kLanes numbers at an address, to read or to write.
template <int write, typename T>
STIC_HD void prefetch_lanes(const T* address) {
  for (int byte = 0; byte < kLanes * static_cast<int>(sizeof(T)); byte += 64)
    __builtin_prefetch(reinterpret_cast<const char*>(address) + byte, write, 2);
}

// Where a tile's broadcast numbers come from: columns of a packed matrix, the same in a strip of their own, which is
// half the way to the cache, or rows of a row-major one.
struct FromPanel {
  const float* data;
  STIC_MEMBER float operator()(int row, int64_t k) const { return data[k * kLanes + row]; }
};
struct FromStrip {
  const float* data;
  STIC_MEMBER float operator()(int row, int64_t k) const { return data[k * kTileRows + row]; }
};
struct FromRows {
  const float* row_data[kTileRows];
  STIC_MEMBER FromRows(const Rows<float>& matrix, int64_t first) {
    for (int i = 0; i < kTileRows; ++i) row_data[i] = matrix.row(std::min(first + i, matrix.rows - 1));
  }
  STIC_MEMBER float operator()(int row, int64_t k) const { return row_data[row][k]; }
};

struct Tile {
  Floats sums[kTileRows] = {};

  // sums[i] += Σ_k a(i, k)·b[k]
  template <typename Source>
  STIC_MEMBER void add(const Source& a, const float* b, int64_t depth) {
    Tile in_registers = *this;
    for (int64_t k = 0; k < depth; ++k) {
      const Floats row = load_lanes(b + k * kLanes);
      for (int i = 0; i < kTileRows; ++i) in_registers.sums[i] = multiply_add(a(i, k), row, in_registers.sums[i]);
    }
    *this = in_registers;
  }
};

// out += AᵀB. If that is symmetric, only tiles that reach the diagonal or lie above it.
static void add_product(const Panels& out, const Panels& a, const Panels& b, bool symmetric) {
  for (int64_t column = 0; column < b.width; column += kLanes) {
    const int64_t rows = symmetric ? std::min(a.width, column + kLanes) : a.width;
    for (int64_t row = 0; row < rows; row += kTileRows) {
      Tile tile;
      tile.add(FromPanel{a.at(0, row)}, b.at(0, column), a.depth);
      for (int i = 0; i < kTileRows; ++i) {
        float* const sum = out.at(row + i, column);
        store_lanes(sum, load_lanes(sum) + tile.sums[i]);
      }
    }
  }
}

// Copies what lies above the diagonal's panels below them.
static void mirror(const Panels& square) {
  for (int64_t row = 0; row < square.width; row += kVectorLanes)
    for (int64_t column = padded(row + kVectorLanes); column < square.width; column += kVectorLanes) {
      Vector<float> block[kVectorLanes];
      for (int i = 0; i < kVectorLanes; ++i) block[i] = load_vector(square.at(row + i, column));
      transpose(block);
      for (int i = 0; i < kVectorLanes; ++i) store_vector(square.at(column + i, row), block[i]);
    }
}

}  // namespace STIC_ISA
}  // namespace stic
