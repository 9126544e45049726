// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The CUDA part of the native module.
#pragma once

#include <pybind11/pybind11.h>

namespace stic {
namespace cuda {

// Of the toolkit it was built with, 1000·major + 10·minor.
int toolkit_version();

// Adds the submodule `cuda`.
void add_module(pybind11::module_& parent);

}  // namespace cuda
}  // namespace stic
