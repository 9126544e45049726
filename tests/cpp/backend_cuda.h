// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The device under test when it is a real one: its memory, and what its runtime reports.
#pragma once

#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace stic::testing::backend {

// A device that refuses a copy or an allocation has been lost to an earlier fault: nothing after it can be trusted.
inline void demand(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::printf("FAILED %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

inline unsigned char* allocate(size_t bytes) {
  void* memory = nullptr;
  demand(cudaMalloc(&memory, bytes), "allocating device memory");
  return static_cast<unsigned char*>(memory);
}
inline void release(unsigned char* memory) { demand(cudaFree(memory), "freeing device memory"); }

inline void to_device(void* target, const void* source, size_t bytes) {
  demand(cudaMemcpy(target, source, bytes, cudaMemcpyHostToDevice), "copying to the device");
}
inline void to_host(void* target, const void* source, size_t bytes) {
  demand(cudaMemcpy(target, source, bytes, cudaMemcpyDeviceToHost), "copying from the device");
}
inline void fill(void* target, int byte, size_t bytes) {
  demand(cudaMemset(target, byte, bytes), "filling device memory");
}

// Guards are only compared: compute-sanitizer sees what leaves an allocation.
inline void fence(unsigned char*, size_t, size_t, size_t) {}
inline void unfence(unsigned char*, size_t, size_t, size_t) {}

// A second run of the same work meets other timing.
inline std::string begin_run(int run) { return "run " + std::to_string(run + 1); }
inline void watch(const std::string&, int) {}

// The tensor cores add as they do.
constexpr const char* kMoreOptions = "";
inline bool choose_sums(const std::string&) { return false; }

inline std::string synchronize() {
  const cudaError_t error = cudaDeviceSynchronize();
  return error == cudaSuccess ? std::string() : std::string("on the device: ") + cudaGetErrorString(error);
}

}  // namespace stic::testing::backend
