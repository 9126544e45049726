// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// Whether launches of many threads let each kernel have a device's shared memory once, all of it. For a host alone.
#include <cstdio>
#include <thread>
#include <vector>

#include "../../csrc/cuda/device.cuh"

static void one(int) {}
static void other(int) {}

static int failures = 0;
static void expect(const char* what, int got, int wanted) {
  if (got == wanted) return;
  std::printf("FAILED %s: %d, wanted %d\n", what, got, wanted);
  ++failures;
}

static cudaError_t start(void (*kernel)(int), size_t shared) {
  stic::Launch shape;
  shape.shared = shared;
  return stic::launch(kernel, shape, 1);
}

int main() {
  for (const size_t shared : {0, 1000, 48 * 1024}) start(one, shared);
  expect("attributes set for launches that need not ask", recorded::settings, 0);

  recorded::refusals = 1;
  expect("a refusal is passed on", start(one, 100000), cudaErrorInvalidValue);
  expect("launches so far", recorded::launches, 3);

  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread)
    threads.emplace_back([thread] {
      recorded::device = thread % 2;
      for (int i = 0; i < 100; ++i)
        for (const auto kernel : {one, other}) start(kernel, static_cast<size_t>(50000 + 100 * i + thread));
    });
  for (std::thread& thread : threads) thread.join();
  expect("launches", recorded::launches, 3 + 8 * 100 * 2);
  expect("attributes set, of two kernels on two devices", recorded::settings, 4);
  expect("attributes other than the device's limit", recorded::wrong_settings, 0);
  std::puts(failures ? "failed" : "as it should be");
  return failures;
}
