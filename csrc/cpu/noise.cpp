// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Fills a batch of chains with uniform or normal noise under the noise contract.
//
// Bound by arithmetic: ten Philox rounds and one Box–Muller per four numbers, all in vector registers, against one
// store. Parallel over pieces of chains; every number depends on its address alone.
#include "kernel_loops.h"

namespace stic {
namespace STIC_ISA {

template <typename T>
static void fill(const NoiseFill& args, int threads) {
  T* const out = static_cast<T*>(args.out);
  const NoiseAddress address = address_of(args.noise, args.stream);
  for_each_piece(args.chains, args.elements, threads, [&](int64_t chain, int64_t begin, int64_t end) {
    const uint32_t id = chain_id(args.noise, chain);
    T* const row = out + chain * args.elements;
    with_flag(args.normal, [&](auto normal) {
      for_each_block(begin, end, [&](int64_t at, auto count) {
        alignas(64) float block[kBlock];
        if (normal)
          normal_block(block, address, id, at / kBlock);
        else
          uniform_block(block, address, id, at / kBlock);
        for (int i = 0; i < count; ++i) store(row + at + i, static_cast<typename Compute<T>::type>(block[i]));
      });
    });
  });
}

void noise_fill(const NoiseFill& args, int threads) {
  with_storage_type(args.dtype, [&](auto* type) { fill<std::remove_pointer_t<decltype(type)>>(args, threads); });
}

}  // namespace STIC_ISA
}  // namespace stic
