// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// A Python module with the CUDA part's own bindings, whose kernels run under the emulation on tensors of the CPU.
#include <pybind11/pybind11.h>

#include "emulation.h"

// What the bindings ask of CUDA: one device, able to run the kernels.
#define CUDART_VERSION 0
enum cudaDeviceAttr { cudaDevAttrComputeCapabilityMajor };
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidValue; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int device) {
  return *value = 9, device == 0 ? cudaSuccess : cudaErrorInvalidValue;
}

#include "../../csrc/cuda/bindings.cpp"
#include "../../csrc/cuda/gram_gradient.cu"
#include "../../csrc/cuda/gram_loss.cu"
#include "../../csrc/cuda/grmala_step.cu"
#include "../../csrc/cuda/metropolis_accept.cu"
#include "../../csrc/cuda/noise.cu"
#include "../../csrc/cuda/vrm_batch.cu"

PYBIND11_MODULE(emulated_device, module) {
  stic::emulation::own(nullptr, SIZE_MAX);  // any of the host's memory is the device's
  stic::cuda::add_module(module);
}
