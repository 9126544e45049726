// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The Gram loss s·‖G(F) − A‖²_F of each chain and layer, and its gradient in F.
//
//     primal   D = FFᵀ − (M/N)·RRᵀ                     ‖G − A‖² = ‖D‖²/M²                  gradient 4·DF/M²
//     dual     P = FᵀF, Q = −(M/N)·RᵀF, S = RᵀR        ‖G − A‖² = ‖P‖²/M² − 2‖RᵀF‖²/(MN) + ‖S‖²/N²
//                                                                                   gradient 4(FP + RQ)/M²
//
// F is (C, M), R the reference's (C, N). Of D, P and S only the tiles on and above the diagonal are summed. The loss
// keeps D, or P and Q, and the gradient multiplies with them: they are smaller than F, so that is less memory and less
// traffic than a gradient written before its factor is known. A thread takes one chain of one layer at a time, whose
// matrices stay in its cache: bound by the arithmetic of the products.
// In memory F is C rows of M numbers, or with the channels last M rows of C; each product then is of rows or of
// columns.
#include <atomic>
#include <cmath>
#include <memory>

#include "kernel_loops.h"
#include "panels.h"

namespace stic {
namespace STIC_ISA {

constexpr int64_t kDepth = 256;     // how much of the summed dimension is packed at once
constexpr int64_t kRowBlock = 64;   // rows converted to fp32 at once
constexpr int64_t kWork = 1 << 18;  // multiplications that repay waking a thread

// A thread's memory, given out piece by piece.
struct Scratch {
  float* next;
  Panels panels(int64_t depth, int64_t width) {
    const Panels taken{next, depth, width};
    next += taken.size();
    return taken;
  }
};

// ‖K‖² of a symmetric matrix known on and above its diagonal blocks.
static double symmetric_square(const Panels& matrix) {
  double square = 0;
  for (int64_t column = 0; column < matrix.width; column += kLanes) {
    const int64_t end = std::min(matrix.width, column + kLanes);
    Floats twice = 0.0f, once = 0.0f;
    for (int64_t row = 0; row < column; ++row) {
      const Floats value = load_lanes(matrix.at(row, column));
      twice = multiply_add(value, value, twice);
    }
    for (int64_t row = column; row < end; ++row) {
      const Floats value = load_lanes(matrix.at(row, column));
      once = multiply_add(value, value, once);
    }
    square += 2 * sum_of(twice) + sum_of(once);
  }
  return square;
}

static double square_of(const Panels& matrix) {
  double square = 0;
  for (int64_t column = 0; column < matrix.width; column += kLanes) {
    Floats sum = 0.0f;
    for (int64_t row = 0; row < matrix.depth; ++row) {
      const Floats value = load_lanes(matrix.at(row, column));
      sum = multiply_add(value, value, sum);
    }
    square += sum_of(sum);
  }
  return square;
}

static void clear(const Panels& matrix) { std::fill_n(matrix.data, matrix.size(), 0.0f); }
static void scale(const Panels& matrix, float factor) {
  for (int64_t i = 0; i < matrix.size(); ++i) matrix.data[i] *= factor;
}

// A summand of the gradient: features times a matrix of products.
template <typename T>
struct Term {
  Rows<T> features;
  Panels products;
};

// to = rows [first, first + count) of from in fp32.
template <typename T>
static Rows<float> in_fp32(const Rows<T>& from, int64_t first, int64_t count, float* to) {
  if constexpr (std::is_same_v<T, float>) {
    return {from.row(first), count, from.width};
  } else {
    const T* const source = from.row(first);
    for (int64_t i = 0; i < count * from.width; ++i) to[i] = load(source[i]);
    return {to, count, from.width};
  }
}

template <typename T>
static void store_tile(T* out, int64_t width, int64_t rows, int64_t columns, const Tile& tile, float factor) {
  for (int64_t i = 0; i < std::min<int64_t>(rows, kTileRows); ++i) {
    alignas(64) float values[kLanes];
    store_lanes(values, tile.sums[i] * factor);
    if (columns >= kLanes)
      for (int j = 0; j < kLanes; ++j) store(out + i * width + j, values[j]);
    else
      for (int64_t j = 0; j < columns; ++j) store(out + i * width + j, values[j]);
  }
}

// out = factor·Σ features·products, row by row.
template <typename T, size_t terms>
static void multiply_rows(T* out, const Term<T> (&sum)[terms], float factor, Scratch scratch) {
  const int64_t rows = sum[0].features.rows, width = sum[0].products.width;
  for (int64_t first = 0; first < rows; first += kRowBlock) {
    const int64_t count = std::min(kRowBlock, rows - first);
    Rows<float> block[terms];
    float* free = scratch.next;
    for (size_t term = 0; term < terms; ++term) {
      block[term] = in_fp32(sum[term].features, first, count, free);
      free += kRowBlock * block[term].width;
    }
    for (int64_t column = 0; column < width; column += kLanes)
      for (int64_t row = 0; row < count; row += kTileRows) {
        Tile tile;
        for (size_t term = 0; term < terms; ++term)
          tile.add(FromRows(block[term], row), sum[term].products.at(0, column), block[term].width);
        store_tile(out + (first + row) * width + column, width, count - row, width - column, tile, factor);
      }
  }
}

// out = factor·Σ productsᵀ·features, a panel of columns at a time. While one is multiplied the next is asked for, row
// by row: rows are far apart, which no processor foresees.
template <typename T, size_t terms>
static void multiply_columns(T* out, const Term<T> (&sum)[terms], float factor, Scratch scratch) {
  const int64_t rows = sum[0].products.width, width = sum[0].features.width;
  float* strips[terms];
  for (size_t term = 0; term < terms; ++term) {
    strips[term] = scratch.panels(sum[term].products.depth, rows).data;
    pack_strips(strips[term], sum[term].products);
  }
  for (int64_t column = 0; column < width; column += kLanes) {
    const int64_t count = std::min<int64_t>(kLanes, width - column);
    Scratch free = scratch;
    Panels panel[terms];
    for (size_t term = 0; term < terms; ++term) {
      panel[term] = free.panels(sum[term].features.rows, count);
      pack(panel[term], sum[term].features, 0, column);
    }
    for (int64_t row = 0; row < rows; row += kTileRows) {
      for (int i = 0; i < kTileRows; ++i) {
        prefetch_lanes<0>(sum[0].features.row(row + i) + column + kLanes);
        prefetch_lanes<1>(out + (row + i) * width + column);
      }
      Tile tile;
      for (size_t term = 0; term < terms; ++term)
        tile.add(FromStrip{strips[term] + row * sum[term].products.depth}, panel[term].data, panel[term].depth);
      store_tile(out + row * width + column, width, rows - row, count, tile, factor);
    }
  }
}

// One chain of one layer.
template <typename T>
class ChainLoss {
 public:
  ChainLoss(const GramLayer& layer, int64_t chain, Scratch scratch)
      : layer_(layer),
        size_(static_cast<double>(layer.size)),
        reference_size_(static_cast<double>(layer.reference_size)),
        features_(rows_of(static_cast<const T*>(layer.features), chain, layer.size)),
        reference_(
            rows_of(static_cast<const T*>(layer.reference), layer.shared_target ? 0 : chain, layer.reference_size)),
        scratch_(scratch) {
    Scratch kept = layer.products ? Scratch{layer.products + chain * layer.products_stride} : scratch;
    if (layer.dual) {
      own_ = kept.panels(padded(layer.size), layer.size);
      cross_ = kept.panels(padded(layer.reference_size), layer.size);
    } else {
      own_ = kept.panels(padded(layer.channels), layer.channels);
    }
    if (!layer.products) scratch_ = kept;
    if (layer.gram) {
      const int64_t target = layer.shared_target ? 0 : chain;
      gram_ = {layer.gram + target * layer.channels * layer.channels, layer.channels, layer.channels};
    }
  }

