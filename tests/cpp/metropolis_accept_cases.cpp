// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The Metropolis–Hastings correction: log α to the rounding of double sums, the choice and the next state exactly.
#include "../../csrc/cuda/metropolis_accept.cu"
#include "noise_reference.h"
#include "testing.h"

using namespace stic;
using namespace stic::testing;

struct AcceptCase {
  ChainShape shape;
  bool with_support = false, with_nan = false;
  Addressing addressing = kPlainAddress;
  int64_t offset = 0;  // of the proposal from an aligned address, in elements
};

template <typename T>
struct AcceptData {
  std::vector<T> x, proposal, grad_x, grad_proposal;
  std::vector<double> logp_x, logp_proposal, eps;  // (chains), (chains), (2, chains)
};

constexpr double kSupport = 2;

// log q(x|x') − log q(x'|x) of one chain, in one plain loop.
template <typename T>
static double log_ratio(const AcceptData<T>& data, const ChainShape& shape, int64_t chain) {
  const double eps1 = data.eps[static_cast<size_t>(chain)];
  const double eps3 = data.eps[static_cast<size_t>(shape.chains + chain)];
  double forward = 0, backward = 0;
  for (int64_t i = 0; i < shape.elements; ++i) {
    const auto at = static_cast<size_t>(chain * shape.elements + i);
    const double move = number(data.proposal[at]) - number(data.x[at]);
    const double ahead = move - eps1 * number(data.grad_x[at]), back = -move - eps1 * number(data.grad_proposal[at]);
    forward += ahead * ahead;
    backward += back * back;
  }
  return (forward - backward) / (2 * eps3 * eps3);
}

// Log-densities that bring log α of every chain to between −2 and 1, where both choices are likely.
template <typename T>
static AcceptData<T> make_data(const AcceptCase& what) {
  const auto [chains, elements] = what.shape;
  const int64_t count = chains * elements;
  AcceptData<T> data{uniform_values<T>(count, -1, 1, 21),
                     uniform_values<T>(count, -1, 1, 22),
                     uniform_values<T>(count, -2, 2, 23),
                     uniform_values<T>(count, -2, 2, 24),
                     {},
                     {},
                     uniform_values<double>(2 * chains, 0.1, 0.4, 25)};
  Random random(26);
  for (int64_t chain = 0; chain < chains; ++chain) {
    const double ratio = log_ratio(data, what.shape, chain);
    data.logp_x.push_back(random.uniform(-5, 5));
    data.logp_proposal.push_back(data.logp_x.back() - ratio + random.uniform(-2, 1));
    const auto last = static_cast<size_t>((chain + 1) * elements - 1);
    if (what.with_support && chain % 3 == 1) data.proposal[last] = stored<T>(chain % 2 ? -2.5 : 2.5);
    if (what.with_nan && chain % 4 >= 2) data.grad_x[last] = stored<T>(std::nan(""));
  }
  return data;
}

template <typename T>
struct Choices {
  std::vector<double> log_alpha;
  std::vector<uint8_t> accepted;
  std::vector<T> out;
};

template <typename T>
static Choices<T> expected(Trial& trial, const NoiseInput& noise, const AcceptData<T>& data, const AcceptCase& what) {
  const auto [chains, elements] = what.shape;
  Choices<T> wanted;
  for (int64_t chain = 0; chain < chains; ++chain) {
    const auto of_chain = static_cast<size_t>(chain);
    double log_alpha = data.logp_proposal[of_chain] - data.logp_x[of_chain] + log_ratio(data, what.shape, chain);
    for (int64_t i = 0; i < elements && what.with_support; ++i)
      if (std::fabs(number(data.proposal[static_cast<size_t>(chain * elements + i)])) > kSupport)
        log_alpha = -std::numeric_limits<double>::infinity();
    const double log_u = std::log((noise.words(kMetropolis, chain, 0).w0 + 0.5) * 0x1p-32);
    const bool accepted = log_u < log_alpha;
    trial.check(!(std::fabs(log_u - log_alpha) < 1e-9), "the choice hangs on no rounding");
    wanted.log_alpha.push_back(log_alpha);
    wanted.accepted.push_back(accepted);
    const std::vector<T>& chosen = accepted ? data.proposal : data.x;
    wanted.out.insert(wanted.out.end(), chosen.begin() + chain * elements, chosen.begin() + (chain + 1) * elements);
  }
  return wanted;
}

