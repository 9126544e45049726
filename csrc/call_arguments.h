// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// What Python passes to a kernel, addresses and numbers in one order, as what the kernel is told; the same for CPU and
// CUDA.
#pragma once

#include "core/arguments.h"

namespace stic {

using Address = uintptr_t;

template <typename T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

inline NoiseFill noise_fill_arguments(Address out, int dtype, int64_t chains, int64_t elements, Address chain_ids,
                                      uint64_t seed, int64_t step, Address step_on_device, uint32_t stream,
                                      bool normal) {
  return {at<void>(out),
          static_cast<DType>(dtype),
          chains,
          elements,
          {seed, step, at<const int64_t>(step_on_device), at<const int64_t>(chain_ids)},
          stream,
          normal};
}

inline GrmalaStep grmala_step_arguments(Address x, Address grad_logp, Address grad_gram, Address out, int dtype,
                                        int64_t chains, int64_t elements, Address eps, double eps1, double eps2,
                                        double eps3, double low, double high, Address chain_ids, uint64_t seed,
                                        int64_t step, Address step_on_device) {
  return {at<const void>(x),
          at<const void>(grad_logp),
          at<const void>(grad_gram),
          at<void>(out),
          static_cast<DType>(dtype),
          chains,
          elements,
          at<const double>(eps),
          eps1,
          eps2,
          eps3,
          low,
          high,
          {seed, step, at<const int64_t>(step_on_device), at<const int64_t>(chain_ids)}};
}

inline MetropolisAccept metropolis_accept_arguments(Address x, Address proposal, Address grad_x, Address grad_proposal,
                                                    Address logp_x, Address logp_proposal, Address out,
                                                    Address accepted, Address log_alpha, int dtype, int64_t chains,
                                                    int64_t elements, Address eps, double low, double high,
                                                    Address chain_ids, uint64_t seed, int64_t step,
                                                    Address step_on_device) {
  return {at<const void>(x),
          at<const void>(proposal),
          at<const void>(grad_x),
          at<const void>(grad_proposal),
          at<const double>(logp_x),
          at<const double>(logp_proposal),
          at<void>(out),
          at<bool>(accepted),
          at<double>(log_alpha),
          static_cast<DType>(dtype),
          chains,
          elements,
          at<const double>(eps),
          low,
          high,
          {seed, step, at<const int64_t>(step_on_device), at<const int64_t>(chain_ids)}};
}

inline VrmBatch vrm_batch_arguments(Address images, Address partner, Address weight, Address out, int dtype,
                                    int64_t rows, int64_t channels, int64_t height, int64_t width, double noise_std,
                                    float flip_probability, int max_shift, Address chain_ids, uint64_t seed,
                                    int64_t step, Address step_on_device) {
  return {at<const uint8_t>(images),
          at<const int64_t>(partner),
          at<const float>(weight),
          at<void>(out),
          static_cast<DType>(dtype),
          rows,
          channels,
          height,
          width,
          noise_std,
          flip_probability,
          max_shift,
          {seed, step, at<const int64_t>(step_on_device), at<const int64_t>(chain_ids)}};
}

}  // namespace stic
