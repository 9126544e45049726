// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// What Python passes to a kernel (stic_fast/ops/library.py, run), the addresses of outputs and inputs before the
// numbers, as what the kernel is told; the same for CPU and CUDA.
#pragma once

#include "core/arguments.h"

namespace stic {

using Address = uintptr_t;

template <typename T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

inline NoiseSource addressed(Address chain_ids, Address step_on_device, int64_t seed, int64_t step) {
  return {static_cast<uint64_t>(seed), step, at<const int64_t>(step_on_device), at<const int64_t>(chain_ids)};
}

inline NoiseFill noise_fill_arguments(Address out, Address chain_ids, Address step_on_device, int dtype, int64_t chains,
                                      int64_t elements, int64_t seed, int64_t step, uint32_t stream, bool normal) {
  return {at<void>(out),
          static_cast<DType>(dtype),
          chains,
          elements,
          addressed(chain_ids, step_on_device, seed, step),
          stream,
          normal};
}

inline GrmalaStep grmala_step_arguments(Address out, Address x, Address grad_logp, Address grad_gram, Address eps,
                                        Address chain_ids, Address step_on_device, int dtype, int64_t chains,
                                        int64_t elements, double eps1, double eps2, double eps3, double low,
                                        double high, int64_t seed, int64_t step) {
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
          addressed(chain_ids, step_on_device, seed, step)};
}

inline MetropolisAccept metropolis_accept_arguments(Address out, Address accepted, Address log_alpha, Address x,
                                                    Address proposal, Address grad_x, Address grad_proposal,
                                                    Address logp_x, Address logp_proposal, Address eps,
                                                    Address chain_ids, Address step_on_device, int dtype,
                                                    int64_t chains, int64_t elements, double low, double high,
                                                    int64_t seed, int64_t step) {
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
          addressed(chain_ids, step_on_device, seed, step)};
}

inline VrmBatch vrm_batch_arguments(Address out, Address images, Address partner, Address weight, Address chain_ids,
                                    Address step_on_device, int dtype, int64_t rows, int64_t channels, int64_t height,
                                    int64_t width, double noise_std, float flip_probability, int max_shift,
                                    int64_t seed, int64_t step) {
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
          addressed(chain_ids, step_on_device, seed, step)};
}

inline ScaledSilu scaled_silu_arguments(Address out, Address x, Address scales, int dtype, int64_t batch,
                                        int64_t channels, int64_t positions, bool channels_last, double scale) {
  return {at<const void>(x), at<void>(out), static_cast<DType>(dtype), batch, channels,
          positions,         channels_last, at<const void>(scales),    scale};
}

inline ScaledSiluBackward scaled_silu_backward_arguments(Address grad_x, Address grad_scales, Address grad, Address x,
                                                         Address scales, int dtype, int64_t batch, int64_t channels,
                                                         int64_t positions, bool channels_last, double scale) {
  return {scaled_silu_arguments(0, x, scales, dtype, batch, channels, positions, channels_last, scale),
          at<const void>(grad), at<void>(grad_x), at<void>(grad_scales)};
}

}  // namespace stic
