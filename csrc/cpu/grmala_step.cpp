// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The GRMALA transition: out = clamp(x + ε1·∇log p(y|x) − ε2·∇L_gram + ε3·N(0, 1)), one read of each input, one write.
//
// Each block's noise is made in vector registers and reaches memory nowhere but in the L1 cache. Inputs are
// prefetched while it is made, so that large states take hardly longer than without noise.
#include "../core/transition.h"
#include "kernel_loops.h"

namespace stic {
namespace STIC_ISA {

template <typename T>
static void step(const GrmalaStep& args, int threads) {
  using C = typename Compute<T>::type;
  const NoiseAddress address = address_of(args.noise, kLangevin);
  const C low = static_cast<C>(args.low), high = static_cast<C>(args.high);
  for_each_piece(args.chains, args.elements, threads, [&](int64_t chain, int64_t begin, int64_t end) {
    const uint32_t id = chain_id(args.noise, chain);
    const StepSizes<C> sizes = step_sizes<C>(args, chain);
    const int64_t row = chain * args.elements;
    with_flag(args.grad_gram != nullptr, [&](auto has_gram) {
      with_flag(sizes.eps3 != C(0), [&](auto has_noise) {
        for_each_block(begin, end, [&](int64_t at, auto count) {
          const T* const x = static_cast<const T*>(args.x) + row + at;
          const T* const grad_logp = static_cast<const T*>(args.grad_logp) + row + at;
          const T* const grad_gram = has_gram ? static_cast<const T*>(args.grad_gram) + row + at : nullptr;
          T* const out = static_cast<T*>(args.out) + row + at;
          prefetch_ahead(x);
          alignas(64) float noise[kBlock];
          if (has_noise) normal_block(noise, address, id, at / kBlock);
          prefetch_ahead(grad_logp);
          if (has_gram) prefetch_ahead(grad_gram);
          alignas(64) C next[kBlock];  // out may be x: reading and writing in two loops lets both vectorise
          for (int i = 0; i < count; ++i) {
            C value = fused_multiply_add(sizes.eps1, load(grad_logp[i]), load(x[i]));
            if (has_gram) value = fused_multiply_add(sizes.minus_eps2, load(grad_gram[i]), value);
            if (has_noise) value = fused_multiply_add(sizes.eps3, static_cast<C>(noise[i]), value);
            next[i] = clamped(value, low, high);
          }
          for (int i = 0; i < count; ++i) store(out + i, next[i]);
        });
      });
    });
  });
}

void grmala_step(const GrmalaStep& args, int threads) {
  with_storage_type(args.dtype, [&](auto* type) { step<std::remove_pointer_t<decltype(type)>>(args, threads); });
}

}  // namespace STIC_ISA
}  // namespace stic
