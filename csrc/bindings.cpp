// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Python's door to the kernels: addresses and sizes in, nothing else. stic_fast/ops checks all arguments first.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdlib>
#include <tuple>
#include <vector>

#include "core/philox.h"
#include "core/streams.h"
#include "cpu/dispatch.h"
#include "cpu/huge_pages.h"

namespace py = pybind11;

#if defined(STIC_HAVE_CUDA)
namespace stic {
int cuda_toolkit_version();
}
#endif

namespace {

using Address = uintptr_t;

template <typename T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

const stic::KernelTable& kernels() {
  static const stic::KernelTable& chosen = []() -> const stic::KernelTable& {
    const char* wanted = std::getenv("STIC_FAST_ISA");
    return stic::choose_table(wanted ? wanted : "");
  }();
  return chosen;
}

void noise_fill(Address out, int dtype, int64_t chains, int64_t elements, Address chain_ids, uint64_t seed,
                int64_t step, uint32_t stream, bool normal, int threads) {
  kernels().noise_fill({at<void>(out),
                        static_cast<stic::DType>(dtype),
                        chains,
                        elements,
                        {seed, step, at<const int64_t>(chain_ids)},
                        stream,
                        normal,
                        threads});
}

void grmala_step(Address x, Address grad_logp, Address grad_gram, Address out, int dtype, int64_t chains,
                 int64_t elements, Address eps, double eps1, double eps2, double eps3, double low, double high,
                 Address chain_ids, uint64_t seed, int64_t step, int threads) {
  kernels().grmala_step({at<const void>(x),
                         at<const void>(grad_logp),
                         at<const void>(grad_gram),
                         at<void>(out),
                         static_cast<stic::DType>(dtype),
                         chains,
                         elements,
                         at<const double>(eps),
                         eps1,
                         eps2,
                         eps3,
                         low,
                         high,
                         {seed, step, at<const int64_t>(chain_ids)},
                         threads});
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

void metropolis_accept(Address x, Address proposal, Address grad_x, Address grad_proposal, Address logp_x,
                       Address logp_proposal, Address out, Address accepted, Address log_alpha, int dtype,
                       int64_t chains, int64_t elements, Address eps, double low, double high, Address chain_ids,
                       uint64_t seed, int64_t step, int threads) {
  kernels().metropolis_accept({at<const void>(x),
                               at<const void>(proposal),
                               at<const void>(grad_x),
                               at<const void>(grad_proposal),
                               at<const double>(logp_x),
                               at<const double>(logp_proposal),
                               at<void>(out),
                               at<bool>(accepted),
                               at<double>(log_alpha),
                               static_cast<stic::DType>(dtype),
                               chains,
                               elements,
                               at<const double>(eps),
                               low,
                               high,
                               {seed, step, at<const int64_t>(chain_ids)},
                               threads});
}

void vrm_batch(Address images, Address partner, Address weight, Address out, int dtype, int64_t rows, int64_t channels,
               int64_t height, int64_t width, double noise_std, float flip_probability, int max_shift,
               Address chain_ids, uint64_t seed, int64_t step, int threads) {
  kernels().vrm_batch({at<const uint8_t>(images),
                       at<const int64_t>(partner),
                       at<const float>(weight),
                       at<void>(out),
                       static_cast<stic::DType>(dtype),
                       rows,
                       channels,
                       height,
                       width,
                       noise_std,
                       flip_probability,
                       max_shift,
                       {seed, step, at<const int64_t>(chain_ids)},
                       threads});
}

py::tuple philox4x32_10(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t key0, uint32_t key1) {
  const stic::Words words = stic::philox4x32_10(stic::Words{c0, c1, c2, c3}, key0, key1);
  return py::make_tuple(words.w0, words.w1, words.w2, words.w3);
}

py::dict build_info() {
  py::dict info;
  info["version"] = STIC_VERSION;
  info["compiler"] = STIC_COMPILER;
#if defined(_OPENMP)
  info["openmp"] = true;
#else
  info["openmp"] = false;
#endif
  py::list found;
  for (const stic::KernelTable* table : stic::runnable_tables()) found.append(table->isa);
  info["isa_found"] = found;
  info["isa"] = kernels().isa;
#if defined(STIC_HAVE_CUDA)
  info["cuda_toolkit"] = stic::cuda_toolkit_version();
#else
  info["cuda_toolkit"] = py::none();
#endif
  info["cuda_reason"] = STIC_CUDA_REASON;
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
  return names;
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  module.doc() = "Native kernels of stic_fast. Use stic_fast.ops, which checks arguments.";
  using release = py::call_guard<py::gil_scoped_release>;
  module.def("noise_fill", &noise_fill, release());
  module.def("grmala_step", &grmala_step, release());
  module.def("gram_loss", &gram_loss, release());
  module.def("gram_loss_gradient", &gram_loss_gradient, release());
  module.def("metropolis_accept", &metropolis_accept, release());
  module.def("vrm_batch", &vrm_batch, release());
  module.def("prefer_huge_pages", &stic::prefer_huge_pages);
  module.def("philox4x32_10", &philox4x32_10);
  module.def("build_info", &build_info);
  module.def("streams", &streams);
  kernels();  // an instruction set that cannot run is refused at import
}
