// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The batch for vicinal risk minimisation: bit for bit the definition, pixel by pixel.
#include "../../csrc/cuda/vrm_batch.cu"
#include "noise_reference.h"
#include "testing.h"

using namespace stic;
using namespace stic::testing;

struct BatchShape {
  int64_t rows, channels, height, width;
  int64_t elements() const { return channels * height * width; }
};

struct BatchCase {
  BatchShape shape;
  bool mixes = true;
  double noise_std = 0.3;
  float flip_probability = 0.5f;
  int max_shift = 2;
  Addressing addressing = kPlainAddress;
  int64_t offset = 0;               // of out from an aligned address, in elements
  unsigned blocks = 0, beside = 0;  // of the launch, if not the launcher's own
};

struct BatchData {
  std::vector<uint8_t> images;
  std::vector<int64_t> partner;
  std::vector<float> weight;
};

static BatchData make_data(const BatchCase& what) {
  const int64_t rows = what.shape.rows;
  BatchData data{
      integer_values<uint8_t>(rows * what.shape.elements(), 0, 255, 31), {}, uniform_values<float>(rows, 0, 1, 32)};
  for (int64_t row = 0; row < rows; ++row) data.partner.push_back((5 * row + 3) % rows);
  return data;
}

// Pixel i of an image as its row's coins place it.
static uint8_t placed(const NoiseInput& noise, const BatchData& data, const BatchCase& what, int64_t row, int64_t i) {
  const auto [rows, channels, height, width] = what.shape;
  const Words coins = noise.words(kAugmentation, row, 0);
  const auto shift = [&](uint32_t word) {
    return static_cast<int64_t>(static_cast<uint64_t>(word) * (2 * static_cast<uint64_t>(what.max_shift) + 1) >> 32) -
           what.max_shift;
  };
  const auto within = [](int64_t place, int64_t size) { return std::min(std::max<int64_t>(place, 0), size - 1); };
  int64_t column = within(i % width - shift(coins.w2), width);
  if (static_cast<double>(coins.w0 >> 8) * 0x1p-24 < what.flip_probability) column = width - 1 - column;
  const int64_t line = within(i / width % height - shift(coins.w1), height), channel = i / (width * height);
  return data.images[static_cast<size_t>(((row * channels + channel) * height + line) * width + column)];
}

template <typename T>
static std::vector<T> expected(const NoiseInput& noise, const BatchData& data, const BatchCase& what) {
  using C = typename Compute<T>::type;
  const auto scaled = [](uint8_t pixel) { return C(2 * pixel - 255) * C(1.0 / 255.0); };
  std::vector<T> batch;
  for (int64_t row = 0; row < what.shape.rows; ++row)
    for (int64_t i = 0; i < what.shape.elements(); ++i) {
      C value = scaled(placed(noise, data, what, row, i));
      if (what.mixes) {
        const C partner = scaled(placed(noise, data, what, data.partner[static_cast<size_t>(row)], i));
        value = std::fma(C(data.weight[static_cast<size_t>(row)]), value - partner, partner);
      }
      if (what.noise_std != 0)
        value = std::fma(static_cast<C>(what.noise_std), C(noise.normal(kInstanceNoise, row, i)), value);
      batch.push_back(stored_from<T>(value));
    }
  return batch;
}

template <typename T>
static void run(Trial& trial, const BatchCase& what) {
  const BatchData data = make_data(what);
  const NoiseInput noise(trial, what.addressing, what.shape.rows);
  const DeviceBuffer<uint8_t> images = trial.input(data.images);
  const DeviceBuffer<int64_t> partner = trial.input(data.partner);
  const DeviceBuffer<float> weight = trial.input(data.weight);
  const DeviceBuffer<T> out = trial.output<T>(images.count(), what.offset);
  VrmBatch args{};
  args.images = images.data(), args.out = out.data();
  if (what.mixes) args.partner = partner.data(), args.weight = weight.data();
  args.dtype = dtype_of<T>();
  args.rows = what.shape.rows, args.channels = what.shape.channels;
  args.height = what.shape.height, args.width = what.shape.width;
  args.noise_std = what.noise_std, args.flip_probability = what.flip_probability, args.max_shift = what.max_shift;
  args.noise = noise.source();
  if (what.blocks == 0) {
    trial.launch(cuda::vrm_batch(args, nullptr));
  } else {
    Launch shape = cuda::piece_launch<T>(args.rows, what.shape.elements(), nullptr);
    shape.grid = dim3(what.blocks, what.beside);
    trial.launch(launch(cuda::vrm_batch_kernel<T>, shape, args, round_keys(args.noise.seed),
                        what.shape.elements() % cuda::kPack<T> == 0));
  }
  trial.expect_equal("out", out, [&] { return expected<T>(noise, data, what); });
}

// Lines shorter and longer than a pack, images of whole packs and ragged ones.
constexpr BatchShape kShapes[] = {{1, 1, 1, 1}, {4, 3, 2, 2},  {5, 1, 5, 7},   {3, 3, 8, 8},  {3, 2, 3, 16},
                                  {3, 3, 9, 5}, {2, 1, 1, 66}, {2, 1, 130, 1}, {40, 1, 3, 4}, {2, 3, 20, 24}};

static void vrm_batch_cases(Suite& suite) {
  for_each_storage_type([&](auto type) {
    using T = typename decltype(type)::type;
    const auto add = [&](const char* title, const BatchCase& what) {
      suite.add(text(title, " ", type_name<T>(), " ", what.shape.rows, "x", what.shape.channels, "x", what.shape.height,
                     "x", what.shape.width, what.mixes ? " mixed" : "", " noise ", what.noise_std, " flip ",
                     what.flip_probability, " shift ", what.max_shift, " ", what.addressing.name),
                [=](Trial& trial) { run<T>(trial, what); });
    };
    for (const BatchShape& shape : kShapes) add("shape", {shape});
    for (const bool mixes : {true, false})
      for (const double noise_std : {0.0, 0.3})
        for (const float flip_probability : {0.0f, 0.5f, 1.0f})
          for (const int max_shift : {0, 9})
            add("options", {{6, 3, 6, 6}, mixes, noise_std, flip_probability, max_shift});
    for (const Addressing& addressing : kAddresses) add("address", {{7, 1, 4, 9}, true, 0.3, 0.5f, 1, addressing});
    add("misaligned", {{3, 1, 8, 8}, true, 0.3, 0.5f, 1, kPlainAddress, 1});
    // Two blocks along and three beside have to take several turns each.
    add("few blocks", {{7, 3, 20, 20}, true, 0.3, 0.5f, 3, kPlainAddress, 0, 2, 3});
  });
  suite.add("nothing to do", [](Trial& trial) {
    VrmBatch args{};
    args.channels = args.height = args.width = 3;
    trial.launch(cuda::vrm_batch(args, nullptr));
    args.rows = 3, args.height = 0;
    trial.launch(cuda::vrm_batch(args, nullptr));
    trial.check(true, "no launch");
  });
}
STIC_TEST_PROGRAM(vrm_batch_cases)