  // ‖G − A‖² and ‖A‖²; keeps the products if the layer asks for them.
  void distances(double& square, double& norm) {
    clear(own_);
    layer_.dual ? dual(square, norm) : primal(square, norm);
    if (layer_.products) mirror(own_);
  }

  // out = factor·∂‖G − A‖²/∂F from the kept products.
  void gradient(T* out, double factor) {
    const float scaled = static_cast<float>(factor * 4 / (size_ * size_));
    if (layer_.dual)
      write<2>(out, {{features_, own_}, {reference_, cross_}}, scaled);
    else
      write<1>(out, {{features_, own_}}, scaled);
  }

 private:
  Rows<T> rows_of(const T* data, int64_t chain, int64_t size) const {
    const T* const own = data + chain * layer_.channels * size;
    return layer_.channels_last ? Rows<T>{own, size, layer_.channels} : Rows<T>{own, layer_.channels, size};
  }

  // packed = [first, first + depth) of the positions by all channels, or of the channels by all positions.
  void pack_positions(const Panels& packed, const Rows<T>& features, int64_t first) const {
    layer_.channels_last ? pack(packed, features, first, 0) : pack_transposed(packed, features, first);
  }
  void pack_channels(const Panels& packed, const Rows<T>& features, int64_t first) const {
    layer_.channels_last ? pack_transposed(packed, features, first) : pack(packed, features, first, 0);
  }

