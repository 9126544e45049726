#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
#
# Checks on a machine with an NVIDIA GPU what no other machine can: tools/gpu_check.sh [PART ...]
#
#   build        installs the package with its CUDA kernels, for this GPU, into a folder of its own
#   tests        pytest -m cuda
#   native       the programs of tests/cpp, compiled for the GPU
#   sanitize     the same under compute-sanitizer: memcheck, then racecheck
#   benchmarks   the suites on the GPU, its copy bandwidth and matrix rates among them, and the report on them
#
# Without a PART, all of them in this order. Each is tried whatever became of those before; the exit code is 0 if none
# has failed. It needs no network: PyTorch, pip, scikit-build-core, pybind11, pytest, pytest-benchmark and nvcc are
# taken as they are found. Settings are environment variables:
#
#   OUT      folder for logs, tables and JSON (gpu_check_results)
#   WORK     folder for what is built (build/gpu_check); keep it to run single parts later
#   PYTHON   interpreter, 3.11 or later (python3)
#   NAME     of the machine in the report (the GPU's)
#   SUITES   of the benchmarks, in this order (all, those with targets first)
#   LIMIT    seconds for any one command (900)
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

PYTHON=${PYTHON:-python3}
OUT=${OUT:-gpu_check_results}
WORK=${WORK:-build/gpu_check}
LIMIT=${LIMIT:-900}
SUITES=${SUITES:-ceilings grmala_step gram_loss grmala_chain noise metropolis_accept vrm_batch gram scaling}
PARTS=(build tests native sanitize benchmarks)
SKIPPED=77

fail() {
  echo "gpu_check: $1" >&2
  exit 2
}

chosen=("$@")
[ $# -gt 0 ] || chosen=("${PARTS[@]}")
for part in "${chosen[@]}"; do
  [[ " ${PARTS[*]} " == *" $part "* ]] || fail "there is no part '$part'; choose from: ${PARTS[*]}"
done
"$PYTHON" -c 'import torch' 2>/dev/null || fail "$PYTHON cannot import torch; set PYTHON to an interpreter with PyTorch"
gpu=$("$PYTHON" -c 'import torch; print("%d%d" % torch.cuda.get_device_capability(), torch.cuda.get_device_name())' \
  2>/dev/null) || fail "PyTorch finds no CUDA device; run this on a machine with an NVIDIA GPU and its driver"
arch=${gpu%% *} gpu=${gpu#* }
NAME=${NAME:-$(tr -cs '[:alnum:]' - <<<"${gpu,,}" | sed 's/-*$//')}

mkdir -p "$OUT" "$WORK/native" "$WORK/benchmarks" || fail "cannot make the folders $OUT and $WORK; set OUT and WORK"
OUT=$(cd "$OUT" && pwd) WORK=$(cd "$WORK" && pwd)
nvcc=$(command -v nvcc || echo "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc")
export PYTHONPATH="$WORK/site${PYTHONPATH:+:$PYTHONPATH}"

# -P: the checkout's stic_fast, which has no native module, must not hide the built one.
python() { timeout "$LIMIT" "$PYTHON" -P "$@"; }

installed() {
  python -c 'import stic_fast' || { echo "stic_fast is not built in $WORK; run the part build first" && false; }
}

build() {
  [ -x "$nvcc" ] || { echo "nvcc is neither on the PATH nor in CUDA_HOME; install the CUDA toolkit" && return 1; }
  CUDACXX=$nvcc STIC_CUDA=ON python -m pip install --disable-pip-version-check --no-index --no-build-isolation --no-deps \
    --upgrade --target "$WORK/site" --config-settings=cmake.define.CMAKE_CUDA_ARCHITECTURES="$arch-real" . || return
  (cd / && python -c 'from stic_fast.native import kernels; print(kernels.build_info())')
}

tests() {
  installed && python -m pytest tests/cuda -m cuda -q -p no:cacheprovider
}

# The programs that compile, each once; what does not is said.
compiled_programs() {
  local source program compilers=() status=0
  for source in tests/cpp/*_cases.cpp; do
    program=$WORK/native/$(basename "$source" .cpp)
    [ "$program" -nt "$source" ] && [ -z "$(find csrc tests/cpp -newer "$program" -type f)" ] && continue
    rm -f "$program"
    timeout "$LIMIT" "$nvcc" -std=c++17 -O2 -lineinfo "-arch=sm_$arch" -fmad=false -I tests/cpp -x cu "$source" \
      -o "$program" &
    compilers+=($!)
  done
  for compiler in ${compilers[@]+"${compilers[@]}"}; do
    wait "$compiler" || status=1
  done
  [ $status = 0 ] || echo "some programs do not compile"
  return $status
}

# Runs every program after the words given, a checker or nothing.
run_programs() {
  local program status=0
  for program in "$WORK"/native/*_cases; do
    echo "-- ${*:+$* }$(basename "$program")"
    timeout "$LIMIT" "$@" "$program" && continue
    [ $? = 124 ] && echo "took more than $LIMIT s"
    status=1
  done
  return $status
}

native() {
  local status=0
  compiled_programs || status=1
  run_programs || status=1
  return $status
}

sanitize() {
  local checker status=0
  checker=$(command -v compute-sanitizer || echo "$(dirname "$nvcc")/compute-sanitizer")
  [ -x "$checker" ] || { echo "compute-sanitizer is not there: nothing was checked" && return $SKIPPED; }
  compiled_programs || status=1
  for tool in memcheck racecheck; do
    # Launches that must be refused are part of the programs, hence no report of the calls' own errors.
    run_programs "$checker" --tool "$tool" --report-api-errors no --error-exitcode 9 || status=1
  done
  return $status
}

benchmarks() {
  local suite results=() status=0
  installed || return
  rm -f "$WORK"/benchmarks/*.json
  for suite in $SUITES; do # each in its own process: what one breaks on the device does not reach the next
    python -m pytest "benchmarks/test_$suite.py" --device cuda -q -p no:cacheprovider \
      "--benchmark-json=$WORK/benchmarks/$suite.json" || status=1
    [ -s "$WORK/benchmarks/$suite.json" ] && results+=("$WORK/benchmarks/$suite.json")
  done
  [ ${#results[@]} -gt 0 ] || return 1
  "$PYTHON" -m benchmarks.report "${results[@]}" --machine "$NAME" --out "$OUT" || return
  sed -n '/^## Targets/,/^## Ops/{/^## Ops/!p}' "$OUT/$NAME.md"
  return $status
}

failed=0
{
  echo "$gpu, compute capability ${arch%?}.${arch: -1}, $("$PYTHON" -c 'import torch; print("PyTorch", torch.__version__)')"
  git rev-parse --short HEAD 2>/dev/null | sed 's/^/commit /'
} | tee "$OUT/summary.txt"
for part in "${chosen[@]}"; do
  echo "== $part"
  begin=$SECONDS
  "$part" 2>&1 | tee "$OUT/$part.log"
  case ${PIPESTATUS[0]} in
    0) outcome="passed" ;;
    "$SKIPPED") outcome="not run: $(tail -n 1 "$OUT/$part.log")" ;;
    *) outcome="FAILED, see $part.log" failed=1 ;;
  esac
  printf '%-12s %5d s  %s\n' "$part" $((SECONDS - begin)) "$outcome" >>"$OUT/summary.txt"
done
echo "== summary"
cat "$OUT/summary.txt"
exit $failed