template <typename T>
static void run(Trial& trial, const AcceptCase& what) {
  const auto [chains, elements] = what.shape;
  const AcceptData<T> data = make_data<T>(what);
  const NoiseInput noise(trial, what.addressing, chains);
  const DeviceBuffer<T> x = trial.input(data.x), proposal = trial.input(data.proposal, what.offset);
  const DeviceBuffer<T> grad_x = trial.input(data.grad_x), grad_proposal = trial.input(data.grad_proposal);
  const DeviceBuffer<double> logp_x = trial.input(data.logp_x), logp_proposal = trial.input(data.logp_proposal);
  const DeviceBuffer<double> eps = trial.input(data.eps), log_alpha = trial.output<double>(chains);
  const DeviceBuffer<T> out = trial.output<T>(x.count());
  const DeviceBuffer<uint8_t> accepted = trial.output<uint8_t>(chains);
  const double bound = what.with_support ? kSupport : std::numeric_limits<double>::infinity();
  MetropolisAccept args{};
  args.x = x.data(), args.proposal = proposal.data(), args.out = out.data();
  args.grad_x = grad_x.data(), args.grad_proposal = grad_proposal.data();
  args.logp_x = logp_x.data(), args.logp_proposal = logp_proposal.data();
  args.accepted = reinterpret_cast<bool*>(accepted.data()), args.log_alpha = log_alpha.data();
  args.dtype = dtype_of<T>();
  args.chains = chains, args.elements = elements;
  args.eps = eps.data();
  args.low = -bound, args.high = bound;
  args.noise = noise.source();
  trial.launch(cuda::metropolis_accept(args, nullptr));
  const Choices<T> wanted = expected(trial, noise, data, what);
  const double rounding_of_sums = 1e-12 * static_cast<double>(elements + 1);
  trial.expect_close("log_alpha", log_alpha, wanted.log_alpha, {rounding_of_sums, 0});
  trial.expect_equal("accepted", accepted, wanted.accepted);
  trial.expect_equal("out", out, wanted.out);
}

// Around the sizes where a chain gets a warp, 256 or 1024 threads.
constexpr ChainShape kShapes[] = {{1, 1},    {100, 2},  {5, 3},    {3, 7},    {9, 64},    {20, 63},   {4, 260},
                                  {3, 1024}, {3, 1025}, {5, 1028}, {2, 5000}, {2, 32768}, {2, 32769}, {2, 33280}};

static void metropolis_accept_cases(Suite& suite) {
  for_each_storage_type([&](auto type) {
    using T = typename decltype(type)::type;
    const auto add = [&](const char* title, const AcceptCase& what) {
      suite.add(
          text(title, " ", type_name<T>(), " ", what.shape.chains, "x", what.shape.elements, " ", what.addressing.name),
          [=](Trial& trial) { run<T>(trial, what); });
    };
    for (const ChainShape& shape : kShapes) add("shape", {shape});
    for (const Addressing& addressing : kAddresses) add("address", {{40, 9}, false, false, addressing});
    for (const int64_t elements : {6, 1100, 34000}) {
      add("support", {{6, elements}, true});
      add("support and NaN", {{6, elements}, true, true});
      add("misaligned", {{3, elements / 8 * 8}, false, false, kPlainAddress, 1});
    }
  });
  suite.add("many chains float32", [](Trial& trial) { run<float>(trial, {{3000, 1}}); });
  suite.add("no elements float32", [](Trial& trial) { run<float>(trial, {{3, 0}}); });
  suite.add("no chains", [](Trial& trial) {
    MetropolisAccept args{};
    args.elements = 5;
    trial.launch(cuda::metropolis_accept(args, nullptr));
    trial.check(true, "no launch");
  });
}
STIC_TEST_PROGRAM(metropolis_accept_cases)
