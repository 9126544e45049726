// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The Gram loss and its gradient: both forms, both layouts, both types, two precisions, edges of all tiles.
#include "../../csrc/cuda/gram_gradient.cu"
#include "../../csrc/cuda/gram_loss.cu"
#include "gram_reference.h"
#include "testing.h"

using namespace stic;
using namespace stic::testing;

struct Shape {
  bool dual;
  int channels, size, reference_size;  // no reference size: a Gram matrix is given
};

struct LayerCase {
  Shape shape;
  bool channels_last, shared_target;
  GramScale scale;
  bool with_gradient = true;
  int offset = 0;  // of features and reference from an aligned address, in numbers
};

// All edges: of channels and positions at 1, 4 or 8 numbers (16 bytes), 16, 32, 64 and 128, whole and ragged.
constexpr Shape kShapes[] = {
    {true, 1, 1, 1},       {true, 3, 4, 4},     {true, 32, 64, 64},   {true, 33, 49, 49},   {true, 70, 16, 25},
    {true, 160, 64, 36},   {true, 40, 33, 1},   {true, 130, 5, 64},   {false, 1, 1, 1},     {false, 5, 7, 9},
    {false, 64, 32, 32},   {false, 65, 33, 20}, {false, 128, 64, 96}, {false, 130, 40, 31}, {false, 200, 132, 16},
    {false, 16, 200, 300}, {false, 6, 10, 0},   {false, 64, 64, 0},   {false, 140, 31, 0},  {false, 257, 8, 0},
};

template <typename T>
struct Layer {
  LayerCase what;
  Doubles features, reference, gram;  // channel by channel, as the kernel sees them
  DeviceBuffer<T> device_features, device_reference, gradient;
  DeviceBuffer<float> device_gram, difference, terms, slopes;
};

// One chain's part, channel by channel; with `rounded` in TF32.
static Doubles chain_of(const Doubles& all, int64_t chain, int channels, int size, bool channels_last, bool rounded) {
  Doubles result(static_cast<size_t>(channels) * size);
  for (int c = 0; c < channels; ++c)
    for (int p = 0; p < size; ++p) {
      const double value = all[chain * channels * size + (channels_last ? p * channels + c : c * size + p)];
      result[c * size + p] = rounded ? tf32(value) : value;
    }
  return result;
}

template <typename T>
static Layer<T> make_layer(Trial& trial, const LayerCase& what, int64_t chains, uint64_t seed) {
  const Shape& shape = what.shape;
  const int64_t count = chains * shape.channels * shape.size, targets = what.shared_target ? 1 : chains;
  const std::vector<T> features = uniform_values<T>(count, -1, 2, seed);
  const std::vector<T> reference =
      uniform_values<T>(targets * shape.channels * shape.reference_size, -1.5, 2, seed + 1);
  const std::vector<float> gram =
      uniform_values<float>(shape.reference_size ? 0 : targets * shape.channels * shape.channels, -0.5, 1, seed + 2);
  const int64_t kept =
      what.with_gradient && !shape.dual ? chains * shape.channels * cuda::difference_pitch(shape.channels) : 0;
  return {what,
          numbers(features),
          numbers(reference),
          numbers(gram),
          trial.input(features, what.offset),
          trial.input(reference, what.offset),
          trial.output<T>(what.with_gradient ? count : 0),
          trial.input(gram),
          trial.output<float>(kept),
          trial.output<float>(chains),
          trial.output<float>(chains)};
}

template <typename T>
static cuda::GramLayer described(Layer<T>& layer) {
  const Shape& shape = layer.what.shape;
  const bool given = shape.reference_size == 0;
  return {layer.device_features.data(),
          given ? nullptr : layer.device_reference.data(),
          given ? layer.device_gram.data() : nullptr,
          layer.what.with_gradient && !shape.dual ? layer.difference.data() : nullptr,
          layer.what.with_gradient ? layer.gradient.data() : nullptr,
          layer.terms.data(),
          layer.slopes.data(),
          shape.channels,
          shape.size,
          shape.reference_size,
          layer.what.channels_last,
          layer.what.shared_target,
          shape.dual,
          layer.what.scale};
}

// What a layer's outputs are to be, and how far from it they may lie.
struct Wanted {
  Doubles terms, terms_within, slopes, slopes_within, gradient, gradient_within;
};

