// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// A chain's step sizes in the GRMALA transition. CPU and CUDA share its order of roundings: x + ε1·∇log p, then
// − ε2·∇L_gram, then + ε3·z, each one fused multiply-add.
#pragma once

#include "arguments.h"

namespace stic {

template <typename C>
struct StepSizes {
  C eps1, minus_eps2, eps3;
};

template <typename C>
STIC_HD StepSizes<C> step_sizes(const GrmalaStep& args, int64_t chain) {
  const double* const eps = args.eps;
  return {static_cast<C>(eps ? eps[chain] : args.eps1), static_cast<C>(-(eps ? eps[args.chains + chain] : args.eps2)),
          static_cast<C>(eps ? eps[2 * args.chains + chain] : args.eps3)};
}

}  // namespace stic