  void add_gram(const Rows<T>& features, int64_t size) {
    for (int64_t first = 0; first < size; first += kDepth) {
      Scratch free = scratch_;
      const Panels block = free.panels(std::min(kDepth, size - first), layer_.channels);
      pack_positions(block, features, first);
      add_product(own_, block, block, true);
    }
  }

  // D = −M·(A + Aᵀ)/2 on and above the diagonal's panels, ‖A‖², and what no G can mend: ‖(A − Aᵀ)/2‖².
  void subtract_gram(double& norm, double& skew) {
    norm = skew = 0;
    for (int64_t row = 0; row < gram_.rows; row += kVectorLanes)
      for (int64_t column = row / kLanes * kLanes; column < gram_.rows; column += kVectorLanes) {
        Vector<float> above[kVectorLanes], below[kVectorLanes];
        load_square(above, gram_, row, column);
        load_square(below, gram_, column, row);
        transpose(below);
        Vector<float> norms{}, skews{};
        for (int i = 0; i < kVectorLanes; ++i) {
          const Vector<float> difference = above[i] - below[i];
          norms += above[i] * above[i] + below[i] * below[i];
          skews += difference * difference;
          store_vector(own_.at(row + i, column), static_cast<float>(-0.5 * size_) * (above[i] + below[i]));
        }
        const double weight = column < row ? 0 : column == row ? 0.5 : 1;  // each pair of blocks once
        norm += weight * sum_of(norms);
        skew += weight * sum_of(skews) / 2;
      }
  }

  void primal(double& square, double& norm) {
    double skew = 0;
    if (layer_.gram) {
      subtract_gram(norm, skew);
    } else {
      add_gram(reference_, layer_.reference_size);
      norm = symmetric_square(own_) / (reference_size_ * reference_size_);
      scale(own_, static_cast<float>(-size_ / reference_size_));
    }
    add_gram(features_, layer_.size);
    square = symmetric_square(own_) / (size_ * size_) + skew;
  }

  void dual(double& square, double& norm) {
    const Panels other = scratch_.panels(padded(layer_.reference_size), layer_.reference_size);
    clear(cross_);
    clear(other);
    for (int64_t first = 0; first < layer_.channels; first += kDepth) {
      const int64_t depth = std::min(kDepth, layer_.channels - first);
      Scratch free = scratch_;
      const Panels block = free.panels(depth, layer_.size);
      const Panels reference_block = free.panels(depth, layer_.reference_size);
      pack_channels(block, features_, first);
      pack_channels(reference_block, reference_, first);
      add_product(own_, block, block, true);
      add_product(cross_, reference_block, block, false);
      add_product(other, reference_block, reference_block, true);
    }
    norm = symmetric_square(other) / (reference_size_ * reference_size_);
    square = symmetric_square(own_) / (size_ * size_) - 2 * square_of(cross_) / (size_ * reference_size_) + norm;
    square = std::max(square, 0.0);
    scale(cross_, static_cast<float>(-size_ / reference_size_));
  }

