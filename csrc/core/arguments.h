// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// What each kernel is told, on CPU and CUDA alike: raw pointers, sizes and scalars. Shared by the kernels, their
// launch code and the bindings.
#pragma once

#include "philox.h"
#include "storage.h"

namespace stic {

enum class DType : int { kFloat32 = 0, kFloat64 = 1, kBFloat16 = 2, kFloat16 = 3 };

// body(null pointer of the storage type that dtype names); all its results are of one type.
template <typename Body>
static inline auto with_storage_type(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::kFloat64:
      return body(static_cast<double*>(nullptr));
    case DType::kBFloat16:
      return body(static_cast<BFloat16*>(nullptr));
    case DType::kFloat16:
      return body(static_cast<Float16*>(nullptr));
    default:
      return body(static_cast<float*>(nullptr));
  }
}

// Where a kernel's noise comes from.
struct NoiseSource {
  uint64_t seed;
  int64_t step;
  const int64_t* step_on_device;  // where the kernel reads the step, in its own memory; null: it is `step`
  const int64_t* chain_ids;       // null: chain b has id b
};

STIC_HD uint32_t chain_id(const NoiseSource& noise, int64_t chain) {
  return static_cast<uint32_t>(noise.chain_ids ? noise.chain_ids[chain] : chain);
}

STIC_HD NoiseAddress address_of(const NoiseSource& noise, uint32_t stream) {
  return {noise.seed, static_cast<uint32_t>(noise.step_on_device ? *noise.step_on_device : noise.step), stream};
}

struct NoiseFill {
  void* out;  // (chains, elements)
  DType dtype;
  int64_t chains, elements;
  NoiseSource noise;
  uint32_t stream;
  bool normal;
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
};

// out = silu(s·x)/0.596
struct ScaledSilu {
  const void* x;  // (batch, channels, positions), or (batch, positions, channels) with the channels last
  void* out;      // like x
  DType dtype;
  int64_t batch, channels, positions;
  bool channels_last;
  const void* scales;  // s, (batch, channels), fp32, or fp64 for fp64; or null: then the scalar holds for all
  double scale;
};

// Of `of`, whose out is not used: grad_x = s·grad·f′(s·x), and the sums of x·grad·f′(s·x) over positions.
struct ScaledSiluBackward {
  ScaledSilu of;
  const void* grad;   // like x
  void* grad_x;       // like x
  void* grad_scales;  // like scales, and null where those are
};

}  // namespace stic
