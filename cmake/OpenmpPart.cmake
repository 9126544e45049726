# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT

# Decides whether kernels run on several threads. Sets OpenMP_CXX_FOUND, and openmp_reason, why not, which `stic-fast
# info` prints. On macOS libomp ends the process as soon as a second copy of it starts beside the one in PyTorch, and a
# wheel cannot link to that one: there, kernels run on one thread.
set(openmp_reason "")
if(APPLE)
  set(openmp_reason "left out on macOS, where a second OpenMP runtime beside PyTorch's ends the process")
else()
  find_package(OpenMP COMPONENTS CXX)
  if(NOT OpenMP_CXX_FOUND)
    set(openmp_reason "the compiler had none when it was built (Clang's is the package libomp)")
  endif()
endif()
