// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The CPU kernels of one instruction set, and what those are told that have no counterpart of the same form on CUDA.
#pragma once

#include "../core/arguments.h"
#include "../core/gram_scale.h"

namespace stic {

// One layer of the Gram loss s·‖FFᵀ/M − A‖²_F; all layers of a call have the same chains. What gram_loss writes to
// products, a layout of its own of at least products_stride floats per chain, gram_loss_gradient reads.
struct GramLayer {
  const void* features;    // (chains, channels, size), or (chains, size, channels) with the channels last
  const void* reference;   // likewise, with reference_size; null if A is given
  const float* gram;       // A: (chains, channels, channels); null if reference is given
  float* products;         // null if no gradient will be asked for
  float *terms, *slopes;   // (chains): the layer's term, and its derivative in ‖FFᵀ/M − A‖²_F
  const float* grad_loss;  // (chains); for the gradient alone
  void* gradient;          // like features; for the gradient alone
  DType dtype;             // not fp64
  int64_t chains, channels, size, reference_size, products_stride;
  bool channels_last, shared_target, dual;  // shared_target: one for all chains
  GramScale scale;
};

// The kernels of one instruction set; `threads` is the most that a call may keep busy.
struct KernelTable {
  const char* isa;
  void (*noise_fill)(const NoiseFill&, int threads);
  void (*grmala_step)(const GrmalaStep&, int threads);
  void (*gram_loss)(const GramLayer*, int64_t count, int threads);
  void (*gram_loss_gradient)(const GramLayer*, int64_t count, int threads);
  void (*metropolis_accept)(const MetropolisAccept&, int threads);
  void (*scaled_silu)(const ScaledSilu&, int threads);
  void (*scaled_silu_backward)(const ScaledSiluBackward&, int threads);
  void (*vrm_batch)(const VrmBatch&, int threads);
};

}  // namespace stic
