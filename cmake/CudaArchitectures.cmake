# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT

# Of compute capabilities 8.0, 9.0 and 10.0, in the form of CMAKE_CUDA_ARCHITECTURES, those that a compiler lists: machine
# code for each, and of the last one PTX too, which drivers translate for what is newer. 10.0 takes CUDA 12.8. A
# compiler that lists nothing is given 8.0 alone; one that knows none of them leaves the variable empty.
function(stic_cuda_architectures variable compiler)
  set(chosen "")
  execute_process(COMMAND "${compiler}" --list-gpu-arch OUTPUT_VARIABLE listed ERROR_QUIET RESULT_VARIABLE failure)
  if(failure)
    set(listed compute_80)
  endif()
  foreach(capability 80 90 100)
    if(listed MATCHES "compute_${capability}([^0-9]|$)")
      list(APPEND chosen ${capability})
    endif()
  endforeach()
  if(chosen)
    list(POP_BACK chosen last)
    list(TRANSFORM chosen APPEND "-real")
    list(APPEND chosen ${last})
  endif()
  set(${variable} "${chosen}" PARENT_SCOPE)
endfunction()
