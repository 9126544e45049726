// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// What kernels may rely on, of the emulation and of hardware alike: asynchronous copies and matrix fragments. Run on a
// GPU, this program shows that the emulation does what the GPU does.
#include <algorithm>

#include "../../csrc/cuda/device.cuh"
#include "testing.h"

using namespace stic::testing;
using stic::launch;

namespace {

// ---- asynchronous copies ----

// Moves 16-byte pieces through a ring of three slots per thread, two ahead; the last piece holds only `valid` bytes.
__global__ void stream(const uint4* in, uint4* out, int pieces, int valid) {
  uint4* const ring = reinterpret_cast<uint4*>(stic::dynamic_shared()) + 3 * threadIdx.x;
  const uint4* const from = in + threadIdx.x * pieces;
  const auto start = [&](int piece) {
    if (piece < pieces) stic::copy_async(ring + piece % 3, from + piece, piece == pieces - 1 ? valid : 16);
    stic::copy_async_commit();
  };
  start(0);
  start(1);
  for (int piece = 0; piece < pieces; ++piece) {
    start(piece + 2);
    stic::copy_async_wait<2>();
    out[threadIdx.x * pieces + piece] = ring[piece % 3];
  }
  stic::copy_async_wait<0>();
}

void copy_cases(Suite& suite) {
  for (const int valid : {0, 1, 2, 4, 6, 8, 15, 16})
    for (const int pieces : {1, 2, 5})
      suite.add(text("copies of ", pieces, " pieces, the last with ", valid, " bytes"), [=](Trial& trial) {
        constexpr int kThreads = 48;
        const std::vector<uint8_t> bytes = integer_values<uint8_t>(kThreads * pieces * 16, 0, 254, 4);
        std::vector<uint8_t> wanted = bytes;
        for (size_t i = 0; i < bytes.size(); ++i)
          if (static_cast<int>(i) / 16 % pieces == pieces - 1 && static_cast<int>(i) % 16 >= valid) wanted[i] = 0;
        auto in = trial.input(bytes), out = trial.output<uint8_t>(static_cast<int64_t>(bytes.size()));
        trial.launch(launch(stream, {1, kThreads, kThreads * 3 * 16}, reinterpret_cast<const uint4*>(in.data()),
                            reinterpret_cast<uint4*>(out.data()), pieces, valid));
        trial.expect_equal("out", out, wanted);
      });
}

// ---- matrix fragments ----

// Two numbers of T that are neighbours along the summed dimension, as a register holds them.
template <typename T>
__device__ uint32_t pair_of(const T* first, int distance) {
  return first[0].bits | static_cast<uint32_t>(first[distance].bits) << 16;
}

// d (16×8) += a (16×8)·b (8×8), each row-major, by one warp.
__global__ void multiply_tf32(const float* a, const float* b, float* d) {
  const int group = threadIdx.x / 4, member = threadIdx.x % 4;
  const uint32_t left[4] = {stic::to_tf32(a[group * 8 + member]), stic::to_tf32(a[(group + 8) * 8 + member]),
                            stic::to_tf32(a[group * 8 + member + 4]), stic::to_tf32(a[(group + 8) * 8 + member + 4])};
  const uint32_t right[2] = {stic::to_tf32(b[member * 8 + group]), stic::to_tf32(b[(member + 4) * 8 + group])};
  float* const own = d + group * 8 + 2 * member;
  float sums[4] = {own[0], own[1], own[64], own[65]};
  stic::mma_tf32(sums, left, right);
  own[0] = sums[0], own[1] = sums[1], own[64] = sums[2], own[65] = sums[3];
}

// d (16×8) += a (16×16)·b (16×8), each row-major, by one warp.
__global__ void multiply_pairs(const stic::BFloat16* a, const stic::BFloat16* b, float* d) {
  const int group = threadIdx.x / 4, member = threadIdx.x % 4;
  const stic::BFloat16* const row = a + group * 16 + 2 * member;
  const stic::BFloat16* const column = b + 2 * member * 8 + group;
  const uint32_t left[4] = {pair_of(row, 1), pair_of(row + 8 * 16, 1), pair_of(row + 8, 1),
                            pair_of(row + 8 * 16 + 8, 1)};
  const uint32_t right[2] = {pair_of(column, 8), pair_of(column + 8 * 8, 8)};
  float* const own = d + group * 8 + 2 * member;
  float sums[4] = {own[0], own[1], own[64], own[65]};
  stic::mma_bf16(sums, left, right);
  own[0] = sums[0], own[1] = sums[1], own[64] = sums[2], own[65] = sums[3];
}

// Small integers, whose products and sums are exact in any order.
template <typename T>
void add_product(Suite& suite, const char* name, int depth, void (*kernel)(const T*, const T*, float*)) {
  suite.add(text("product ", name), [=](Trial& trial) {
    std::vector<T> a, b;
    for (const int value : integer_values<int>(16 * depth, -9, 9, 5)) a.push_back(stored<T>(value));
    for (const int value : integer_values<int>(depth * 8, -9, 9, 6)) b.push_back(stored<T>(value));
    std::vector<float> d = integer_values<float>(16 * 8, -99, 99, 7), wanted = d;
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column)
        for (int k = 0; k < depth; ++k)
          wanted[row * 8 + column] += static_cast<float>(number(a[row * depth + k]) * number(b[k * 8 + column]));
    auto on_a = trial.input(a), on_b = trial.input(b);
    auto on_d = trial.input(d);
    trial.launch(launch(kernel, {1, 32}, on_a.data(), on_b.data(), on_d.data()));
    trial.expect_equal("d", on_d, wanted);
  });
}

