// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT
#include "watch.h"

#include <unistd.h>

#include <csignal>
#include <cstring>

#include "fiber.h"

#if defined(STIC_ADDRESS_SANITIZER)
#include <sanitizer/common_interface_defs.h>
#endif

namespace stic::emulation {

namespace {

char running[512];

void say(const char* words) {
  const ssize_t written = write(STDOUT_FILENO, words, std::strlen(words));
  static_cast<void>(written);
}

void report(const char* what) {
  say("FAILED ");
  say(running);
  say(what);
}

void late(int) {
  report(" did not end in time\n");
  _exit(1);
}

#if !defined(STIC_ADDRESS_SANITIZER)
void crashed(int signal) {
  report(" crashed\n");
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}
#endif

void listen() {
  std::signal(SIGALRM, late);
#if defined(STIC_ADDRESS_SANITIZER)
  __sanitizer_set_death_callback([] { report(" crashed\n"); });
#else
  // On a stack of its own: what crashed may have been an overflow.
  static char stack[64 * 1024];
  stack_t place = {};
  place.ss_sp = stack;
  place.ss_size = sizeof stack;
  sigaltstack(&place, nullptr);
  struct sigaction action = {};
  action.sa_handler = crashed;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigaction(signal, &action, nullptr);
#endif
}

}  // namespace

void watch(const std::string& name, int seconds) {
  static const bool listening = (listen(), true);
  static_cast<void>(listening);
  std::strncpy(running, name.c_str(), sizeof running - 1);
  alarm(static_cast<unsigned>(seconds));
}

}  // namespace stic::emulation