// A factor in TF32 loses 2⁻¹¹. Of the sum over a slab the tensor cores cut off up to 2⁻²³ each time they add: half of
// that on average, of half the sum, 24 times where numbers are split (eight steps of four, three products each), which
// is 2⁻²⁰·⁴. What fp32 adds of the slabs is rounded to nearest and loses less. A square loses twice as much: 2⁻¹⁹.
template <typename T>
static Wanted wanted_of(const Layer<T>& layer, int64_t chains, bool accurate) {
  constexpr double kSums = 0x1p-19, kFactor = 0x1p-11, kSmallest = 0x1p-24;
  const Shape& shape = layer.what.shape;
  const bool last = layer.what.channels_last, rounded = !accurate && sizeof(T) == 4;
  const int64_t square = int64_t{shape.channels} * shape.channels;
  Wanted result;
  for (int64_t chain = 0; chain < chains; ++chain) {
    const int64_t target = layer.what.shared_target ? 0 : chain;
    const auto features = chain_of(layer.features, chain, shape.channels, shape.size, last, rounded);
    const auto reference = chain_of(layer.reference, target, shape.channels, shape.reference_size, last, rounded);
    Doubles gram;
    if (shape.reference_size == 0)
      gram.assign(layer.gram.begin() + target * square, layer.gram.begin() + (target + 1) * square);
    const GramReference wanted = gram_reference(features, reference, gram, shape.channels, shape.size,
                                                shape.reference_size, layer.what.scale, shape.dual);
    result.terms.push_back(wanted.term);
    result.terms_within.push_back(kSums * (wanted.term_noise + std::fabs(wanted.term)));
    result.slopes.push_back(wanted.slope);
    result.slopes_within.push_back(kSums * wanted.slope_noise + 2 * rounding<float>() * wanted.slope);
    for (int i = 0; i < shape.channels * shape.size; ++i) {
      const int at = last ? i % shape.channels * shape.size + i / shape.channels : i;
      const double value = std::fabs(wanted.gradient[at]), before = kSums * wanted.gradient_before[at];
      result.gradient.push_back(wanted.gradient[at]);
      result.gradient_within.push_back(before + (accurate ? kSums : kFactor) * wanted.gradient_noise[at] +
                                       rounding<T>() * (value + before) + kSmallest);
    }
  }
  return result;
}

template <typename T>
static std::string first_beyond(const std::vector<T>& got, const Doubles& wanted, const Doubles& within) {
  for (size_t i = 0; i < got.size(); ++i)
    if (!(std::fabs(number(got[i]) - wanted[i]) <= within[i]))
      return text("[", i, "] is ", number(got[i]), ", wanted ", wanted[i], " to within ", within[i]);
  return {};
}

template <typename T>
static void expect_layer(Trial& trial, const Layer<T>& layer, int64_t chains, bool accurate, const std::string& name) {
  Wanted wanted;
  trial.expect_that(name + "terms", layer.terms, [&](const std::vector<float>& got) {
    wanted = wanted_of(layer, chains, accurate);
    return first_beyond(got, wanted.terms, wanted.terms_within);
  });
  trial.expect_that(name + "slopes", layer.slopes, [&](const std::vector<float>& got) {
    return first_beyond(got, wanted.slopes, wanted.slopes_within);
  });
  trial.expect_that(name + "gradient", layer.gradient, [&](const std::vector<T>& got) {
    return first_beyond(got, wanted.gradient, wanted.gradient_within);
  });
  if (layer.difference.count() > 0) trial.expect_same(name + "difference", layer.difference);
}

template <typename T>
static void add_case(Suite& suite, const std::string& name, const std::vector<LayerCase>& cases, int64_t chains,
                     bool accurate) {
  suite.add(text("gram_loss ", type_name<T>(), accurate ? " accurate " : " ", name), [=](Trial& trial) {
    std::vector<Layer<T>> layers;
    std::vector<cuda::GramLayer> descriptions;
    for (const LayerCase& what : cases) layers.push_back(make_layer<T>(trial, what, chains, 100 * layers.size() + 7));
    for (Layer<T>& layer : layers) descriptions.push_back(described(layer));
    trial.launch(cuda::gram_loss(descriptions.data(), static_cast<int64_t>(descriptions.size()), chains, dtype_of<T>(),
                                 accurate, nullptr));
    for (size_t i = 0; i < layers.size(); ++i)
      expect_layer(trial, layers[i], chains, accurate, layers.size() > 1 ? text("layer ", i, " ") : "");
  });
}

