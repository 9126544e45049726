// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// silu(s·x)/0.596 and its derivative, to a few roundings of the formula in double precision.
#include "../../csrc/cuda/scaled_silu.cu"
#include "testing.h"

using namespace stic;
using namespace stic::testing;

struct SiluCase {
  int64_t batch, channels, positions;
  bool channels_last, with_scales;
  int64_t offset = 0;  // of x from an aligned address, in elements

  int64_t count() const { return batch * channels * positions; }
  // Which scale the number at a place in memory has.
  size_t scale_at(int64_t at) const {
    if (!with_scales) return 0;
    const int64_t sample = at / (channels * positions), within = at % (channels * positions);
    return static_cast<size_t>(sample * channels + (channels_last ? within % channels : within / positions));
  }
};

template <typename T>
struct SiluData {
  using C = typename Compute<T>::type;
  std::vector<T> x, grad;
  std::vector<C> scales;  // one where all numbers share it

  explicit SiluData(const SiluCase& what)
      : x(uniform_values<T>(what.count(), -9, 9, 31)),
        grad(uniform_values<T>(what.count(), -2, 2, 32)),
        scales(uniform_values<C>(what.with_scales ? what.batch * what.channels : 1, -1.5, 1.5, 33)) {
    const double odd[] = {-0.0, 300, -300, std::nan("")};
    for (int64_t i = 0; i < 4 && 7 * i + 1 < what.count(); ++i) x[static_cast<size_t>(7 * i + 1)] = stored<T>(odd[i]);
  }
};

template <typename T>
static ScaledSilu arguments(const SiluCase& what, const DeviceBuffer<T>& x, const SiluData<T>& data,
                            const DeviceBuffer<typename Compute<T>::type>& scales) {
  ScaledSilu args{};
  args.x = x.data();
  args.dtype = dtype_of<T>();
  args.batch = what.batch, args.channels = what.channels, args.positions = what.positions;
  args.channels_last = what.channels_last;
  args.scales = what.with_scales ? scales.data() : nullptr;
  args.scale = what.with_scales ? 0 : static_cast<double>(data.scales[0]);
  return args;
}

// Of one number: a rounding to T, and those of the computation, of terms of size 1 where they cancel.
template <typename T>
static Tolerance of_one_number() {
  const double computed = 16 * (std::is_same_v<T, double> ? 0x1p-53 : 0x1p-24);
  return {8 * computed, rounding<T>() + computed};
}

template <typename T>
static void run_value(Trial& trial, const SiluCase& what) {
  const SiluData<T> data(what);
  const DeviceBuffer<T> x = trial.input(data.x, what.offset), out = trial.output<T>(what.count());
  const auto scales = trial.input(data.scales);
  ScaledSilu args = arguments(what, x, data, scales);
  args.out = out.data();
  trial.launch(cuda::scaled_silu(args, nullptr));
  std::vector<double> wanted;
  for (int64_t at = 0; at < what.count(); ++at) {
    const double u = static_cast<double>(data.scales[what.scale_at(at)]) * number(data.x[static_cast<size_t>(at)]);
    wanted.push_back(u / (1 + std::exp(-u)) / 0.596);
  }
  trial.expect_close("out", out, wanted, of_one_number<T>());
}

template <typename T>
static void run_gradient(Trial& trial, const SiluCase& what) {
  using C = typename Compute<T>::type;
  const SiluData<T> data(what);
  const DeviceBuffer<T> x = trial.input(data.x, what.offset), grad = trial.input(data.grad);
  const DeviceBuffer<C> scales = trial.input(data.scales), grad_scales = trial.output<C>(scales.count());
  const DeviceBuffer<T> grad_x = trial.output<T>(what.count());
  ScaledSiluBackward args{};
  args.of = arguments(what, x, data, scales);
  args.grad = grad.data(), args.grad_x = grad_x.data();
  args.grad_scales = what.with_scales ? grad_scales.data() : nullptr;
  trial.launch(cuda::scaled_silu_backward(args, nullptr));
  std::vector<double> wanted, sums(data.scales.size());
  for (int64_t at = 0; at < what.count(); ++at) {
    const double scale = static_cast<double>(data.scales[what.scale_at(at)]),
                 from = number(data.x[static_cast<size_t>(at)]);
    const double sigma = 1 / (1 + std::exp(-scale * from));
    const double slope = sigma * (1 + scale * from * (1 - sigma)) / 0.596 * number(data.grad[static_cast<size_t>(at)]);
    wanted.push_back(scale * slope);
    sums[what.scale_at(at)] += from * slope;
  }
  trial.expect_close("grad_x", grad_x, wanted, of_one_number<T>());
  if (!what.with_scales) return;
  const double of_sum = of_one_number<T>().absolute * 30 * static_cast<double>(what.positions + 1);
  trial.expect_close("grad_scales", grad_scales, sums, {of_sum, 0});
}

// Around packs of 4 and 8, warps, the sizes where a channel gets a warp, 256 or 1024 threads, and the 32 packs that a
// block has of a sample's channels.
constexpr int64_t kShapes[][3] = {{1, 1, 1},  {3, 5, 1},   {2, 3, 7},    {2, 8, 16},  {3, 64, 9},   {1, 20, 33},
                                  {2, 40, 3}, {1, 300, 2}, {2, 3, 1030}, {1, 9, 300}, {1, 2, 33000}};

static void scaled_silu_cases(Suite& suite) {
  for_each_storage_type([&](auto type) {
    using T = typename decltype(type)::type;
    const auto add = [&](const char* title, const SiluCase& what) {
      const std::string name =
          text(" ", title, " ", type_name<T>(), " ", what.batch, "x", what.channels, "x", what.positions,
               what.channels_last ? " channels last" : "", what.with_scales ? " scales" : "");
      suite.add("value" + name, [=](Trial& trial) { run_value<T>(trial, what); });
      suite.add("gradient" + name, [=](Trial& trial) { run_gradient<T>(trial, what); });
    };
    for (const auto& [batch, channels, positions] : kShapes) {
      add("shape", {batch, channels, positions, false, false});
      add("shape", {batch, channels, positions, false, true});
      add("shape", {batch, channels, positions, true, true});
    }
    for (const bool channels_last : {false, true}) add("misaligned", {2, 16, 8, channels_last, true, 1});
  });
  suite.add("no positions", [](Trial& trial) {
    const SiluCase what{2, 3, 0, true, true};
    run_gradient<float>(trial, what);
    run_gradient<float>(trial, {2, 3, 0, false, true});
    run_value<float>(trial, what);
  });
  suite.add("no samples", [](Trial& trial) {
    ScaledSiluBackward args{};
    args.of.channels = args.of.positions = 3;
    trial.launch(cuda::scaled_silu(args.of, nullptr));
    trial.launch(cuda::scaled_silu_backward(args, nullptr));
    trial.check(true, "no launch");
  });
}
STIC_TEST_PROGRAM(scaled_silu_cases)
