// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// What kernels may rely on, of the emulation and of hardware alike: indices, barriers, shuffles, votes, atomics and
// refused launches. Run on a GPU, this program shows that the emulation does what the GPU does.
#include "../../csrc/cuda/device.cuh"
#include "testing.h"

using namespace stic::testing;
using stic::launch;

namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;

// ---- indices and barriers ----

__global__ void number_threads(int* out) {
  const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const int at = block * blockDim.x * blockDim.y * blockDim.z + thread;
  out[at] = at * 8 + (blockIdx.x < gridDim.x && threadIdx.z < blockDim.z);
}

void index_cases(Suite& suite) {
  for (const dim3 block : {dim3(1), dim3(33), dim3(1024), dim3(5, 3, 2), dim3(8, 16), dim3(1, 1, 64)})
    for (const dim3 grid : {dim3(1), dim3(3), dim3(2, 3, 4)})
      suite.add(
          text("indices of ", grid.x, "x", grid.y, "x", grid.z, " blocks of ", block.x, "x", block.y, "x", block.z),
          [=](Trial& trial) {
            const int count = static_cast<int>(grid.x * grid.y * grid.z * block.x * block.y * block.z);
            auto out = trial.output<int>(count);
            trial.launch(launch(number_threads, {grid, block}, out.data()));
            std::vector<int> wanted;
            for (int i = 0; i < count; ++i) wanted.push_back(8 * i + 1);
            trial.expect_equal("out", out, wanted);
          });
}

// Reverses a block's numbers `rounds` times through shared memory.
__global__ void reverse(const int* in, int* out, int rounds) {
  int* const shared = reinterpret_cast<int*>(stic::dynamic_shared());
  int value = in[threadIdx.x];
  for (int round = 0; round < rounds; ++round) {
    shared[threadIdx.x] = value;
    __syncthreads();
    value = shared[blockDim.x - 1 - threadIdx.x];
    __syncthreads();
  }
  out[threadIdx.x] = value;
}

__global__ void vote_of_block(const int* in, int* out) {
  const int own = in[threadIdx.x];
  out[3 * threadIdx.x] = __syncthreads_or(own);
  out[3 * threadIdx.x + 1] = __syncthreads_and(own);
  out[3 * threadIdx.x + 2] = __syncthreads_count(own);
}

void barrier_cases(Suite& suite) {
  for (const int threads : {1, 40, 256, 1024})
    suite.add(text("barriers of ", threads, " threads"), [=](Trial& trial) {
      const std::vector<int> values = integer_values<int>(threads, -1000, 1000, 1);
      auto in = trial.input(values);
      auto out = trial.output<int>(threads);
      trial.launch(launch(reverse, {1, threads, threads * sizeof(int)}, in.data(), out.data(), 3));
      trial.expect_equal("out", out, std::vector<int>(values.rbegin(), values.rend()));
    });
  for (const int yes : {0, 1, 77, 96})
    suite.add(text("votes of a block: ", yes, " of 96"), [=](Trial& trial) {
      std::vector<int> values(96), wanted;
      for (int i = 0; i < 96; ++i) {
        values[i] = i * 31 % 96 < yes ? 256 : 0;
        wanted.insert(wanted.end(), {yes > 0, yes == 96, yes});
      }
      auto in = trial.input(values);
      auto out = trial.output<int>(3 * 96);
      trial.launch(launch(vote_of_block, {1, 96}, in.data(), out.data()));
      trial.expect_equal("out", out, wanted);
    });
}

// ---- within a warp ----

template <typename T>
__global__ void shuffle(const T* in, T* out, int width, int distance) {
  const T value = in[threadIdx.x];
  out[threadIdx.x] = __shfl_sync(kAll, value, static_cast<int>(threadIdx.x) + distance, width);
  out[blockDim.x + threadIdx.x] = __shfl_xor_sync(kAll, value, distance, width);
  out[2 * blockDim.x + threadIdx.x] = __shfl_down_sync(kAll, value, static_cast<unsigned>(distance), width);
}

template <typename T>
std::vector<T> shuffled(const std::vector<T>& in, int width, int distance) {
  const int threads = static_cast<int>(in.size());
  std::vector<T> out(3 * in.size());
  for (int i = 0; i < threads; ++i) {
    const int start = i / width * width, end = start + width, across = i / 32 * 32 + (i % 32 ^ distance);
    out[i] = in[start + (i % 32 + distance) % width];
    out[threads + i] = in[across < end ? across : i];
    out[2 * threads + i] = in[i + distance < end ? i + distance : i];
  }
  return out;
}

// Halves of a warp go ways of their own.
__global__ void diverge(const int* in, int* out) {
  const unsigned lane = threadIdx.x % 32;
  int value = in[threadIdx.x];
  if (lane < 16) {
    value += __shfl_xor_sync(0x0000FFFFu, value, 5);
    __syncwarp(0x0000FFFFu);
  } else {
    for (int i = 0; i < 3; ++i) value -= __shfl_xor_sync(0xFFFF0000u, value, 1 << i);
  }
  __syncwarp();
  out[threadIdx.x] = value + __shfl_sync(kAll, value, 31 - static_cast<int>(lane));
}