static std::string name_of(const LayerCase& what) {
  const Shape& shape = what.shape;
  return text(shape.dual ? "dual " : "primal ", shape.channels, "x", shape.size,
              shape.reference_size ? text(" reference ", shape.reference_size) : " gram",
              what.channels_last ? " channels last" : "", what.shared_target ? " shared" : "", " scale ",
              static_cast<int>(what.scale), what.with_gradient ? "" : " loss alone", what.offset ? " unaligned" : "");
}

template <typename T>
static void shape_cases(Suite& suite) {
  int count = 0;
  for (const Shape& shape : kShapes)
    for (const bool channels_last : {false, true})
      for (const bool accurate : {false, true}) {
        if (accurate && sizeof(T) != 4) continue;
        const LayerCase what{shape, channels_last, count % 3 == 1, static_cast<GramScale>(count % 4)};
        add_case<T>(suite, name_of(what), {what}, 1 + count % 2, accurate);
        ++count;
      }
}

// Sums so long that the tensor cores would lose too much of them. Numbers of one sign are the worst.
template <typename T>
static void deep_cases(Suite& suite) {
  for (const Shape& shape : {Shape{true, 1000, 4, 3}, Shape{false, 20, 1200, 1000}})
    for (const bool channels_last : {false, true})
      for (const bool accurate : {false, true}) {
        if (accurate && sizeof(T) != 4) continue;
        const LayerCase what{shape, channels_last, false, GramScale::kRelative};
        add_case<T>(suite, "deep " + name_of(what), {what}, 1, accurate);
      }
}

template <typename T>
static void option_cases(Suite& suite) {
  for (const Shape& shape : {kShapes[3], kShapes[5], kShapes[11], kShapes[18]})
    for (const bool channels_last : {false, true}) {
      const LayerCase alone{shape, channels_last, false, GramScale::kLog, false};
      const LayerCase unaligned{shape, channels_last, false, GramScale::kNone, true, 1};
      for (const LayerCase& what : {alone, unaligned}) add_case<T>(suite, name_of(what), {what}, 2, false);
    }
}

template <typename T>
static void grouped_cases(Suite& suite) {
  std::vector<LayerCase> mixed, many;
  for (const int i : {1, 3, 8, 11, 16}) mixed.push_back({kShapes[i], i % 2 == 0, i == 3, GramScale::kLog});
  for (int i = 0; i < 35; ++i) many.push_back({{i % 2 == 0, 3 + i, 2, 2}, false, false, GramScale::kRelative});
  add_case<T>(suite, "five layers of both forms and layouts", mixed, 3, false);
  add_case<T>(suite, "35 layers, more than a launch takes", many, 1, false);
}

// Where features of the dual form find no or little room in shared memory, they come a second time.
static void small_memory_cases(Suite& suite) {
#if defined(STIC_EMULATED)
  for (const int tiles : {0, 1, 3})
    for (const bool channels_last : {false, true}) {
      const LayerCase what{{true, 150, 64, 64}, channels_last, false, GramScale::kLog};
      suite.add(text("gram_loss float32 room for ", tiles, " slabs ", name_of(what)), [=](Trial& trial) {
        emulation::shared_limit_bytes = static_cast<size_t>(
            cuda::gram::kReductionBytes + cuda::gram::kDualRingBytes<float> + tiles * cuda::gram::kTileBytes<float>);
        Layer<float> layer = make_layer<float>(trial, what, 1, 5);
        const cuda::GramLayer description = described(layer);
        trial.launch(cuda::gram_loss(&description, 1, 1, DType::kFloat32, false, nullptr));
        expect_layer(trial, layer, 1, false, "");
      });
    }
#else
  (void)suite;
#endif
}

// More positions than the dual form holds are refused.
static void limit_cases(Suite& suite) {
  for (const auto& [size, reference_size] : {std::pair{65, 64}, {64, 65}})
    suite.add(text("gram_loss dual of ", size, " and ", reference_size, " positions"),
              [size = size, reference_size = reference_size](Trial& trial) {
                const LayerCase what{{true, 4, size, reference_size}, false, false, GramScale::kLog};
                Layer<float> layer = make_layer<float>(trial, what, 1, 3);
                const cuda::GramLayer description = described(layer);
                const cudaError_t error = cuda::gram_loss(&description, 1, 1, DType::kFloat32, false, nullptr);
                trial.check(error == cudaErrorInvalidValue, "it was launched");
              });
}

