// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

#include "kernels.h"
#include "scaled_silu.cuh"

namespace stic {
namespace cuda {

template <typename T, bool backward>
static cudaError_t launch_pieces(const ScaledSilu& of, const void* grad, void* out, cudaStream_t stream) {
  const int64_t all = of.batch * of.channels * of.positions;
  const int64_t chains = !of.scales ? 1 : of.channels_last ? of.batch : of.batch * of.channels;
  if (all == 0) return cudaSuccess;
  const SiluPieces args{of, grad, out, chains, all / chains};
  const bool aligned = rows_aligned<T>(args.elements, static_cast<const T*>(of.x), static_cast<const T*>(grad),
                                       static_cast<const T*>(out));
  return launch(silu_pieces_kernel<T, backward>, piece_launch<T>(chains, args.elements, stream), args, aligned);
}

template <typename T>
static cudaError_t launch_rows(const ScaledSiluBackward& args, cudaStream_t stream) {
  using C = typename Compute<T>::type;
  const bool aligned = rows_aligned<T>(args.of.positions, args.of.x, args.grad, args.grad_x);
  const Launch shape = row_launch(args.of.batch * args.of.channels, args.of.positions, sizeof(ScaleSum<C>), stream);
  return launch(silu_rows_kernel<T>, shape, args, aligned);
}

template <typename T>
static cudaError_t launch_columns(const ScaledSiluBackward& args, cudaStream_t stream) {
  using C = typename Compute<T>::type;
  const int64_t packs = (args.of.channels + kPack<T> - 1) / kPack<T>;
  unsigned along = 1, columns = 1;
  while (along < kWarp && along < packs) along *= 2;
  while (along * columns < kMostAlong && columns < args.of.positions) columns *= 2;
  const auto shares = static_cast<unsigned>((packs + along - 1) / along);
  Launch shape;
  shape.grid = dim3(static_cast<unsigned>(args.of.batch * shares));
  shape.block = dim3(along, columns);
  shape.shared = along * columns * kPack<T> * sizeof(C);
  shape.stream = stream;
  const bool aligned = rows_aligned<T>(args.of.channels, args.of.x, args.grad, args.grad_x);
  return launch(silu_columns_kernel<T>, shape, args, shares, aligned);
}

cudaError_t scaled_silu(const ScaledSilu& args, cudaStream_t stream) {
  return with_storage_type(args.dtype, [&](auto* type) {
    return launch_pieces<std::remove_pointer_t<decltype(type)>, false>(args, nullptr, args.out, stream);
  });
}

cudaError_t scaled_silu_backward(const ScaledSiluBackward& args, cudaStream_t stream) {
  if (args.of.batch * args.of.channels == 0) return cudaSuccess;
  return with_storage_type(args.of.dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    if (!args.of.scales) return launch_pieces<T, true>(args.of, args.grad, args.grad_x, stream);
    return args.of.channels_last ? launch_columns<T>(args, stream) : launch_rows<T>(args, stream);
  });
}

}  // namespace cuda
}  // namespace stic
