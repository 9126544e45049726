// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The names of CUDA and of csrc/cuda/device.cuh that kernels use, for a host compiler: a kernel that includes
// device.cuh with STIC_EMULATED defined compiles unchanged and runs under the emulation in emulation/.
//
// A name's last parameter, site, is the caller's line; kernels leave it out.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <tuple>

#include "emulation/block.h"
#include "emulation/fragments.h"
#include "emulation/memory.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorNoKernelImageForDevice = 209
};
using cudaStream_t = struct EmulatedStream*;

inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess                     ? "no error"
         : error == cudaErrorInvalidValue         ? "invalid argument"
         : error == cudaErrorInvalidConfiguration ? "invalid configuration argument"
                                                  : "no kernel image is available for execution on the device";
}

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline constexpr const stic::emulation::Index& threadIdx = stic::emulation::position.thread;
inline constexpr const stic::emulation::Index& blockIdx = stic::emulation::position.block;
inline constexpr const stic::emulation::Index& blockDim = stic::emulation::position.threads;
inline constexpr const stic::emulation::Index& gridDim = stic::emulation::position.grid;

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

#include "emulation/collectives.h"

// Threads take turns at barriers and collectives alone, so that nothing comes between reading and writing.
template <typename T>
T exchange_sum(T* address, T value) {
  const T before = *address;
  *address = before + value;
  return before;
}
inline int atomicAdd(int* address, int value) { return exchange_sum(address, value); }
inline unsigned atomicAdd(unsigned* address, unsigned value) { return exchange_sum(address, value); }
inline float atomicAdd(float* address, float value) { return exchange_sum(address, value); }

namespace stic {

inline unsigned char* dynamic_shared(emulation::Site site = emulation::Site("dynamic_shared")) {
  return emulation::shared_memory(site);
}

inline void copy_async(void* shared, const void* global, int valid,
                       emulation::Site site = emulation::Site("copy_async")) {
  emulation::start_copy(site, shared, global, valid);
}
inline void copy_async_commit(emulation::Site site = emulation::Site("copy_async_commit")) {
  emulation::commit_copies(site);
}
template <int pending>
void copy_async_wait(emulation::Site site = emulation::Site("copy_async_wait")) {
  emulation::await_copies(site, pending);
}

inline uint32_t to_tf32(float value) { return emulation::nearest_tf32(value); }

inline void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                     emulation::Site site = emulation::Site("mma_tf32")) {
  emulation::multiply(site, emulation::Precision::kTf32, d, a, b);
}
inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                     emulation::Site site = emulation::Site("mma_bf16")) {
  emulation::multiply(site, emulation::Precision::kBf16, d, a, b);
}

struct Launch {
  dim3 grid, block;
  size_t shared = 0;
  cudaStream_t stream = nullptr;
};

// Whether hardware would take the launch.
inline bool is_possible(const Launch& shape) {
  const dim3 &grid = shape.grid, &block = shape.block;
  const auto within = [](unsigned size, uint64_t most) { return size > 0 && size <= most; };
  return within(grid.x, 0x7FFFFFFF) && within(grid.y, 65535) && within(grid.z, 65535) && within(block.x, 1024) &&
         within(block.y, 1024) && within(block.z, 64) && uint64_t{block.x} * block.y * block.z <= 1024;
}

template <typename... Parameters>
cudaError_t find_code(void (*)(Parameters...)) {
  return emulation::holds_code ? cudaSuccess : cudaErrorNoKernelImageForDevice;
}

template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), const Launch& shape, const Arguments&... arguments) {
  if (!is_possible(shape)) return cudaErrorInvalidConfiguration;
  if (shape.shared > emulation::shared_limit_bytes) return cudaErrorInvalidValue;
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> parameters;
  } call{kernel, {static_cast<Parameters>(arguments)...}};
  const auto body = [](void* context) {
    const Call& made = *static_cast<const Call*>(context);
    std::apply(made.kernel, made.parameters);
  };
  emulation::run_grid(
      {{shape.grid.x, shape.grid.y, shape.grid.z}, {shape.block.x, shape.block.y, shape.block.z}, shape.shared}, body,
      &call);
  return cudaSuccess;
}

inline cudaError_t shared_limit(int& bytes) {
  bytes = static_cast<int>(emulation::shared_limit_bytes);
  return cudaSuccess;
}

}  // namespace stic
