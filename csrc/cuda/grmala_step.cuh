// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The GRMALA transition: out = clamp(x + ε1·∇log p(y|x) − ε2·∇L_gram + ε3·N(0, 1)), one read of each input, one write.
//
// A thread asks for its packs of all inputs, makes their noise in registers while they come, and combines them. One
// kernel for each storage type: what is absent, the Gram gradient or the noise, counts as zeros times −0.
// Bound by memory: 256 states of 3x224x224 in fp32 are 154 MB, so three passes over that (four with the Gram gradient)
// take 154 (206) µs at the 3 TB/s that an H100 copies. The arithmetic, 200 instructions for four elements of which 142
// are noise, fills all its issue slots for 65 µs. In bf16 that stands against 77 (103) µs.
#pragma once

#include "../core/streams.h"
#include "../core/transition.h"
#include "packs.cuh"

namespace stic {
namespace cuda {

// The numbers that all chains share, in the type of the computation. With GrmalaStep::eps the sizes are not used.
template <typename C>
struct StepNumbers {
  StepSizes<C> sizes;
  C low, high;
};

template <typename T, bool aligned>
__device__ __forceinline__ void step_pieces(const GrmalaStep& args,
                                            const StepNumbers<typename Compute<T>::type>& numbers,
                                            const RoundKeys& keys) {
  using C = typename Compute<T>::type;
  constexpr C kAbsent = C(-0.0);  // times 0, it leaves every number as it is, −0 too
  const int64_t elements = args.elements;
  for_each_chain(args.chains, [&](int64_t chain) {
    const int64_t row = chain * elements;
    const ChainNoise source = chain_noise(keys, args.noise, kLangevin, chain);
    StepSizes<C> sizes = args.eps ? step_sizes<C>(args, chain) : numbers.sizes;
    const bool has_noise = sizes.eps3 != C(0);
    if (!args.grad_gram) sizes.minus_eps2 = kAbsent;
    if (!has_noise) sizes.eps3 = kAbsent;
    for_each_piece<T>(elements, [&](int64_t first) {
      Pack<T> from[kPacks<T>], uphill[kPacks<T>], downhill[kPacks<T>];
#pragma unroll
      for (int i = 0; i < kPacks<T>; ++i) {
        const int64_t next = first + i * kStride<T>, at = next < elements ? next : first;
        from[i] = load_pack<aligned>(static_cast<const T*>(args.x) + row, at, elements);
        uphill[i] = load_pack<aligned>(static_cast<const T*>(args.grad_logp) + row, at, elements);
        if (args.grad_gram)
          downhill[i] = load_pack<aligned>(static_cast<const T*>(args.grad_gram) + row, at, elements);
        else
          downhill[i] = {};
      }
      C noise[kPacks<T>][kPack<T>];
#pragma unroll
      for (int i = 0; i < kPacks<T>; ++i) {
        if (has_noise)
          normals(noise[i], source, first + i * kStride<T>);
        else
          for (C& number : noise[i]) number = 0;
      }
#pragma unroll
      for (int i = 0; i < kPacks<T>; ++i) {
        C next[kPack<T>];
#pragma unroll
        for (int j = 0; j < kPack<T>; ++j) {
          C value = fused_multiply_add(sizes.eps1, load(uphill[i][j]), load(from[i][j]));
          value = fused_multiply_add(sizes.minus_eps2, load(downhill[i][j]), value);
          value = fused_multiply_add(sizes.eps3, noise[i][j], value);
          next[j] = clamped(value, numbers.low, numbers.high);
        }
        const int64_t at = first + i * kStride<T>;
        if (at < elements) store_pack<aligned>(static_cast<T*>(args.out) + row, at, elements, rounded<T>(next));
      }
    });
  });
}

template <typename T>
__global__ void __launch_bounds__(kThreads, kBlocks)
    grmala_step_kernel(GrmalaStep args, StepNumbers<typename Compute<T>::type> numbers, RoundKeys keys, bool aligned) {
  if (aligned)
    step_pieces<T, true>(args, numbers, keys);
  else
    step_pieces<T, false>(args, numbers, keys);
}

}  // namespace cuda
}  // namespace stic
