// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

#include <algorithm>
#include <type_traits>
#include <vector>

#include "gram_kernels.h"
#include "gram_loss.cuh"

namespace stic::cuda {
namespace gram {

// Multiplications of a chain, about; the largest layers begin first, so that small ones fill the end.
static double cost(const GramLayer& layer) {
  const double channels = layer.channels, size = layer.size, reference_size = layer.reference_size;
  if (layer.dual) return channels * (size + reference_size) * (size + reference_size);
  return channels * channels * (1.5 * size + 0.5 * reference_size);
}

// Starts one launch. The dual form keeps as many slabs of features as there are, or as shared memory has room for.
template <typename T, bool accurate>
static cudaError_t start(Layers& group, int count, cudaStream_t stream) {
  int limit;
  const cudaError_t error = shared_limit(limit);
  if (error != cudaSuccess) return error;
  int tiles = 0, slabs = 0;
  for (int i = 0; i < count; ++i) {
    const GramLayer& layer = group.at[i];
    tiles = std::max(tiles, layer.dual ? kDualRingBytes<T> : kPrimalStages * kPrimalSlotBytes<T>);
    if (layer.dual && layer.gradient) slabs = std::max(slabs, (layer.channels + kDepth - 1) / kDepth);
  }
  const int room = (limit - kReductionBytes - kDualRingBytes<T>) / kTileBytes<T>;
  group.resident = std::max(0, std::min(slabs, room));
  Launch shape;
  shape.grid = dim3(static_cast<unsigned>(count * group.chains));
  shape.block = dim3(kThreads);
  shape.shared =
      kReductionBytes + std::max(tiles, group.resident ? kDualRingBytes<T> + group.resident * kTileBytes<T> : 0);
  shape.stream = stream;
  return launch(gram_loss_kernel<T, accurate>, shape, group);
}

}  // namespace gram

cudaError_t gram_loss(const GramLayer* layers, int64_t count, int64_t chains, DType dtype, bool accurate,
                      cudaStream_t stream) {
  constexpr int64_t kMostBlocks = 0x7FFFFFFF;
  if (chains == 0) return cudaSuccess;
  for (int64_t i = 0; i < count; ++i)
    if (layers[i].dual && std::max(layers[i].size, layers[i].reference_size) > kMostDualPositions)
      return cudaErrorInvalidValue;
  std::vector<GramLayer> sorted(layers, layers + count);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const GramLayer& a, const GramLayer& b) { return gram::cost(a) > gram::cost(b); });
  for (size_t first = 0; first < sorted.size(); first += gram::kMostLayers) {
    gram::Layers group{};
    const int members = static_cast<int>(std::min<size_t>(gram::kMostLayers, sorted.size() - first));
    if (chains > kMostBlocks / members) return cudaErrorInvalidConfiguration;
    std::copy_n(sorted.begin() + first, members, group.at);
    group.chains = static_cast<int>(chains);
    const cudaError_t error = with_feature_type(dtype, [&](auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      if constexpr (std::is_same_v<T, float>)
        if (accurate) return gram::start<T, true>(group, members, stream);
      return gram::start<T, false>(group, members, stream);
    });
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace stic::cuda
