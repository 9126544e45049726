// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

#include "kernels.h"
#include "vrm_batch.cuh"

namespace stic {
namespace cuda {

cudaError_t vrm_batch(const VrmBatch& args, cudaStream_t stream) {
  const int64_t elements = args.channels * args.height * args.width;
  if (args.rows == 0 || elements == 0) return cudaSuccess;
  return with_storage_type(args.dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    return launch(vrm_batch_kernel<T>, piece_launch<T>(args.rows, elements, stream), args, round_keys(args.noise.seed),
                  rows_aligned<T>(elements, args.out));
  });
}

}  // namespace cuda
}  // namespace stic
