// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// What the tests of kernels with noise share: shapes of batches, ways to address noise, and the noise itself, one
// element at a time by the scalar functions of csrc/core.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "../../csrc/core/arguments.h"
#include "../../csrc/core/normal.h"
#include "testing.h"

namespace stic::testing {

struct ChainShape {
  int64_t chains, elements;
};

// Elements around the sizes of Philox blocks (4), packs (4 or 8), warps and blocks of threads; few and many chains.
constexpr ChainShape kChainShapes[] = {{1, 1},  {300, 2}, {5, 3},  {3, 4},   {3, 5},   {2, 7},
                                       {5, 24}, {2, 63},  {9, 64}, {3, 256}, {2, 520}, {2, 1025}};

// How a test addresses its noise.
struct Addressing {
  const char* name;
  uint64_t seed;
  int64_t step;
  bool step_on_device, with_ids;
};
constexpr Addressing kPlainAddress = {"plain", 7, 0, false, false};
constexpr Addressing kAddresses[] = {
    kPlainAddress,
    {"late step, large seed", 0xFEDCBA9876543210u, 0xFFFFFFFF, false, false},
    {"ids", 1, 3, false, true},
    {"step on device", 0x8000000000000000u, 0x1234567890, true, true},
};

// Noise on the device, and what a kernel has to make of it.
class NoiseInput {
 public:
  NoiseInput(Trial& trial, const Addressing& addressing, int64_t chains)
      : addressing_(addressing),
        ids_(ids(addressing.with_ids ? chains : 0)),
        device_ids_(trial.input(ids_)),
        device_step_(trial.input(std::vector<int64_t>{addressing.step})) {}

  NoiseSource source() const {
    return {addressing_.seed, addressing_.step_on_device ? -1 : addressing_.step,
            addressing_.step_on_device ? device_step_.data() : nullptr,
            addressing_.with_ids ? device_ids_.data() : nullptr};
  }

  // The words of the element's quad.
  Words words(uint32_t stream, int64_t chain, int64_t element) const {
    const NoiseAddress address{addressing_.seed, static_cast<uint32_t>(addressing_.step), stream};
    const int64_t id = addressing_.with_ids ? ids_[static_cast<size_t>(chain)] : chain;
    return noise_words(address, static_cast<uint32_t>(id), static_cast<uint32_t>(element / 4));
  }
  float uniform(uint32_t stream, int64_t chain, int64_t element) const {
    const Words of_quad = words(stream, chain, element);
    const uint32_t all[] = {of_quad.w0, of_quad.w1, of_quad.w2, of_quad.w3};
    return uniform_of(all[element % 4]);
  }
  float normal(uint32_t stream, int64_t chain, int64_t element) const {
    const Words of_quad = words(stream, chain, element);
    float z[4];
    box_muller(of_quad.w0, of_quad.w1, z[0], z[1]);
    box_muller(of_quad.w2, of_quad.w3, z[2], z[3]);
    return z[element % 4];
  }

 private:
  // Beyond 32 bits, negative, and in no order.
  static std::vector<int64_t> ids(int64_t chains) {
    std::vector<int64_t> result;
    for (int64_t chain = 0; chain < chains; ++chain)
      result.push_back(chain % 3 == 0 ? 0x500000000 + 977 * chain : chain % 3 == 1 ? -chain : 100000 - chain);
    return result;
  }

  Addressing addressing_;
  std::vector<int64_t> ids_;
  DeviceBuffer<int64_t> device_ids_, device_step_;
};

// A judge for Trial::expect_that: the bits of `wanted`, but any NaN for a NaN, whose bits are the device's own affair.
template <typename T>
auto same_numbers(std::vector<T> wanted) {
  return [wanted](const std::vector<T>& got) {
    std::vector<T> settled = got;
    for (size_t i = 0; i < got.size() && i < wanted.size(); ++i)
      if (std::isnan(number(got[i])) && std::isnan(number(wanted[i]))) settled[i] = wanted[i];
    return difference_in_bits(elements_of(settled), elements_of(wanted));
  };
}

// A number of the type the kernels compute in, stored.
template <typename T>
T stored_from(typename Compute<T>::type value) {
  T result;
  store(&result, value);
  return result;
}

}  // namespace stic::testing
