// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Python's door to the CUDA kernels: the arguments of the CPU ones, with a device and a stream in place of threads.
#include "bindings.h"

#include <pybind11/stl.h>

#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "../call_arguments.h"
#include "gram_kernels.h"
#include "kernels.h"

namespace py = pybind11;

namespace stic {
namespace cuda {

namespace {

void check(cudaError_t error, const std::string& what) {
  if (error != cudaSuccess)
    throw std::runtime_error(what + " failed with CUDA's error \"" + cudaGetErrorString(error) +
                             "\"; if an earlier kernel may have caused it, run again with CUDA_LAUNCH_BLOCKING=1");
}

// Makes a device the current one for as long as it lives.
class OnDevice {
 public:
  explicit OnDevice(int device) {
    check(cudaGetDevice(&before_), "asking for the current CUDA device");
    if (device != before_) check(cudaSetDevice(device), "choosing CUDA device " + std::to_string(device));
    changed_ = device != before_;
  }
  ~OnDevice() {
    if (changed_) cudaSetDevice(before_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

cudaStream_t stream_at(Address stream) { return reinterpret_cast<cudaStream_t>(stream); }

// The launch as Python calls it: the kernel's arguments, then the device and the stream to run on. Waits for nothing.
template <typename Arguments, typename... Passed>
auto on_cuda(const char* name, cudaError_t (*launch)(const Arguments&, cudaStream_t),
             Arguments (*arguments_of)(Passed...)) {
  return [=](Passed... passed, int device, Address stream) {
    const OnDevice guard(device);
    check(launch(arguments_of(passed...), stream_at(stream)), std::string("the kernel of ") + name);
  };
}

// A layer as Python writes it down (stic_fast/ops/gram_loss_cuda.py).
using LayerTuple =
    std::tuple<Address, Address, Address, Address, Address, Address, Address, int, int, int, bool, bool, bool, int>;
using GradientTuple = std::tuple<Address, Address, int64_t>;

void gram_loss_on(const std::vector<LayerTuple>& tuples, int64_t chains, int dtype, bool accurate, int device,
                  Address stream) {
  std::vector<GramLayer> layers;
  for (const LayerTuple& tuple : tuples)
    layers.push_back(std::apply(
        [](Address features, Address reference, Address gram, Address difference, Address gradient, Address terms,
           Address slopes, int channels, int size, int reference_size, bool channels_last, bool shared_target,
           bool dual, int scale) {
          return GramLayer{at<const void>(features),
                           at<const void>(reference),
                           at<const float>(gram),
                           at<float>(difference),
                           at<void>(gradient),
                           at<float>(terms),
                           at<float>(slopes),
                           channels,
                           size,
                           reference_size,
                           channels_last,
                           shared_target,
                           dual,
                           static_cast<GramScale>(scale)};
        },
        tuple));
  const OnDevice guard(device);
  check(gram_loss(layers.data(), static_cast<int64_t>(layers.size()), chains, static_cast<DType>(dtype), accurate,
                  stream_at(stream)),
        "the kernel of gram_loss");
}

void gram_gradient_on(const std::vector<GradientTuple>& tuples, int64_t chains, int dtype, Address grad_loss,
                      int device, Address stream) {
  std::vector<GramGradient> layers;
  for (const auto& [of_term, gradient, numbers] : tuples)
    layers.push_back({at<const void>(of_term), at<void>(gradient), numbers});
  const OnDevice guard(device);
  check(gram_gradient(layers.data(), static_cast<int64_t>(layers.size()), chains, static_cast<DType>(dtype),
                      at<const float>(grad_loss), stream_at(stream)),
        "the kernel of gram_loss's gradient");
}

// Whether a device can run the kernels: whether the module holds code for it, machine code or PTX that its driver
// translates. It leaves no error behind.
bool supports(int device) {
  int before = 0;
  bool found = cudaGetDevice(&before) == cudaSuccess && cudaSetDevice(device) == cudaSuccess;
  if (found) {
    found = find_kernels() == cudaSuccess;
    cudaSetDevice(before);
  }
  cudaGetLastError();
  return found;
}

}  // namespace

int toolkit_version() { return CUDART_VERSION; }

void add_module(py::module_& parent) {
  using release = py::call_guard<py::gil_scoped_release>;
  py::module_ module = parent.def_submodule("cuda", "The kernels for NVIDIA GPUs, compute capability 8.0 and above.");
  module.def("supports", &supports, release());
  module.def("noise_fill", on_cuda("noise", &noise_fill, &noise_fill_arguments), release());
  module.def("grmala_step", on_cuda("grmala_step", &grmala_step, &grmala_step_arguments), release());
  module.def("metropolis_accept", on_cuda("metropolis_accept", &metropolis_accept, &metropolis_accept_arguments),
             release());
  module.def("scaled_silu", on_cuda("scaled_silu", &scaled_silu, &scaled_silu_arguments), release());
  module.def("scaled_silu_backward",
             on_cuda("scaled_silu's gradient", &scaled_silu_backward, &scaled_silu_backward_arguments), release());
  module.def("vrm_batch", on_cuda("vrm_batch", &vrm_batch, &vrm_batch_arguments), release());
  module.def("gram_loss", &gram_loss_on, release());
  module.def("gram_gradient", &gram_gradient_on, release());
}

}  // namespace cuda
}  // namespace stic