std::vector<int> diverged(const std::vector<int>& in) {
  std::vector<int> values = in, out(in.size());
  for (size_t i = 0; i < in.size(); ++i)
    if (i % 32 < 16) values[i] = in[i] + in[i ^ 5];
  for (int round = 0; round < 3; ++round) {
    const std::vector<int> before = values;
    for (size_t i = 0; i < in.size(); ++i)
      if (i % 32 >= 16) values[i] = before[i] - before[i ^ (1u << round)];
  }
  for (size_t i = 0; i < in.size(); ++i) out[i] = values[i] + values[i / 32 * 32 + 31 - i % 32];
  return out;
}

__global__ void vote_of_warp(const int* in, unsigned* out) {
  const int own = in[threadIdx.x];
  out[3 * threadIdx.x] = static_cast<unsigned>(__any_sync(kAll, own) != 0);
  out[3 * threadIdx.x + 1] = static_cast<unsigned>(__all_sync(kAll, own) != 0);
  out[3 * threadIdx.x + 2] = __ballot_sync(kAll, own);
}

template <typename T>
void add_shuffles(Suite& suite, const char* name) {
  for (const int width : {32, 16, 4, 1})
    for (const int distance : {0, 1, 3, 8, 31})
      suite.add(text("shuffles of ", name, ", width ", width, ", distance ", distance), [=](Trial& trial) {
        const std::vector<T> values = integer_values<T>(64, 0, 100000, 2);
        auto in = trial.input(values);
        auto out = trial.output<T>(3 * 64);
        trial.launch(launch(shuffle<T>, {1, 64}, in.data(), out.data(), width, distance));
        trial.expect_equal("out", out, shuffled(values, width, distance));
      });
}

void warp_cases(Suite& suite) {
  add_shuffles<int>(suite, "int");
  add_shuffles<double>(suite, "double");
#if !defined(STIC_FEW_TYPES)
  add_shuffles<unsigned>(suite, "unsigned");
  add_shuffles<float>(suite, "float");
#endif
  suite.add("halves of a warp", [](Trial& trial) {
    const std::vector<int> values = integer_values<int>(96, -99, 99, 3);
    auto in = trial.input(values), out = trial.output<int>(96);
    trial.launch(launch(diverge, {1, 96}, in.data(), out.data()));
    trial.expect_equal("out", out, diverged(values));
  });
  suite.add("votes of a warp", [](Trial& trial) {
    std::vector<int> values(96, 0);
    std::vector<unsigned> wanted;
    for (int i = 32; i < 96; ++i) values[i] = i >= 64 || i % 3 == 0;
    for (int i = 0; i < 96; ++i) {
      unsigned ballot = 0;
      for (int lane = 0; lane < 32; ++lane) ballot |= static_cast<unsigned>(values[i / 32 * 32 + lane]) << lane;
      wanted.insert(wanted.end(), {ballot != 0, ballot == kAll, ballot});
    }
    auto in = trial.input(values);
    auto out = trial.output<unsigned>(3 * 96);
    trial.launch(launch(vote_of_warp, {1, 96}, in.data(), out.data()));
    trial.expect_equal("out", out, wanted);
  });
}

template <typename T>
__global__ void count_up(T* sum, T* order_sum) {
  const T before = atomicAdd(sum, static_cast<T>(1));
  atomicAdd(order_sum, before);
}

template <typename T>
void add_atomics(Suite& suite, const char* name) {
  suite.add(text("atomicAdd of ", name), [](Trial& trial) {
    auto sums = trial.input(std::vector<T>(2, T(0)));
    trial.launch(launch(count_up<T>, {4, 64}, sums.data(), sums.data() + 1));
    trial.expect_equal("sums", sums, std::vector<T>{T(256), T(256 * 255 / 2)});
  });
}

void atomic_cases(Suite& suite) {
  add_atomics<int>(suite, "int");
  add_atomics<unsigned>(suite, "unsigned");
  add_atomics<float>(suite, "float");
}

// ---- launches ----

void launch_cases(Suite& suite) {
  struct Refused {
    const char* name;
    dim3 grid, block;
  };
  for (const Refused& refused :
       {Refused{"no blocks", dim3(0), dim3(32)}, Refused{"no threads", dim3(1), dim3(32, 0)},
        Refused{"1025 threads", dim3(1), dim3(1025)}, Refused{"65536 rows of blocks", dim3(1, 65536), dim3(1)},
        Refused{"65 layers of threads", dim3(1), dim3(1, 1, 65)}})
    suite.add(text("refused: ", refused.name), [=](Trial& trial) {
      auto out = trial.output<int>(1);
      const cudaError_t error = launch(number_threads, {refused.grid, refused.block}, out.data());
      // Which of the two depends on who looks first, CUDA's runtime or its driver, and on their versions.
      trial.check(error == cudaErrorInvalidConfiguration || error == cudaErrorInvalidValue,
                  text("it returned ", cudaGetErrorString(error)));
      trial.expect_equal("out", out, std::vector<int>{-1});
    });
}

void add_cases(Suite& suite) {
  index_cases(suite);
  barrier_cases(suite);
  warp_cases(suite);
  atomic_cases(suite);
  launch_cases(suite);
}

}  // namespace

STIC_TEST_PROGRAM(add_cases)
