// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Keeps the name of what runs, so that a crash or a program that never ends says where.
#pragma once

#include <string>

namespace stic::emulation {

// From now on `name` runs, for at most so many seconds.
void watch(const std::string& name, int seconds);

}  // namespace stic::emulation
