// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Chooses the kernels of the widest instruction set that this processor has, or the one the user asks for.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace stic {

// The instruction sets compiled in that this processor can run, widest first.
std::vector<const KernelTable*> runnable_tables();

// The widest, or the one called `wanted` unless that is empty; throws std::invalid_argument if it cannot run.
const KernelTable& choose_table(const std::string& wanted);

}  // namespace stic
