// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Wrong kernels, each with what the emulation must say of it. For a host alone: hardware may hang or say nothing.
#include "../../csrc/cuda/device.cuh"
#include "testing.h"

using namespace stic::testing;
using stic::launch;

namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;

// ---- waiting in vain ----

__global__ void barrier_of_some(int some) {
  if (static_cast<int>(threadIdx.x) < some) __syncthreads();
}
__global__ void barrier_in_both_branches() {
  if (threadIdx.x % 2)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void barriers_of_two_kinds() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads_or(1);
  }
}
__global__ void barrier_too_few() {
  for (unsigned i = 0; i < threadIdx.x / 32 + 1; ++i) __syncthreads();
}
__global__ void barrier_in_a_block() {
  if (blockIdx.x < 2 || blockIdx.y < 1 || threadIdx.x < 32) __syncthreads();
}
__global__ void barrier_against_shuffle(int* out) {
  if (threadIdx.x < 16)
    out[threadIdx.x] = __shfl_sync(kAll, 1, 0);
  else
    __syncthreads();
}
__global__ void shuffle_of_some(int* out) {
  if (threadIdx.x % 32 >= 3) out[threadIdx.x] = __shfl_xor_sync(kAll, 1, 1);
}
__global__ void shuffle_of_others(int* out) {
  if (threadIdx.x % 32 >= 3) out[threadIdx.x] = __shfl_xor_sync(0x00000007u, 1, 1);
}
__global__ void masks_that_differ() { __syncwarp(threadIdx.x % 2 ? kAll : 0x55555555u); }
__global__ void product_of_half(float* out) {
  float d[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  if (threadIdx.x < 16) stic::mma_tf32(d, a, b);
  out[threadIdx.x] = d[0];
}
__global__ void odd_width(int* out) { out[threadIdx.x] = __shfl_sync(kAll, 1, 0, 12); }

// ---- copies and shared memory ----

__global__ void copy(const unsigned char* in, unsigned char* out, int from, int to, int valid, bool wait) {
  unsigned char* const shared = stic::dynamic_shared();
  stic::copy_async(shared + to, in + from, valid);
  stic::copy_async_commit();
  if (wait) stic::copy_async_wait<0>();
  out[0] = shared[0];
}
// Reads a group that may still be under way.
__global__ void read_early(const float4* in, float4* out) {
  float4* const shared = reinterpret_cast<float4*>(stic::dynamic_shared());
  stic::copy_async(shared, in, 16);
  stic::copy_async_commit();
  stic::copy_async_wait<1>();
  out[0] = shared[0];
  stic::copy_async_wait<0>();
}

// ---- races ----

// Rotates numbers through shared memory; two barriers are needed.
__global__ void rotate(const int* in, int* out, bool first, bool second) {
  int* const shared = reinterpret_cast<int*>(stic::dynamic_shared());
  int value = in[threadIdx.x];
  for (int round = 0; round < 3; ++round) {
    shared[threadIdx.x] = value;
    if (first) __syncthreads();
    value = shared[(threadIdx.x + 1) % blockDim.x];
    if (second) __syncthreads();
  }
  out[threadIdx.x] = value;
}
// Every block takes what the one before has left.
__global__ void take_turns(int* out) { out[blockIdx.x + 1] = out[blockIdx.x] + 1; }

// ---- global memory ----

__global__ void write_at(float* out, int at) { out[at] = 1; }

// Expects that `act`, given a trial, ends in a failure whose report holds `words`.
void add_fault(Suite& suite, const std::string& name, const std::string& words, std::function<void(Trial&)> act) {
  suite.add(name, [=](Trial& trial) {
    const std::string report = run_combination({name, act}, 2);
    trial.check(report.find(words) != std::string::npos, text("the report is \"", report, "\", without ", words));
  });
}

template <typename... Parameters, typename... Arguments>
void add_launch(Suite& suite, const std::string& name, const std::string& words, void (*kernel)(Parameters...),
                stic::Launch shape, Arguments... arguments) {
  add_fault(suite, name, words, [=](Trial& trial) {
    trial.check(true, "");
    trial.launch(launch(kernel, shape, arguments...));
  });
}

void waiting_faults(Suite& suite) {
  static int out[128];
  static float sums[32];
  add_launch(suite, "returned before a barrier", ": 96 of 128 threads reached __syncthreads, 32 have returned",
             barrier_of_some, {1, 128}, 96);
  add_launch(suite, "one thread at a barrier", ": 1 of 1024 threads reached __syncthreads, 1023 have returned",
             barrier_of_some, {1, 1024}, 1);
  add_launch(suite, "barriers in both branches",
             ": 32 of 64 threads reached __syncthreads, 32 wait at emulation_faults", barrier_in_both_branches,
             {1, 64});
  add_launch(suite, "barriers of two kinds", "32 wait at", barriers_of_two_kinds, {1, 64});
  add_launch(suite, "warps with more barriers", ": 96 of 128 threads reached __syncthreads, 32 have returned",
             barrier_too_few, {1, 128});
  add_launch(suite, "in one block of many", "[block (2, 1, 0)]", barrier_in_a_block, {dim3(3, 2), 64});
  add_launch(suite, "barrier against shuffle", "16 wait at emulation_faults.cpp", barrier_against_shuffle, {1, 32},
             &out[0]);
  add_launch(suite, "returned before a shuffle",
             ": 29 of 32 threads reached __shfl_xor_sync of lanes 0xffffffff in warp 0, 3 have returned",
             shuffle_of_some, {1, 32}, &out[0]);
  add_launch(suite, "shuffle without the caller",
             "__shfl_xor_sync of lanes 0x00000007 called by lane 3 [thread (3, 0, 0)]", shuffle_of_others, {1, 64},
             &out[0]);
  add_launch(suite, "masks that differ",
             ": 16 of 32 threads reached __syncwarp of lanes 0xffffffff in warp 0, 16 have returned", masks_that_differ,
             {1, 32});
  add_launch(suite, "product of half a warp", ": 16 of 32 threads reached mma_tf32", product_of_half, {1, 32},
             &sums[0]);
  add_launch(suite, "product of a small block", "mma_tf32 needs 32 lanes", product_of_half, {1, 16}, &sums[0]);
  add_launch(suite, "shuffle of an odd width", "__shfl_sync with a width that is not a power of two", odd_width,
             {1, 32}, &out[0]);
}

void copy_faults(Suite& suite) {
  struct Wrong {
    const char *name, *words;
    int from, to, valid;
    bool wait;
  };
  for (const Wrong& wrong :
       {Wrong{"misaligned source", "copy_async from an address not aligned to 16 bytes", 8, 0, 16, true},
        Wrong{"misaligned target", "copy_async to shared memory not aligned to 16 bytes", 0, 4, 16, true},
        Wrong{"too many bytes", "copy_async of 17 bytes; 0 to 16 can be", 0, 0, 17, true},
        Wrong{"fewer than no bytes", "copy_async of -4 bytes", 0, 0, -4, true},
        Wrong{"past shared memory", "copy_async of 16 bytes at offset 64 of shared memory, which has 64", 0, 64, 16,
              true},
        Wrong{"before shared memory", "at offset -16 of shared memory", 0, -16, 16, true},
        Wrong{"past a buffer", "copy_async from global memory outside of any buffer", 64, 0, 16, true},
        Wrong{"not waited for", "1 copies were started and never waited for", 0, 0, 16, false}})
    add_fault(suite, text("copy: ", wrong.name), wrong.words, [=](Trial& trial) {
      auto in = trial.input(std::vector<unsigned char>(72, 1)), out = trial.output<unsigned char>(1);
      trial.launch(launch(copy, {1, 1, 64}, in.data(), out.data(), wrong.from, wrong.to, wrong.valid, wrong.wait));
      trial.expect_same("out", out);
    });
  add_fault(suite, "copy: read too early", "the order of threads or copies matters", [](Trial& trial) {
    auto in = trial.input(std::vector<float>{1, 2, 3, 4}), out = trial.output<float>(4);
    trial.launch(launch(read_early, {1, 1, 16}, reinterpret_cast<const float4*>(in.data()),
                        reinterpret_cast<float4*>(out.data())));
    trial.expect_same("out", out);
  });
  add_fault(suite, "too much shared memory", "the launch returned invalid argument", [](Trial& trial) {
    stic::emulation::shared_limit_bytes = 1000;
    trial.launch(launch(copy, {1, 1, 1001}, nullptr, nullptr, 0, 0, 0, true));
  });
}

void race_faults(Suite& suite) {
  for (const auto& [first, second] : {std::pair(false, true), std::pair(true, false)})
    add_fault(suite, text("race, barriers ", first, second), "the order of threads or copies matters",
              [first = first, second = second](Trial& trial) {
                auto in = trial.input(integer_values<int>(64, 0, 999, 1)), out = trial.output<int>(64);
                trial.launch(launch(rotate, {1, 64, 64 * sizeof(int)}, in.data(), out.data(), first, second));
                trial.expect_same("out", out);
              });
  add_fault(suite, "race of blocks", "the order of threads or copies matters", [](Trial& trial) {
    auto out = trial.input(std::vector<int>(5, 0));
    trial.launch(launch(take_turns, {4, 1}, out.data()));
    trial.expect_same("out", out);
  });
}

// AddressSanitizer ends the program at these.
void memory_faults([[maybe_unused]] Suite& suite) {
#if !defined(STIC_ADDRESS_SANITIZER)
  for (const int at : {-1, 10})
    add_fault(suite, text("write at ", at), at < 0 ? "4 bytes before its start" : "0 bytes past its end",
              [=](Trial& trial) {
                auto out = trial.output<float>(10, 1);
                trial.launch(launch(write_at, {1, 1}, out.data(), at));
                trial.expect_same("out", out);
              });
#endif
}

void report_faults(Suite& suite) {
  add_fault(suite, "wrong value", "out[1] is 0, wanted 1 to within 0.1; 1 of 3 elements are outside", [](Trial& trial) {
    auto out = trial.input(std::vector<float>{0.05f, 0, 1});
    trial.expect_close("out", out, std::vector<double>{0, 1, 1}, {0.1, 0});
  });
  add_fault(suite, "nan", "emulation_faults.cpp", [](Trial& trial) {
    auto out = trial.output<double>(1);
    trial.expect_close("out", out, std::vector<double>{0}, {1, 0});
  });
  add_fault(suite, "changed input", "a kernel changed an input of 4 bytes", [](Trial& trial) {
    auto in = trial.input(std::vector<float>{0});
    trial.launch(launch(write_at, {1, 1}, in.data(), 0));
    trial.check(true, "");
  });
  add_fault(suite, "nothing expected", "nothing was expected of it", [](Trial&) {});
}

void add_cases(Suite& suite) {
  waiting_faults(suite);
  copy_faults(suite);
  race_faults(suite);
  memory_faults(suite);
  report_faults(suite);
}

}  // namespace

STIC_TEST_PROGRAM(add_cases)
