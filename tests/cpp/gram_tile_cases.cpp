// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The places of a tile's chunks: each number has its own, and the warps' ways of reading meet no bank twice.
#include <algorithm>
#include <set>

#include "../../csrc/cuda/gram_tiles.cuh"
#include "testing.h"

using namespace stic;
using namespace stic::testing;
using cuda::gram::Tile;

// Where a lane's access begins: a step along rows and one along columns for a lane's group of four and its place in it.
struct Pattern {
  const char* name;
  int group_rows, group_columns, member_rows, member_columns, numbers;
};

template <typename T, bool inside>
__global__ void lane_places(Pattern pattern, int first_row, int first_column, int* out) {
  const int group = threadIdx.x / 4, member = threadIdx.x % 4;
  out[threadIdx.x] =
      Tile<T, inside>::place(first_row + group * pattern.group_rows + member * pattern.member_rows,
                             first_column + group * pattern.group_columns + member * pattern.member_columns);
}

template <typename T, bool inside>
__global__ void all_places(int* out) {
  using Shape = Tile<T, inside>;
  for (int i = threadIdx.x; i < Shape::kNumbers; i += 32)
    out[i] = Shape::place(i / Shape::kColumns, i % Shape::kColumns);
}

// A warp's access is served 128 bytes at a time: so many neighbouring lanes must meet 32 different banks.
template <typename T>
std::string conflict(const std::vector<int>& places, int numbers) {
  const int bytes = numbers * static_cast<int>(sizeof(T)), together = std::min(32, 128 / bytes);
  for (int first = 0; first < 32; first += together) {
    std::set<int> words;
    for (int lane = first; lane < first + together; ++lane)
      for (int byte = 0; byte < bytes; byte += 4)
        words.insert((places[lane] * static_cast<int>(sizeof(T)) + byte) / 4 % 32);
    if (static_cast<int>(words.size()) * 4 != together * bytes)
      return text(": lanes ", first, " to ", first + together - 1, " meet ", words.size(), " banks");
  }
  return {};
}

template <typename T, bool inside>
void tile_cases(Suite& suite) {
  using Shape = Tile<T, inside>;
  const std::string name = text(type_name<T>(), inside ? " inside " : " outside ");
  suite.add("places " + name, [](Trial& trial) {
    auto out = trial.output<int>(Shape::kNumbers);
    Launch shape;
    shape.grid = dim3(1), shape.block = dim3(32);
    trial.launch(launch(all_places<T, inside>, shape, out.data()));
    trial.expect_that("places", out, [](std::vector<int> got) -> std::string {
      std::sort(got.begin(), got.end());
      for (int i = 0; i < Shape::kNumbers; ++i)
        if (got[i] != i) return text(" do not use place ", i, " once");
      return {};
    });
  });
  // Four neighbours a lane along depths or sides; those of the second walk of the dual form.
  const Pattern patterns[] = {
      {"groups in rows", 1, 0, 0, 4, 4}, {"members in rows", 0, 4, 1, 0, 4}, {"members in rows, pairs", 0, 2, 1, 0, 2}};
  for (const Pattern& pattern : patterns)
    for (int row = 0; row + 8 <= Shape::kRows; row += 4)
      for (int column = 0; column + 16 <= Shape::kColumns; column += 16) {
        if (column + 7 * pattern.group_columns + pattern.numbers > Shape::kColumns) continue;
        suite.add(text(name, pattern.name, " from ", row, ", ", column), [=](Trial& trial) {
          auto out = trial.output<int>(32);
          Launch shape;
          shape.grid = dim3(1), shape.block = dim3(32);
          trial.launch(launch(lane_places<T, inside>, shape, pattern, row, column, out.data()));
          trial.expect_that("access", out,
                            [&](const std::vector<int>& got) { return conflict<T>(got, pattern.numbers); });
        });
      }
}

static void gram_tile_cases(Suite& suite) {
  tile_cases<float, false>(suite);
  tile_cases<float, true>(suite);
  tile_cases<BFloat16, false>(suite);
  tile_cases<BFloat16, true>(suite);
}
STIC_TEST_PROGRAM(gram_tile_cases)
