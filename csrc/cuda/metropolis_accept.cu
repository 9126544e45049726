// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

#include "kernels.h"
#include "metropolis_accept.cuh"

namespace stic {
namespace cuda {

// Threads for a chain: more for longer ones, of which few make a batch.
static int threads_along(int64_t elements) { return elements <= 1024 ? kWarp : elements <= 32768 ? 256 : kMostAlong; }

cudaError_t metropolis_accept(const MetropolisAccept& args, cudaStream_t stream) {
  if (args.chains == 0) return cudaSuccess;
  const int along = threads_along(args.elements), rows = along < 256 ? 256 / along : 1;
  Launch shape;
  shape.grid = dim3(static_cast<unsigned>((args.chains + rows - 1) / rows));
  shape.block = dim3(static_cast<unsigned>(along), static_cast<unsigned>(rows));
  shape.shared = along == kWarp ? 0 : along / kWarp * sizeof(ProposalSums);
  shape.stream = stream;
  return with_storage_type(args.dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const bool aligned =
        rows_aligned<T>(args.elements, args.x, args.proposal, args.grad_x, args.grad_proposal, args.out);
    return launch(metropolis_accept_kernel<T>, shape, args, aligned);
  });
}

}  // namespace cuda
}  // namespace stic
