// SPDX-FileCopyrightText: 2026 The stic_fast authors
// SPDX-License-Identifier: MIT

#include "dispatch.h"

#include <stdexcept>

namespace stic {

#if defined(STIC_HAVE_AVX512)
namespace avx512 {
extern const KernelTable table;
}
#endif
#if defined(STIC_HAVE_AVX2)
namespace avx2 {
extern const KernelTable table;
}
#endif
namespace baseline {
extern const KernelTable table;
}

std::vector<const KernelTable*> runnable_tables() {
  std::vector<const KernelTable*> tables;
#if defined(STIC_HAVE_AVX512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    tables.push_back(&avx512::table);
#endif
#if defined(STIC_HAVE_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) tables.push_back(&avx2::table);
#endif
  tables.push_back(&baseline::table);
  return tables;
}

const KernelTable& choose_table(const std::string& wanted) {
  const auto tables = runnable_tables();
  if (wanted.empty()) return *tables.front();
  std::string names;
  for (const KernelTable* table : tables) {
    if (wanted == table->isa) return *table;
    names += (names.empty() ? "" : ", ") + std::string(table->isa);
  }
  throw std::invalid_argument("STIC_FAST_ISA='" + wanted + "' cannot run here; choose one of " + names +
                              " or leave it unset");
}

}  // namespace stic