// How far from exact a product may be, whatever hardware adds: twice, for two halves, what every addend loses at 2⁻²⁴
// of the largest one and the sum at fp32 (emulation/fragments.h).
template <typename T>
void add_rounding(Suite& suite, const char* name, int depth, void (*kernel)(const T*, const T*, float*)) {
  suite.add(text("sums of ", name, " lose no more than is said"), [=](Trial& trial) {
    const auto a = uniform_values<float>(16 * depth, -1, 2, 8), b = uniform_values<float>(depth * 8, -1, 2, 9);
    const auto d = uniform_values<float>(16 * 8, -20, 40, 10);
    std::vector<T> rounded_a, rounded_b;
    const auto rounded = [](float value) { return stic::float_of((stic::bits_of(value) + 0x8000u) & 0xFFFF0000u); };
    for (const float value : a) rounded_a.push_back(stored<T>(rounded(value)));
    for (const float value : b) rounded_b.push_back(stored<T>(rounded(value)));
    auto on_a = trial.input(rounded_a), on_b = trial.input(rounded_b);
    auto on_d = trial.input(d);
    trial.launch(launch(kernel, {1, 32}, on_a.data(), on_b.data(), on_d.data()));
    trial.expect_that("d", on_d, [&](const std::vector<float>& got) -> std::string {
      for (int i = 0; i < 16 * 8; ++i) {
        double exact = d[i], sum = std::fabs(d[i]), largest = sum;
        for (int k = 0; k < depth; ++k) {
          const double product = number(rounded_a[i / 8 * depth + k]) * number(rounded_b[k * 8 + i % 8]);
          exact += product, sum += std::fabs(product), largest = std::fmax(largest, std::fabs(product));
        }
        const double within = 2 * ((depth / 2 + 1) * 0x1p-24 * largest + 0x1p-23 * sum);
        if (!(std::fabs(got[i] - exact) <= within))
          return text("[", i, "] is ", got[i], ", wanted ", exact, " to within ", within);
      }
      return {};
    });
  });
}

