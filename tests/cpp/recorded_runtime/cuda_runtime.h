// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// What csrc/cuda/device.cuh asks of CUDA's runtime when it launches, answered by a host that keeps account of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#define __device__
#define __forceinline__ inline
#define __shared__
#define __align__(bytes)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
enum cudaError_t { cudaSuccess, cudaErrorInvalidValue };
using cudaStream_t = void*;
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
};
enum cudaDeviceAttr { cudaDevAttrMaxSharedMemoryPerBlockOptin };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
struct cudaFuncAttributes {};

namespace recorded {
constexpr int kLimit = 200000;  // bytes that a block may have, of the first device; the second has 1000 more
inline thread_local int device = 0;
inline std::atomic<int> settings{0}, wrong_settings{0}, launches{0}, refusals{0};
}  // namespace recorded

inline size_t __cvta_generic_to_shared(const void* address) { return reinterpret_cast<size_t>(address); }
inline cudaError_t cudaGetDevice(int* device) { return *device = recorded::device, cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int device) {
  return *value = recorded::kLimit + 1000 * device, cudaSuccess;
}
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, const void*) { return cudaSuccess; }
inline cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int bytes) {
  if (recorded::refusals > 0) return --recorded::refusals, cudaErrorInvalidValue;
  ++recorded::settings;
  recorded::wrong_settings += bytes != recorded::kLimit + 1000 * recorded::device;
  return cudaSuccess;
}
template <typename... Parameters>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t*, void (*)(Parameters...), Parameters...) {
  return ++recorded::launches, cudaSuccess;
}
