// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The GRMALA transition: out = clamp(x + ε1·∇log p(y|x) − ε2·∇L_gram + ε3·N(0, 1)), one read of each input, one write.
//
// The noise is made in blocks of 64 in vector registers and never stored to memory. Without noise the kernel would be
// bound by memory; with it, by the arithmetic of Philox and Box–Muller. The order of roundings is fixed by explicit
// fma: x + ε1·g, then − ε2·h, then + ε3·z.
#include <type_traits>

#include "kernel_loops.h"

namespace stic {
namespace STIC_ISA {

template <typename T>
static void step(const GrmalaStep& args) {
  using C = typename Compute<T>::type;
  const NoiseAddress address = address_of(args.noise, kLangevin);
  const C low = static_cast<C>(args.low), high = static_cast<C>(args.high);
  for_each_piece(args.chains, args.elements, args.threads, [&](int64_t chain, int64_t begin, int64_t end) {
    const uint32_t id = chain_id(args.noise, chain);
    const double* eps = args.eps ? args.eps + chain : nullptr;
    const C eps1 = static_cast<C>(eps ? eps[0] : args.eps1);
    const C minus_eps2 = static_cast<C>(-(eps ? eps[args.chains] : args.eps2));
    const C eps3 = static_cast<C>(eps ? eps[2 * args.chains] : args.eps3);
    const int64_t row = chain * args.elements;
    const T* const x = static_cast<const T*>(args.x) + row;
    const T* const grad_logp = static_cast<const T*>(args.grad_logp) + row;
    const T* const grad_gram = args.grad_gram ? static_cast<const T*>(args.grad_gram) + row : nullptr;
    T* const out = static_cast<T*>(args.out) + row;
    alignas(64) float noise[kBlock];
    alignas(64) C value[kBlock];
    for (int64_t at = begin; at < end; at += kBlock) {
      const int count = static_cast<int>(std::min<int64_t>(kBlock, end - at));
      for (int i = 0; i < count; ++i) value[i] = fused_multiply_add(eps1, load(grad_logp[at + i]), load(x[at + i]));
      if (grad_gram)
        for (int i = 0; i < count; ++i) value[i] = fused_multiply_add(minus_eps2, load(grad_gram[at + i]), value[i]);
      if (eps3 != C(0)) {
        normal_block(noise, address, id, at / kBlock);
        for (int i = 0; i < count; ++i) value[i] = fused_multiply_add(eps3, static_cast<C>(noise[i]), value[i]);
      }
      for (int i = 0; i < count; ++i) {
        const C floored = value[i] < low ? low : value[i];  // false for NaN, which therefore passes through
        store(out + at + i, floored > high ? high : floored);
      }
    }
  });
}

void grmala_step(const GrmalaStep& args) {
  with_storage_type(args.dtype, [&](auto* type) { step<std::remove_pointer_t<decltype(type)>>(args); });
}

}  // namespace STIC_ISA
}  // namespace stic
