// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Python's door to the kernels: addresses and sizes in, nothing else. stic_fast/ops checks all arguments first.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdlib>
#include <tuple>
#include <vector>

#include "build.h"
#include "call_arguments.h"
#include "core/streams.h"
#include "cpu/dispatch.h"
#include "cpu/huge_pages.h"

namespace py = pybind11;

#if defined(STIC_HAVE_CUDA)
#include "cuda/bindings.h"
#endif

namespace {

using stic::Address;
using stic::at;

const stic::KernelTable& kernels() {
  static const stic::KernelTable& chosen = []() -> const stic::KernelTable& {
    const char* wanted = std::getenv("STIC_FAST_ISA");
    return stic::choose_table(wanted ? wanted : "");
  }();
  return chosen;
}

// The kernel as Python calls it: its arguments, then the most threads to keep busy.
template <typename Arguments, typename... Passed>
auto on_cpu(void (*stic::KernelTable::*kernel)(const Arguments&, int), Arguments (*arguments_of)(Passed...)) {
  return [=](Passed... passed, int threads) { (kernels().*kernel)(arguments_of(passed...), threads); };
}

// A layer as Python writes it down.
using LayerTuple = std::tuple<Address, Address, Address, Address, Address, Address, Address, Address, int, int64_t,
                              int64_t, int64_t, int64_t, int64_t, bool, bool, bool, int>;

std::vector<stic::GramLayer> layers_of(const std::vector<LayerTuple>& tuples) {
  std::vector<stic::GramLayer> layers;
  for (const LayerTuple& tuple : tuples)
    layers.push_back(std::apply(
        [](Address features, Address reference, Address gram, Address products, Address terms, Address slopes,
           Address grad_loss, Address gradient, int dtype, int64_t chains, int64_t channels, int64_t size,
           int64_t reference_size, int64_t products_stride, bool channels_last, bool shared_target, bool dual,
           int scale) {
          return stic::GramLayer{at<const void>(features),
                                 at<const void>(reference),
                                 at<const float>(gram),
                                 at<float>(products),
                                 at<float>(terms),
                                 at<float>(slopes),
                                 at<const float>(grad_loss),
                                 at<void>(gradient),
                                 static_cast<stic::DType>(dtype),
                                 chains,
                                 channels,
                                 size,
                                 reference_size,
                                 products_stride,
                                 channels_last,
                                 shared_target,
                                 dual,
                                 static_cast<stic::GramScale>(scale)};
        },
        tuple));
  return layers;
}

void gram_loss(const std::vector<LayerTuple>& tuples, int threads) {
  const auto layers = layers_of(tuples);
  kernels().gram_loss(layers.data(), static_cast<int64_t>(layers.size()), threads);
}

void gram_loss_gradient(const std::vector<LayerTuple>& tuples, int threads) {
  const auto layers = layers_of(tuples);
  kernels().gram_loss_gradient(layers.data(), static_cast<int64_t>(layers.size()), threads);
}

py::tuple philox4x32_10(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t key0, uint32_t key1) {
  const stic::Words words = stic::philox4x32_10(stic::Words{c0, c1, c2, c3}, key0, key1);
  return py::make_tuple(words.w0, words.w1, words.w2, words.w3);
}

py::dict build_info() {
  py::dict info;
  info["version"] = stic::kVersion;
  info["compiler"] = stic::kCompiler;
#if defined(_OPENMP)
  info["openmp"] = true;
#else
  info["openmp"] = false;
#endif
  info["openmp_reason"] = stic::kOpenmpReason;
  py::list found;
  for (const stic::KernelTable* table : stic::runnable_tables()) found.append(table->isa);
  info["isa_found"] = found;
  info["isa"] = kernels().isa;
#if defined(STIC_HAVE_CUDA)
  info["cuda_toolkit"] = stic::cuda::toolkit_version();
#else
  info["cuda_toolkit"] = py::none();
#endif
  info["cuda_reason"] = stic::kCudaReason;
  return info;
}

py::dict streams() {
  py::dict names;
  names["langevin"] = static_cast<uint32_t>(stic::kLangevin);
  names["chain_init"] = static_cast<uint32_t>(stic::kChainInit);
  names["reinit_coin"] = static_cast<uint32_t>(stic::kReinitCoin);
  names["instance_noise"] = static_cast<uint32_t>(stic::kInstanceNoise);
  names["mixup"] = static_cast<uint32_t>(stic::kMixup);
  names["augmentation"] = static_cast<uint32_t>(stic::kAugmentation);
  names["metropolis"] = static_cast<uint32_t>(stic::kMetropolis);
  names["batch_order"] = static_cast<uint32_t>(stic::kBatchOrder);
  names["latent"] = static_cast<uint32_t>(stic::kLatent);
  names["patch"] = static_cast<uint32_t>(stic::kPatch);
  names["noise_level"] = static_cast<uint32_t>(stic::kNoiseLevel);
  names["probe"] = static_cast<uint32_t>(stic::kProbe);
  names["filters"] = static_cast<uint32_t>(stic::kFilters);
  return names;
}

}  // namespace

// Needs no lock of Python's: all that outlives a call is the table of kernels, chosen at import, the page size and, for
// CUDA, the kernels that were allowed all shared memory, kept under a mutex.
PYBIND11_MODULE(_native, module, py::mod_gil_not_used()) {
  module.doc() = "Native kernels of stic_fast. Use stic_fast.ops, which checks arguments.";
  using release = py::call_guard<py::gil_scoped_release>;
  module.def("noise_fill", on_cpu(&stic::KernelTable::noise_fill, &stic::noise_fill_arguments), release());
  module.def("grmala_step", on_cpu(&stic::KernelTable::grmala_step, &stic::grmala_step_arguments), release());
  module.def("gram_loss", &gram_loss, release());
  module.def("gram_loss_gradient", &gram_loss_gradient, release());
  module.def("metropolis_accept", on_cpu(&stic::KernelTable::metropolis_accept, &stic::metropolis_accept_arguments),
             release());
  module.def("scaled_silu", on_cpu(&stic::KernelTable::scaled_silu, &stic::scaled_silu_arguments), release());
  module.def("scaled_silu_backward",
             on_cpu(&stic::KernelTable::scaled_silu_backward, &stic::scaled_silu_backward_arguments), release());
  module.def("vrm_batch", on_cpu(&stic::KernelTable::vrm_batch, &stic::vrm_batch_arguments), release());
  module.def("prefer_huge_pages", &stic::prefer_huge_pages);
  module.def("philox4x32_10", &philox4x32_10);
  module.def("build_info", &build_info);
  module.def("streams", &streams);
#if defined(STIC_HAVE_CUDA)
  stic::cuda::add_module(module);
#else
  module.attr("cuda") = py::none();
#endif
  kernels();  // an instruction set that cannot run is refused at import
}
