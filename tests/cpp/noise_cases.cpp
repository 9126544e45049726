// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Noise: the bits of the scalar functions of csrc/core, whatever the shape, the type, the alignment and the launch.
#include "../../csrc/cuda/noise.cu"
#include "noise_reference.h"
#include "testing.h"

using namespace stic;
using namespace stic::testing;

template <typename T>
static std::vector<T> expected(const NoiseInput& noise, const NoiseFill& args) {
  std::vector<T> values;
  for (int64_t chain = 0; chain < args.chains; ++chain)
    for (int64_t i = 0; i < args.elements; ++i)
      values.push_back(
          stored_from<T>(args.normal ? noise.normal(args.stream, chain, i) : noise.uniform(args.stream, chain, i)));
  return values;
}

struct NoiseCase {
  ChainShape shape;
  Addressing addressing;
  bool normal;
  int64_t offset = 0;               // of out from an aligned address, in elements
  unsigned blocks = 0, beside = 0;  // of the launch, if not the launcher's own
};

template <typename T>
static void run(Trial& trial, const NoiseCase& what) {
  const NoiseInput noise(trial, what.addressing, what.shape.chains);
  const DeviceBuffer<T> out = trial.output<T>(what.shape.chains * what.shape.elements, what.offset);
  NoiseFill args{};
  args.out = out.data();
  args.dtype = dtype_of<T>();
  args.chains = what.shape.chains;
  args.elements = what.shape.elements;
  args.noise = noise.source();
  args.stream = what.normal ? 3 : 0xFFFFFFFF;
  args.normal = what.normal;
  if (what.blocks == 0) {
    trial.launch(cuda::noise_fill(args, nullptr));
  } else {
    Launch shape = cuda::piece_launch<T>(args.chains, args.elements, nullptr);
    shape.grid = dim3(what.blocks, what.beside);
    const bool aligned = cuda::rows_aligned<T>(args.elements, args.out);
    trial.launch(launch(cuda::noise_fill_kernel<T>, shape, args, round_keys(args.noise.seed), aligned));
  }
  trial.expect_equal("out", out, [&] { return expected<T>(noise, args); });
}

static void noise_cases(Suite& suite) {
  for_each_storage_type([&](auto type) {
    using T = typename decltype(type)::type;
    const auto add = [&](const char* title, const NoiseCase& what) {
      suite.add(text(title, " ", type_name<T>(), what.normal ? " normal " : " uniform ", what.shape.chains, "x",
                     what.shape.elements, " ", what.addressing.name),
                [=](Trial& trial) { run<T>(trial, what); });
    };
    for (const ChainShape& shape : kChainShapes)
      for (const bool normal : {true, false}) add("shape", {shape, kPlainAddress, normal});
    for (const Addressing& addressing : kAddresses) add("address", {{3, 68}, addressing, true});
    add("misaligned", {{3, 64}, kPlainAddress, true, 1});
    // Two blocks along and three beside have to take several turns each.
    add("few blocks", {{7, 1200}, kPlainAddress, true, 0, 2, 3});
    add("few blocks", {{900, 6}, kPlainAddress, false, 0, 1, 2});
  });
  suite.add("more chains than blocks beside float32",
            [](Trial& trial) { run<float>(trial, {{70000, 1}, kPlainAddress, true}); });
  suite.add("nothing to do", [](Trial& trial) {
    NoiseFill args{};
    args.elements = 5;
    trial.launch(cuda::noise_fill(args, nullptr));
    args.chains = 5, args.elements = 0;
    trial.launch(cuda::noise_fill(args, nullptr));
    trial.check(true, "no launch");
  });
  suite.add("launches", [](Trial& trial) {
    const Launch many = cuda::piece_launch<float>(100000, 600, nullptr),
                 toy = cuda::piece_launch<float>(100000, 2, nullptr);
    trial.check(many.grid.y == 65535, "at most 65535 blocks beside each other");
    trial.check(toy.block.x == 1 && toy.block.y == cuda::kThreads, "short chains share a block");
    const Launch images = cuda::piece_launch<float>(256, 3 * 224 * 224, nullptr);
    trial.check(images.grid.x * images.grid.y >= 8192, "a block takes several turns only where blocks are plenty");
    trial.check(images.grid.x < 147, "where blocks are plenty, each takes several turns");
  });
}
STIC_TEST_PROGRAM(noise_cases)
