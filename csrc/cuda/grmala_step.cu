// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

#include "grmala_step.cuh"
#include "kernels.h"

namespace stic {
namespace cuda {

cudaError_t grmala_step(const GrmalaStep& args, cudaStream_t stream) {
  if (args.chains == 0 || args.elements == 0) return cudaSuccess;
  return with_storage_type(args.dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    using C = typename Compute<T>::type;
    const StepNumbers<C> numbers{args.eps ? StepSizes<C>{} : step_sizes<C>(args, 0), static_cast<C>(args.low),
                                 static_cast<C>(args.high)};
    const bool aligned = rows_aligned<T>(args.elements, args.x, args.grad_logp, args.grad_gram, args.out);
    return launch(grmala_step_kernel<T>, piece_launch<T>(args.chains, args.elements, stream), args, numbers,
                  round_keys(args.noise.seed), aligned);
  });
}

}  // namespace cuda
}  // namespace stic
