// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The Metropolis–Hastings correction of a Langevin proposal, one read of each input, one write.
//
// For x' ~ q(·|x) = N(x + ε1·∇log p(x), ε3²·I),
//     log α = log p(x') − log p(x) + (‖x' − x − ε1·∇log p(x)‖² − ‖x − x' − ε1·∇log p(x')‖²) / (2ε3²),
// and the chain moves to x' if log u < log α. Bound by memory. The sums run in double precision over eight fixed
// lanes of a chain that one thread owns, so they do not depend on threads or instruction set.
#include <cmath>

#include "kernel_loops.h"

namespace stic {
namespace STIC_ISA {

constexpr int kSums = 8;

template <typename T>
static void accept(const MetropolisAccept& args, int threads) {
  const NoiseAddress address = address_of(args.noise, kMetropolis);
  for_each_chain(args.chains, args.elements, threads, [&](int64_t chain) {
    const double eps1 = args.eps[chain], eps3 = args.eps[args.chains + chain];
    const int64_t row = chain * args.elements;
    const T* const x = static_cast<const T*>(args.x) + row;
    const T* const proposal = static_cast<const T*>(args.proposal) + row;
    const T* const grad_x = static_cast<const T*>(args.grad_x) + row;
    const T* const grad_proposal = static_cast<const T*>(args.grad_proposal) + row;

    double forward[kSums] = {}, backward[kSums] = {}, outside[kSums] = {};
    const auto add = [&](int64_t i, int lane) {
      const double from = load(x[i]), to = load(proposal[i]), move = to - from;
      const double ahead = fused_multiply_add(-eps1, static_cast<double>(load(grad_x[i])), move);
      const double back = fused_multiply_add(-eps1, static_cast<double>(load(grad_proposal[i])), -move);
      forward[lane] = fused_multiply_add(ahead, ahead, forward[lane]);
      backward[lane] = fused_multiply_add(back, back, backward[lane]);
      outside[lane] += ((to < args.low) | (to > args.high)) ? 1.0 : 0.0;
    };
    for_each_block(0, args.elements, [&](int64_t at, auto count) {
      prefetch_ahead(x + at);
      prefetch_ahead(proposal + at);
      prefetch_ahead(grad_x + at);
      prefetch_ahead(grad_proposal + at);
      for (int i = 0; i < count / kSums * kSums; i += kSums)
        for (int lane = 0; lane < kSums; ++lane) add(at + i + lane, lane);
      for (int i = count / kSums * kSums; i < count; ++i) add(at + i, i % kSums);
    });
    double sum_forward = 0, sum_backward = 0, sum_outside = 0;
    for (int lane = 0; lane < kSums; ++lane) {
      sum_forward += forward[lane];
      sum_backward += backward[lane];
      sum_outside += outside[lane];
    }

    const double log_alpha =
        args.logp_proposal[chain] - args.logp_x[chain] + (sum_forward - sum_backward) / (2 * eps3 * eps3);
    const uint32_t word = noise_words(address, chain_id(args.noise, chain), 0u).w0;
    const bool inside = sum_outside == 0;
    const bool accepted = inside && std::log((word + 0.5) * 0x1p-32) < log_alpha;  // false where log α is NaN
    args.log_alpha[chain] = inside ? log_alpha : -INFINITY;
    args.accepted[chain] = accepted;
    const T* const chosen = accepted ? proposal : x;
    std::copy(chosen, chosen + args.elements, static_cast<T*>(args.out) + row);
  });
}

void metropolis_accept(const MetropolisAccept& args, int threads) {
  with_storage_type(args.dtype, [&](auto* type) { accept<std::remove_pointer_t<decltype(type)>>(args, threads); });
}

}  // namespace STIC_ISA
}  // namespace stic
