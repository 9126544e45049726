// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Writes noise of the CPU's kernels to a file, for test_compilers.py: the random words of kElements elements of one
// chain, made in vectors, then their uniforms and normals as the kernel gives them, of fp32.
#include <cstdio>

#include "../../csrc/cpu/noise.cpp"

using namespace stic;
using namespace stic::STIC_ISA;

int main(int, char** arguments) {
  constexpr int64_t kElements = 17920;  // whole blocks for every instruction set
  constexpr uint64_t kSeed = 0x8000000000000125u;
  constexpr uint32_t kStep = 0xFFFFFFF1u, kStream = 8;
  constexpr int64_t kChain = 0xFFFFFFFEu;
  static float words[kElements], uniforms[kElements], normals[kElements];
  for (int64_t block = 0; block < kElements / kBlock; ++block) {
    const WordsOf<Bits> made = block_words({kSeed, kStep, kStream}, static_cast<uint32_t>(kChain), block);
    store_quads(words + block * kBlock, float_of(made.w0), float_of(made.w1), float_of(made.w2), float_of(made.w3));
  }
  const NoiseSource source{kSeed, kStep, nullptr, &kChain};
  noise_fill({uniforms, DType::kFloat32, 1, kElements, source, kStream, false}, 1);
  noise_fill({normals, DType::kFloat32, 1, kElements, source, kStream, true}, 1);
  FILE* const file = std::fopen(arguments[1], "wb");
  for (const float* const numbers : {words, uniforms, normals}) std::fwrite(numbers, sizeof(float), kElements, file);
  return std::fclose(file);
}
