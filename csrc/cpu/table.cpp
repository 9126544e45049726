// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The kernel table of the instruction set this file is compiled for.
#include "kernel_loops.h"

#define STIC_STRING_(name) #name
#define STIC_STRING(name) STIC_STRING_(name)

namespace stic {
namespace STIC_ISA {

extern const KernelTable table;
const KernelTable table = {STIC_STRING(STIC_ISA), noise_fill,  grmala_step,          gram_loss, gram_loss_gradient,
                           metropolis_accept,     scaled_silu, scaled_silu_backward, vrm_batch};

}  // namespace STIC_ISA
}  // namespace stic
