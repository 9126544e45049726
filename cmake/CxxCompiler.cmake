# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT

# Refuses a C++ compiler that cannot compile the kernels, in one sentence that names the way out.
if(MSVC)
  message(FATAL_ERROR "stic_fast cannot be built with MSVC, which lacks the vectors of GCC and Clang that its kernels "
                      "are written in; on Windows install and use it under WSL.")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 9)
  message(FATAL_ERROR "stic_fast needs GCC 9 or newer or Clang, and this is GCC ${CMAKE_CXX_COMPILER_VERSION}; "
                      "install a newer one and name it in CXX, as in CXX=g++-12.")
endif()