  template <size_t terms>
  void write(T* out, const Term<T> (&sum)[terms], float factor) {
    if (layer_.channels_last == layer_.dual)
      multiply_columns(out, sum, factor, scratch_);
    else
      multiply_rows(out, sum, factor, scratch_);
  }

  const GramLayer& layer_;
  const double size_, reference_size_;
  const Rows<T> features_, reference_;
  Rows<float> gram_{};
  Panels own_, cross_{};  // D, or P and Q
  Scratch scratch_;
};

// Floats of scratch memory that one thread needs for a layer.
static int64_t scratch_size(const GramLayer& layer) {
  const int64_t channels = padded(layer.channels), size = padded(layer.size), other = padded(layer.reference_size);
  if (!layer.dual) return channels * channels + kDepth * channels;
  return size * size + other * size + other * other + kDepth * (size + other);
}

// body(layer, chain, scratch) for every chain of every layer; a worker that is done with one takes the next, for they
// differ in size.
template <typename Body>
static void for_each_chain_of(const GramLayer* layers, int64_t count, int threads, const Body& body) {
  int64_t needed = 0, work = 0;
  for (int64_t i = 0; i < count; ++i) {
    needed = std::max(needed, scratch_size(layers[i]));
    work += layers[i].chains * layers[i].channels * layers[i].size * std::min(layers[i].channels, layers[i].size);
  }
  const int64_t items = count > 0 ? count * layers[0].chains : 0;
  const int64_t workers = workers_for(items, work, kWork, threads);
  const int64_t stride = (needed + 15) / 16 * 16;
  const std::unique_ptr<float[]> memory(new float[static_cast<size_t>(stride * workers + 16)]);
  float* const aligned = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.get()) + 63) / 64 * 64);
  std::atomic<int64_t> next{0};
  for_each_worker(workers, threads, [&](int64_t worker) {
    for (int64_t item = next++; item < items; item = next++)
      body(layers[item / layers[0].chains], item % layers[0].chains, Scratch{aligned + stride * worker});
  });
}

template <typename Body>
static void with_feature_type(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::kBFloat16:
      return body(static_cast<BFloat16*>(nullptr));
    case DType::kFloat16:
      return body(static_cast<Float16*>(nullptr));
    default:
      return body(static_cast<float*>(nullptr));
  }
}

void gram_loss(const GramLayer* layers, int64_t count, int threads) {
  for_each_chain_of(layers, count, threads, [](const GramLayer& layer, int64_t chain, Scratch scratch) {
    with_feature_type(layer.dtype, [&](auto* type) {
      double square, norm;
      ChainLoss<std::remove_pointer_t<decltype(type)>>(layer, chain, scratch).distances(square, norm);
      const GramTerm term =
          gram_term(layer.scale, square, norm, static_cast<double>(layer.channels), static_cast<double>(layer.size));
      layer.terms[chain] = static_cast<float>(term.value);
      layer.slopes[chain] = static_cast<float>(term.slope);
    });
  });
}

void gram_loss_gradient(const GramLayer* layers, int64_t count, int threads) {
  for_each_chain_of(layers, count, threads, [](const GramLayer& layer, int64_t chain, Scratch scratch) {
    with_feature_type(layer.dtype, [&](auto* type) {
      auto* const out = static_cast<decltype(type)>(layer.gradient) + chain * layer.channels * layer.size;
      const double factor = static_cast<double>(layer.slopes[chain]) * static_cast<double>(layer.grad_loss[chain]);
      ChainLoss<std::remove_pointer_t<decltype(type)>>(layer, chain, scratch).gradient(out, factor);
    });
  });
}

}  // namespace STIC_ISA
}  // namespace stic
