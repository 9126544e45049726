// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// A Python module with the CUDA part's own bindings, whose kernels run under the emulation on tensors of the CPU.
#include <pybind11/pybind11.h>

#include <utility>

#include "emulation.h"

// What the bindings ask of CUDA: two devices, of which the first is able to run the kernels.
#define CUDART_VERSION 0
static int current_device = 0;
static cudaError_t last_error = cudaSuccess;
inline cudaError_t cudaGetDevice(int* device) { return *device = current_device, cudaSuccess; }
inline cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device > 1) return last_error = cudaErrorInvalidValue;
  stic::emulation::holds_code = device == 0;
  return current_device = device, cudaSuccess;
}
inline cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  return last_error = cudaSuccess, error;
}

#include "../../csrc/cuda/bindings.cpp"
#include "../../csrc/cuda/gram_gradient.cu"
#include "../../csrc/cuda/gram_loss.cu"
#include "../../csrc/cuda/grmala_step.cu"
#include "../../csrc/cuda/metropolis_accept.cu"
#include "../../csrc/cuda/noise.cu"
#include "../../csrc/cuda/scaled_silu.cu"
#include "../../csrc/cuda/vrm_batch.cu"

PYBIND11_MODULE(emulated_device, module) {
  stic::emulation::own(nullptr, SIZE_MAX);  // any of the host's memory is the device's
  stic::cuda::add_module(module);
  module.attr("cuda").attr("left_behind") =
      pybind11::cpp_function([] { return std::pair(current_device, static_cast<int>(last_error)); });
}
