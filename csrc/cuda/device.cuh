// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The one door between the kernels and the device: asynchronous copies, tensor-core products, dynamic shared memory and
// launches. The kernels use these and plain CUDA, nothing else, so that the emulation in tests/cpp, which offers the
// same names on a host, can run them unchanged.
#pragma once

#if defined(STIC_EMULATED)
#include "emulation.h"
#else

#include <cuda_runtime.h>

#include <cstdint>
#include <mutex>
#include <set>
#include <utility>

namespace stic {

// The shared memory that a launch asks for, aligned for the widest access.
__device__ __forceinline__ unsigned char* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char stic_dynamic_shared[];
  return stic_dynamic_shared;
}

__device__ __forceinline__ uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

// Starts copying 16 bytes from global to shared memory, of which the last 16 − valid arrive as zeros. With valid = 0
// the global address is not read. Both addresses are multiples of 16.
__device__ __forceinline__ void copy_async(void* shared, const void* global, int valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(valid)
               : "memory");
}

// Closes the group of copies that this thread has started since the last one.
__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most `pending` of this thread's latest groups are under way; others' copies need a barrier as well.
template <int pending>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// The TF32 number nearest to a float, ties away from zero: 10 bits of mantissa. NaN stays NaN.
__device__ __forceinline__ uint32_t to_tf32(float value) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return bits;
}

// d += a·b by one warp: a is 16×8, b 8×8, d 16×8. With group = lane / 4 and member = lane % 4 a lane holds
//   a[0..3]: (group, member), (group + 8, member), (group, member + 4), (group + 8, member + 4)
//   b[0..1]: (member, group), (member + 4, group)
//   d[0..3]: (group, 2·member), (group, 2·member + 1), (group + 8, 2·member), (group + 8, 2·member + 1)
// as (row, column). PTX ISA, "Matrix fragments for mma.m16n8k8 with .tf32". Volatile, lest the compiler move it to
// where its results are used, a branch that some lanes do not take. How sums are rounded:
// tests/cpp/emulation/fragments.h.
__device__ __forceinline__ void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// d += a·b by one warp: a is 16×16, b 16×8, d 16×8, of bfloat16. A register of a or b holds two numbers that
// are neighbours along the summed dimension, the first in its lower half:
//   a[0..3]: (group, 2·member), (group + 8, 2·member), (group, 2·member + 8), (group + 8, 2·member + 8)
//   b[0..1]: (2·member, group), (2·member + 8, group)
// as (row, column) of the first; d as above. PTX ISA, "Matrix fragments for mma.m16n8k16 with floating point type".
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Shape of a launch.
struct Launch {
  dim3 grid, block;
  size_t shared = 0;  // bytes of dynamic shared memory
  cudaStream_t stream = nullptr;
};

// The most shared memory, in bytes, that one block may have on the current device.
inline cudaError_t shared_limit(int& bytes) {
  int device;
  const cudaError_t error = cudaGetDevice(&device);
  return error != cudaSuccess ? error : cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
}

// Lets a kernel have all of that, once for each device: a limit that every launch set to its own size could be lowered
// by another thread before the launch.
inline cudaError_t allow_all_shared(const void* kernel) {
  static std::mutex one_at_a_time;
  static std::set<std::pair<const void*, int> > allowed;
  int device, most;
  cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return error;
  const std::lock_guard<std::mutex> turn(one_at_a_time);
  if (allowed.count({kernel, device})) return cudaSuccess;
  if ((error = shared_limit(most)) != cudaSuccess) return error;
  error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
  if (error == cudaSuccess) allowed.insert({kernel, device});
  return error;
}

// An error where there is no code of a kernel for the current device.
template <typename... Parameters>
cudaError_t find_code(void (*kernel)(Parameters...)) {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kernel));
}

// Starts a kernel, which has no shared memory but what the launch asks for; returns CUDA's error.
template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), const Launch& shape, const Arguments&... arguments) {
  constexpr size_t kAlways = 48 * 1024;  // beyond it a kernel has to ask
  if (shape.shared > kAlways) {
    const cudaError_t error = allow_all_shared(reinterpret_cast<const void*>(kernel));
    if (error != cudaSuccess) return error;
  }
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared;
  config.stream = shape.stream;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

}  // namespace stic
#endif
