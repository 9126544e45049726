// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The Metropolis–Hastings correction of a Langevin proposal.
//
// For x' ~ q(·|x) = N(x + ε1·∇log p(x), ε3²·I),
//     log α = log p(x') − log p(x) + (‖x' − x − ε1·∇log p(x)‖² − ‖x − x' − ε1·∇log p(x')‖²) / (2ε3²),
// and the chain moves to x' if log u < log α.
//
// Each thread of a chain's row sums over every n-th pack in double precision. Then the row copies the chosen state.
// Bound by memory: six times the state's bytes, of which a state of up to some 100 KB is read for the last time from
// the L2 cache.
#pragma once

#include <cmath>

#include "../core/streams.h"
#include "rows.cuh"

namespace stic {
namespace cuda {

struct ProposalSums {
  double forward, backward;  // ‖x' − x − ε1·∇log p(x)‖², ‖x − x' − ε1·∇log p(x')‖²
  int outside;               // whether an element of x' leaves the support
};

__device__ __forceinline__ void add(ProposalSums& sums, const ProposalSums& more) {
  sums.forward += more.forward;
  sums.backward += more.backward;
  sums.outside |= more.outside;
}

__device__ __forceinline__ ProposalSums of_lane(const ProposalSums& sums, int lanes) {
  return {__shfl_xor_sync(0xFFFFFFFFu, sums.forward, lanes), __shfl_xor_sync(0xFFFFFFFFu, sums.backward, lanes),
          __shfl_xor_sync(0xFFFFFFFFu, sums.outside, lanes)};
}

template <typename T, bool aligned>
__device__ __forceinline__ ProposalSums thread_sums(const MetropolisAccept& args, int64_t chain) {
  const double eps1 = args.eps[chain];
  const int64_t elements = args.elements, row = chain * elements;
  const T* const x = static_cast<const T*>(args.x) + row;
  const T* const proposal = static_cast<const T*>(args.proposal) + row;
  const T* const grad_x = static_cast<const T*>(args.grad_x) + row;
  const T* const grad_proposal = static_cast<const T*>(args.grad_proposal) + row;
  ProposalSums sums = {};
  for (int64_t at = threadIdx.x * kPack<T>; at < elements; at += blockDim.x * kPack<T>) {
    const Pack<T> starts = load_pack<aligned>(x, at, elements), ends = load_pack<aligned>(proposal, at, elements);
    const Pack<T> uphill = load_pack<aligned>(grad_x, at, elements);
    const Pack<T> uphill_there = load_pack<aligned>(grad_proposal, at, elements);
#pragma unroll
    for (int i = 0; i < kPack<T>; ++i) {
      if (!aligned && at + i >= elements) break;
      const double from = load(starts[i]), to = load(ends[i]), move = to - from;
      const double ahead = fused_multiply_add(-eps1, static_cast<double>(load(uphill[i])), move);
      const double back = fused_multiply_add(-eps1, static_cast<double>(load(uphill_there[i])), -move);
      sums.forward = fused_multiply_add(ahead, ahead, sums.forward);
      sums.backward = fused_multiply_add(back, back, sums.backward);
      sums.outside |= (to < args.low) | (to > args.high);
    }
  }
  return sums;
}

template <typename T, bool aligned>
__device__ __forceinline__ void accept_chain(const MetropolisAccept& args, int64_t chain) {
  const ProposalSums sums = row_sums(thread_sums<T, aligned>(args, chain));
  const double eps3 = args.eps[args.chains + chain];
  const double log_alpha =
      args.logp_proposal[chain] - args.logp_x[chain] + (sums.forward - sums.backward) / (2 * eps3 * eps3);
  const uint32_t word = noise_words(address_of(args.noise, kMetropolis), chain_id(args.noise, chain), uint32_t{0}).w0;
  const bool accepted = !sums.outside && log((word + 0.5) * 0x1p-32) < log_alpha;  // false where log α is NaN
  if (threadIdx.x == 0) {
    args.log_alpha[chain] = sums.outside ? -INFINITY : log_alpha;
    args.accepted[chain] = accepted;
  }
  const int64_t elements = args.elements, row = chain * elements;
  const T* const chosen = static_cast<const T*>(accepted ? args.proposal : args.x) + row;
  for (int64_t at = threadIdx.x * kPack<T>; at < elements; at += blockDim.x * kPack<T>)
    store_pack<aligned>(static_cast<T*>(args.out) + row, at, elements, load_pack<aligned>(chosen, at, elements));
}

template <typename T>
__global__ void __launch_bounds__(kMostAlong) metropolis_accept_kernel(MetropolisAccept args, bool aligned) {
  const int64_t chain = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (chain >= args.chains) return;  // a whole warp, and only where rows are warps
  if (aligned)
    accept_chain<T, true>(args, chain);
  else
    accept_chain<T, false>(args, chain);
}

}  // namespace cuda
}  // namespace stic
