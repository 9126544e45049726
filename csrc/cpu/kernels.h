// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// What each CPU kernel is told: raw pointers, sizes and scalars. Shared by the kernels, their dispatch and the
// bindings.
#pragma once

#include <cstdint>

namespace stic {

enum class DType : int { kFloat32 = 0, kFloat64 = 1, kBFloat16 = 2, kFloat16 = 3 };

// Where a kernel's noise comes from: chain_ids may be null, then chain b has id b.
struct NoiseSource {
  uint64_t seed;
  int64_t step;
  const int64_t* chain_ids;
};

struct NoiseFill {
  void* out;  // (chains, elements)
  DType dtype;
  int64_t chains, elements;
  NoiseSource noise;
  uint32_t stream;
  bool normal;
  int threads;
};

// out = clamp(x + ε1·grad_logp − ε2·grad_gram + ε3·N(0, 1))
struct GrmalaStep {
  const void* x;  // (chains, elements), as are the gradients and out, which may be x itself
  const void* grad_logp;
  const void* grad_gram;  // may be null
  void* out;
  DType dtype;
  int64_t chains, elements;
  const double* eps;  // (3, chains), or null: then the three scalars hold for every chain
  double eps1, eps2, eps3;
  double low, high;  // ∓infinity for no clamp
  NoiseSource noise;
  int threads;
};

enum class GramScale : int { kLog = 0, kRelative = 1, kGatys = 2, kNone = 3 };

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

// Metropolis–Hastings correction of the Langevin proposal x' = x + ε1·∇log p(x) + ε3·N(0, 1).
struct MetropolisAccept {
  const void *x, *proposal, *grad_x, *grad_proposal;  // (chains, elements)
  const double *logp_x, *logp_proposal;               // (chains)
  void* out;                                          // (chains, elements)
  bool* accepted;                                     // (chains)
  double* log_alpha;                                  // (chains)
  DType dtype;
  int64_t chains, elements;
  const double* eps;  // (2, chains): ε1 and ε3 of each chain
  double low, high;   // a proposal outside is rejected
  NoiseSource noise;
  int threads;
};

// One training batch: uint8 images to [−1, 1], flipped, shifted, mixed with a partner row, with instance noise.
struct VrmBatch {
  const uint8_t* images;   // (rows, channels, height, width)
  const int64_t* partner;  // (rows), or null for no mixup
  const float* weight;     // (rows): λ of the row itself, 1 − λ of its partner
  void* out;               // (rows, channels, height, width)
  DType dtype;
  int64_t rows, channels, height, width;
  double noise_std;
  float flip_probability;
  int max_shift;
  NoiseSource noise;
  int threads;
};

// The kernels of one instruction set.
struct KernelTable {
  const char* isa;
  void (*noise_fill)(const NoiseFill&);
  void (*grmala_step)(const GrmalaStep&);
  void (*gram_loss)(const GramLayer*, int64_t count, int threads);
  void (*gram_loss_gradient)(const GramLayer*, int64_t count, int threads);
  void (*metropolis_accept)(const MetropolisAccept&);
  void (*vrm_batch)(const VrmBatch&);
};

}  // namespace stic
