// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The GRMALA transition: bit for bit the fused multiply-adds of its definition, whatever the shape, the type, the
// options, the alignment and the launch.
#include "../../csrc/cuda/grmala_step.cu"
#include "noise_reference.h"
#include "testing.h"

using namespace stic;
using namespace stic::testing;

enum Clamp { kImages, kNone, kBelow };

struct StepCase {
  ChainShape shape;
  bool with_gram = true, with_noise = true, per_chain = false, in_place = false;
  Clamp clamp = kImages;
  Addressing addressing = kPlainAddress;
  int64_t offset_x = 0, offset_gradient = 0;  // from an aligned address, in elements
  unsigned blocks = 0, beside = 0;            // of the launch, if not the launcher's own
};

// States with whatever may trip a kernel among them: NaN, infinities, −0.
template <typename T>
static std::vector<T> states(int64_t count) {
  std::vector<T> values = uniform_values<T>(count, -1.2, 1.2, 11);
  const double infinity = std::numeric_limits<double>::infinity();
  const double odd[] = {-0.0, std::nan(""), infinity, -infinity};
  for (int64_t i = 0; i < 4 && 5 * i + 1 < count; ++i) values[static_cast<size_t>(5 * i + 1)] = stored<T>(odd[i]);
  return values;
}

template <typename T>
struct StepData {
  std::vector<T> x, grad_logp, grad_gram;
  std::vector<double> eps;  // (3, chains)
};

template <typename T>
static StepData<T> make_data(const StepCase& what) {
  const int64_t count = what.shape.chains * what.shape.elements;
  StepData<T> data{states<T>(count), uniform_values<T>(count, -2, 2, 12), uniform_values<T>(count, -2, 2, 13), {}};
  if (count > 1) data.grad_logp[1] = data.grad_gram[1] = stored<T>(-0.0);  // where x is −0 and has to stay so
  Random random(14);
  for (int size = 0; size < 3; ++size)
    for (int64_t chain = 0; chain < what.shape.chains; ++chain) {
      const bool none = size == 2 && (!what.with_noise || (what.per_chain && chain % 3 == 1));
      const double value = size == 1 ? -0.3 : none ? 0 : what.per_chain ? random.uniform(0, 0.5) : 0.1 + 0.2 * size;
      data.eps.push_back(value);
    }
  return data;
}

template <typename T>
static std::vector<T> expected(const NoiseInput& noise, const GrmalaStep& args, const StepData<T>& data,
                               const StepCase& what) {
  using C = typename Compute<T>::type;
  const auto low = static_cast<C>(args.low), high = static_cast<C>(args.high);
  std::vector<T> next;
  for (int64_t chain = 0; chain < args.chains; ++chain)
    for (int64_t i = 0; i < args.elements; ++i) {
      const auto at = static_cast<size_t>(chain * args.elements + i), of_chain = static_cast<size_t>(chain);
      const auto chains = static_cast<size_t>(args.chains);
      const C eps1 = static_cast<C>(data.eps[of_chain]), eps2 = static_cast<C>(data.eps[chains + of_chain]);
      const C eps3 = static_cast<C>(data.eps[2 * chains + of_chain]);
      C value = std::fma(eps1, C(load(data.grad_logp[at])), C(load(data.x[at])));
      if (what.with_gram) value = std::fma(-eps2, C(load(data.grad_gram[at])), value);
      if (eps3 != 0) value = std::fma(eps3, C(noise.normal(kLangevin, chain, i)), value);
      if (value < low) value = low;
      if (value > high) value = high;
      next.push_back(stored_from<T>(value));
    }
  return next;
}

template <typename T>
static cudaError_t launch_with(const GrmalaStep& args, const StepCase& what) {
  if (what.blocks == 0) return cuda::grmala_step(args, nullptr);
  using C = typename Compute<T>::type;
  Launch shape = cuda::piece_launch<T>(args.chains, args.elements, nullptr);
  shape.grid = dim3(what.blocks, what.beside);
  const cuda::StepNumbers<C> numbers{{}, static_cast<C>(args.low), static_cast<C>(args.high)};
  return launch(cuda::grmala_step_kernel<T>, shape, args, numbers, round_keys(args.noise.seed),
                args.elements % cuda::kPack<T> == 0);
}

