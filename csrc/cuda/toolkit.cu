// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// What the CUDA part of this build was made with. Device kernels are not part of it yet: on a GPU the ops run their
// PyTorch references.
#include <cuda_runtime_api.h>

namespace stic {

int cuda_toolkit_version() { return CUDART_VERSION; }

}  // namespace stic
