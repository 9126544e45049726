// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

#include "kernels.h"
#include "metropolis_accept.cuh"

namespace stic {
namespace cuda {

cudaError_t metropolis_accept(const MetropolisAccept& args, cudaStream_t stream) {
  if (args.chains == 0) return cudaSuccess;
  const Launch shape = row_launch(args.chains, args.elements, sizeof(ProposalSums), stream);
  return with_storage_type(args.dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const bool aligned =
        rows_aligned<T>(args.elements, args.x, args.proposal, args.grad_x, args.grad_proposal, args.out);
    return launch(metropolis_accept_kernel<T>, shape, args, aligned);
  });
}

}  // namespace cuda
}  // namespace stic
