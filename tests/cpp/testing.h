// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// A test program of kernels: it names its combinations of shape, precision and options, and each is run several times
// under different conditions that must not matter, on an emulated device or a real one.
//
//     #include "../../csrc/cuda/scale.cu"
//     #include "testing.h"
//
//     using namespace stic::testing;
//
//     static void scale_cases(Suite& suite) {
//       for (int64_t count : {1, 31, 4096})
//         for_each_storage_type([&](auto type) {
//           using T = typename decltype(type)::type;
//           suite.add(text("scale ", type_name<T>(), " ", count), [=](Trial& trial) {
//             const std::vector<T> values = uniform_values<T>(count, -1, 1, 42);
//             auto x = trial.input(values), out = trial.output<T>(count);
//             trial.launch(stic::cuda::scale({x.data(), out.data(), count}, nullptr));
//             trial.expect_close("out", out, [&] { return reference(values); }, {0, rounding<T>()});
//           });
//         });
//     }
//     STIC_TEST_PROGRAM(scale_cases)
#pragma once

#include "suite.h"
#include "trial.h"
#include "values.h"

#define STIC_TEST_PROGRAM(add_cases) \
  int main(int count, char** words) { return stic::testing::run_program(add_cases, count, words); }