// More blocks than a grid may have are refused, whatever 32 bits make of their number.
static void grid_cases(Suite& suite) {
  for (const int64_t chains : {int64_t{1} << 31, (int64_t{1} << 32) + 1, int64_t{1} << 27})
    suite.add(text("gram_loss of ", chains, " chains"), [=](Trial& trial) {
      const LayerCase what{{true, 4, 4, 4}, false, false, GramScale::kLog};
      Layer<float> layer = make_layer<float>(trial, what, 1, 3);
      const std::vector<cuda::GramLayer> layers(32, described(layer));
      const cudaError_t error = cuda::gram_loss(layers.data(), 32, chains, DType::kFloat32, false, nullptr);
      trial.check(error == cudaErrorInvalidConfiguration, "it was launched");
    });
}

// NaN and what an exact match gives.
static void value_cases(Suite& suite) {
  for (const bool dual : {true, false}) {
    const std::string form = dual ? "dual" : "primal";
    const auto run = [=](Trial& trial, const std::vector<float>& features, const std::vector<float>& reference,
                         auto&& judge) {
      auto device_features = trial.input(features), device_reference = trial.input(reference);
      auto gradient = trial.output<float>(40 * 36), difference = trial.output<float>(40 * 40);
      auto terms = trial.output<float>(1), slopes = trial.output<float>(1);
      const cuda::GramLayer layer{device_features.data(),
                                  device_reference.data(),
                                  nullptr,
                                  difference.data(),
                                  gradient.data(),
                                  terms.data(),
                                  slopes.data(),
                                  40,
                                  36,
                                  36,
                                  false,
                                  false,
                                  dual,
                                  GramScale::kLog};
      trial.launch(cuda::gram_loss(&layer, 1, 1, DType::kFloat32, false, nullptr));
      trial.expect_that("terms", terms, [&](const std::vector<float>& got) { return judge(got[0]); });
      trial.expect_same("gradient", gradient);
    };
    suite.add("gram_loss of itself is nothing " + form, [=](Trial& trial) {
      const auto features = uniform_values<float>(40 * 36, -1, 1, 3);
      run(trial, features, features, [](float term) { return std::fabs(term) < 1e-6f ? "" : text(" is ", term); });
    });
    suite.add("gram_loss of NaN is NaN " + form, [=](Trial& trial) {
      auto features = uniform_values<float>(40 * 36, -1, 1, 3);
      const auto reference = features;
      features[77] = NAN;
      run(trial, features, reference, [](float term) { return std::isnan(term) ? "" : text(" is ", term); });
    });
  }
}

template <typename T>
static void gradient_cases(Suite& suite) {
  for (const auto& [first, second] : {std::pair<int64_t, int64_t>{1, 3}, {64, 7}, {4096, 1000}, {129, 0}})
    for (const int64_t chains : {1, 3})
      suite.add(
          text("gram_gradient ", type_name<T>(), " ", first, " and ", second, " numbers, ", chains, " chains"),
          [=, first = first, second = second](Trial& trial) {
            const auto grad_loss = uniform_values<float>(chains, -2, 2, 9);
            auto factors = trial.input(grad_loss);
            std::vector<cuda::GramGradient> layers;
            std::vector<DeviceBuffer<T>> inputs, outputs;
            std::vector<std::vector<T>> wanted;
            for (const int64_t numbers : {first, second}) {
              const auto of_term = uniform_values<T>(chains * numbers, -1, 1, static_cast<uint64_t>(numbers));
              inputs.push_back(trial.input(of_term));
              outputs.push_back(trial.output<T>(chains * numbers));
              layers.push_back({inputs.back().data(), outputs.back().data(), numbers});
              wanted.emplace_back();
              for (int64_t i = 0; i < chains * numbers; ++i)
                wanted.back().push_back(stored<T>(grad_loss[i / numbers] * static_cast<float>(number(of_term[i]))));
            }
            trial.launch(cuda::gram_gradient(layers.data(), 2, chains, dtype_of<T>(), factors.data(), nullptr));
            for (size_t i = 0; i < 2; ++i) trial.expect_equal(text("layer ", i), outputs[i], wanted[i]);
          });
}

static void gram_loss_cases(Suite& suite) {
  for_each_storage_type([&](auto type) {
    using T = typename decltype(type)::type;
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, BFloat16>) {
      shape_cases<T>(suite);
      deep_cases<T>(suite);
      option_cases<T>(suite);
      grouped_cases<T>(suite);
      gradient_cases<T>(suite);
    }
  });
  small_memory_cases(suite);
  limit_cases(suite);
  grid_cases(suite);
  value_cases(suite);
}
STIC_TEST_PROGRAM(gram_loss_cases)