template <typename T>
static void run(Trial& trial, const StepCase& what) {
  const StepData<T> data = make_data<T>(what);
  const NoiseInput noise(trial, what.addressing, what.shape.chains);
  const DeviceBuffer<T> x = trial.input(data.x, what.offset_x);
  const DeviceBuffer<T> grad_logp = trial.input(data.grad_logp, what.offset_gradient);
  const DeviceBuffer<T> grad_gram = trial.input(data.grad_gram);
  const DeviceBuffer<T> out = what.in_place ? x : trial.output<T>(x.count());
  const DeviceBuffer<double> eps = trial.input(data.eps);
  const double infinity = std::numeric_limits<double>::infinity();
  GrmalaStep args{};
  args.x = x.data(), args.grad_logp = grad_logp.data(), args.out = out.data();
  if (what.with_gram) args.grad_gram = grad_gram.data();
  args.dtype = dtype_of<T>();
  args.chains = what.shape.chains, args.elements = what.shape.elements;
  if (what.per_chain)
    args.eps = eps.data();
  else
    args.eps1 = data.eps[0], args.eps2 = data.eps[eps.count() / 3], args.eps3 = data.eps[eps.count() / 3 * 2];
  args.low = what.clamp == kImages ? -1 : -infinity;
  args.high = what.clamp == kImages ? 1 : what.clamp == kBelow ? 0.25 : infinity;
  args.noise = noise.source();
  trial.launch(launch_with<T>(args, what));
  trial.expect_that("out", out,
                    [&](const std::vector<T>& got) { return same_numbers(expected(noise, args, data, what))(got); });
}

static void grmala_step_cases(Suite& suite) {
  for_each_storage_type([&](auto type) {
    using T = typename decltype(type)::type;
    const auto add = [&](const char* title, const StepCase& what) {
      suite.add(text(title, " ", type_name<T>(), " ", what.shape.chains, "x", what.shape.elements,
                     what.with_gram ? " gram" : "", what.with_noise ? " noise" : "", what.per_chain ? " per chain" : "",
                     what.in_place ? " in place " : " ", what.addressing.name),
                [=](Trial& trial) { run<T>(trial, what); });
    };
    for (const ChainShape& shape : kChainShapes) {
      add("shape", {shape});
      add("shape", {shape, false, true, true, true, kNone});
    }
    for (const bool with_gram : {true, false})
      for (const bool with_noise : {true, false})
        for (const bool per_chain : {true, false})
          for (const Clamp clamp : {kNone, kBelow})
            add(clamp == kNone ? "options, no clamp" : "options, clamped above",
                {{4, 136}, with_gram, with_noise, per_chain, per_chain, clamp});
    for (const Addressing& addressing : kAddresses)
      add("address", {{5, 40}, true, true, false, false, kImages, addressing});
    add("x misaligned", {{3, 64}, true, true, false, false, kImages, kPlainAddress, 1, 0});
    add("x misaligned", {{3, 64}, true, true, false, true, kImages, kPlainAddress, 3, 0});
    add("gradient misaligned", {{3, 64}, true, true, true, false, kImages, kPlainAddress, 0, 1});
    // Two blocks along and three beside have to take several turns each.
    add("few blocks", {{7, 1200}, true, true, true, false, kImages, kPlainAddress, 0, 0, 2, 3});
    add("few blocks", {{900, 6}, false, true, true, true, kNone, kPlainAddress, 0, 0, 1, 2});
  });
  suite.add("toy target float32 70000x2", [](Trial& trial) { run<float>(trial, {{70000, 2}}); });
  suite.add("nothing to do", [](Trial& trial) {
    GrmalaStep args{};
    args.elements = 5;
    trial.launch(cuda::grmala_step(args, nullptr));
    args.chains = 5, args.elements = 0;
    trial.launch(cuda::grmala_step(args, nullptr));
    trial.check(true, "no launch");
  });
}
STIC_TEST_PROGRAM(grmala_step_cases)