// d += the sum of eight products, where the two ways of the emulation differ.
void emulated_sums([[maybe_unused]] Suite& suite) {
#if defined(STIC_EMULATED)
  suite.add("what is cut off a sum", [](Trial& trial) {
    struct Sum {
      float start;
      std::vector<float> products;
      float truncated, nearest;
    };
    constexpr float kTiny = 0x1p-25f, kNext = 0x1.000002p0f, kBefore = 0x1.fffffep-1f;  // around 1
    const Sum sums[] = {
        {1, {kTiny, kTiny, kTiny, kTiny}, 1, kNext},
        {1, {2 * kTiny, 2 * kTiny}, kNext, kNext},
        {1, {3 * kTiny}, 1, kNext},
        {-1, {-3 * kTiny}, -1, -kNext},
        {1, {2 * kTiny, 0, 0, 0, 2 * kTiny}, 1, kNext},  // one in each half
        {kTiny, {1, kTiny, kTiny, kTiny}, 1, kNext},
        {1, {-1.5f * kTiny}, 1, kBefore},
        {1, {-2 * kTiny}, kBefore, kBefore},
        {0, {1.5f * 0x1p-126f}, 1.5f * 0x1p-126f, 1.5f * 0x1p-126f},
        {0, {}, 0, 0},
        {INFINITY, {1}, INFINITY, INFINITY},
    };
    const bool truncated = stic::emulation::sums == stic::emulation::Sums::kTruncated;
    int row = 0;
    for (const Sum& sum : sums) {
      std::vector<float> a(16 * 8, 0), b(8 * 8, 1), d(16 * 8, sum.start), wanted = d;
      std::copy(sum.products.begin(), sum.products.end(), a.begin());
      for (int column = 0; column < 8; ++column) wanted[column] = truncated ? sum.truncated : sum.nearest;
      auto on_a = trial.input(a), on_b = trial.input(b), on_d = trial.input(d);
      trial.launch(launch(multiply_tf32, {1, 32}, on_a.data(), on_b.data(), on_d.data()));
      trial.expect_equal(text("d of sum ", row++), on_d, wanted);
    }
  });
#endif
}

__global__ void round_to_tf32(const float* in, float* out) {
  out[threadIdx.x] = stic::float_of(stic::to_tf32(in[threadIdx.x]));
}

void fragment_cases(Suite& suite) {
  add_product<float>(suite, "tf32", 8, multiply_tf32);
  add_product<stic::BFloat16>(suite, "bf16", 16, multiply_pairs);
  add_rounding<float>(suite, "tf32", 8, multiply_tf32);
  add_rounding<stic::BFloat16>(suite, "bf16", 16, multiply_pairs);
  emulated_sums(suite);
  suite.add("to_tf32", [](Trial& trial) {
    const float infinity = INFINITY;
    const std::vector<std::pair<float, float>> pairs = {{0.0f, 0.0f},
                                                        {-0.0f, -0.0f},
                                                        {1.0f, 1.0f},
                                                        {0x1.001p0f, 1.0f},
                                                        {0x1.002p0f, 0x1.004p0f},
                                                        {0x1.006p0f, 0x1.008p0f},
                                                        {0x1.0021p0f, 0x1.004p0f},
                                                        {-0x1.002p0f, -0x1.004p0f},
                                                        {0x1.ffep0f, 2.0f},
                                                        {1e-3f, 0x1.064p-10f},
                                                        {0x1p-126f, 0x1p-126f},
                                                        {infinity, infinity},
                                                        {-infinity, -infinity},
                                                        {0x1.ffcp127f, 0x1.ffcp127f},
                                                        {NAN, NAN},
                                                        {stic::float_of(0x7F800001u), NAN}};
    std::vector<float> values, wanted;
    for (const auto& [value, rounded] : pairs) values.push_back(value), wanted.push_back(rounded);
    auto in = trial.input(values), out = trial.output<float>(16);
    trial.launch(launch(round_to_tf32, {1, 16}, in.data(), out.data()));
    trial.expect_close("out", out, numbers(wanted), {});
  });
}

void add_cases(Suite& suite) {
  copy_cases(suite);
  fragment_cases(suite);
}

}  // namespace

STIC_TEST_PROGRAM(add_cases)
