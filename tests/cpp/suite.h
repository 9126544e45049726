// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

// The combinations of a test program and its main(): options, runs, reports, exit code.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "trial.h"

namespace stic::testing {

struct Combination {
  std::string name;
  std::function<void(Trial&)> body;
};

class Suite {
 public:
  void add(std::string name, std::function<void(Trial&)> body) { all_.push_back({std::move(name), std::move(body)}); }
  const std::vector<Combination>& all() const { return all_; }

 private:
  std::vector<Combination> all_;
};

struct Options {
  std::string filter;  // only combinations whose name holds this text
  int runs = 2;        // of each combination
  int seconds = 120;   // for each combination, under the emulation
  bool list = false;
  bool first = false;  // stop at the first failure
};

inline Options parsed(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const char* value = i + 1 < count ? words[i + 1] : "";
    if (word == "--list" || word == "--first") {
      (word == "--list" ? options.list : options.first) = true;
      continue;
    }
    if (word == "--filter" && *value)
      options.filter = value;
    else if (word == "--runs" && std::atoi(value) >= 2)
      options.runs = std::atoi(value);
    else if (word == "--seconds" && std::atoi(value) >= 1)
      options.seconds = std::atoi(value);
    else if (word != "--sums" || !backend::choose_sums(value)) {
      std::fprintf(stderr, "usage: %s [--list] [--first] [--filter TEXT] [--runs N, at least 2] [--seconds N]%s\n",
                   words[0], backend::kMoreOptions);
      std::exit(2);
    }
    ++i;
  }
  return options;
}

// Runs one combination under every condition; what went wrong first, or an empty string.
inline std::string run_combination(const Combination& combination, int runs) {
  Outputs outputs;
  for (int run = 0; run < runs; ++run) {
    const std::string conditions = backend::begin_run(run);
    try {
      Trial trial(run == 0, outputs);
      combination.body(trial);
      trial.finish();
    } catch (const std::exception& failure) {
      return text("(", conditions, ") ", failure.what());
    }
  }
  return {};
}

inline int run_program(void (*add_cases)(Suite&), int count, char** words) {
  const Options options = parsed(count, words);
  Suite suite;
  add_cases(suite);
  int ran = 0, failed = 0;
  for (const Combination& combination : suite.all()) {
    if (combination.name.find(options.filter) == std::string::npos) continue;
    ++ran;
    if (options.list) {
      std::printf("%s\n", combination.name.c_str());
      continue;
    }
    backend::watch(combination.name, options.seconds);
    const std::string report = run_combination(combination, options.runs);
    if (report.empty()) continue;
    ++failed;
    std::printf("FAILED %s %s\n", combination.name.c_str(), report.c_str());
    std::fflush(stdout);
    if (options.first) break;
  }
  if (options.list) return 0;
  std::printf("%d combinations, %d failed\n", ran, failed);
  return failed > 0 || ran == 0;
}

}  // namespace stic::testing
