#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
#
# Checks on a machine with an NVIDIA GPU what no other machine can, the most valuable first, in a few minutes:
#
#   tools/gpu_check.sh --plan                       prints the steps, in order, with the time limit of each
#   tools/gpu_check.sh --prepare                    compiles all that is needed, where there is nvcc and no GPU
#   tools/gpu_check.sh                              runs the steps
#   tools/gpu_check.sh --first                      runs those that tell most
#   tools/gpu_check.sh --only tests,grmala_step     runs these, in the plan's order
#   tools/gpu_check.sh --only suites                measures all suites of the benchmarks, which takes half an hour
#
# A step that fails or runs out of time stops none that follows; the exit code is 0 if none has. After each step OUT
# holds what is known so far: summary.txt, steps.json, the rows of each step that measures, and gpu_check.tar.gz with
# all of it, logs included; so an interrupted run leaves what it has. It needs no network: PyTorch, pip,
# scikit-build-core, pybind11, pytest and nvcc are taken as they are found. Settings are environment variables:
#
#   OUT      folder for results (gpu_check_results)
#   WORK     folder for what is built (build/gpu_check); carry it to the machine with the GPU after --prepare
#   PYTHON   interpreter, 3.11 or later (python3); to prepare, of the version that the machine with the GPU has
#   ARCH     compute capability to prepare for, without the point (90)
#   NAME     of the machine in the report (the GPU's)
#   SUITES   of the benchmarks, in this order (all, those with targets first)
#   LIMIT    seconds for every step, in place of the plan's
set -uo pipefail
SELF=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$(basename "${BASH_SOURCE[0]}")
cd "$(dirname "$SELF")/.." || exit

STEPS=(build info native tests grmala_step gram_loss chain page memcheck racecheck ncu)
FIRST=(build info tests grmala_step gram_loss chain page)
APART=(suites)
declare -A LIMITS=([build]=90 [info]=15 [native]=30 [tests]=90 [grmala_step]=25 [gram_loss]=60 [chain]=60 [page]=10
  [memcheck]=30 [racecheck]=20 [ncu]=20 [suites]=1800)
declare -A PURPOSES=(
  [build]="the package and the native programs for this GPU, as far as they are not prepared"
  [info]="import stic_fast and what stic-fast info says"
  [native]="the programs of tests/cpp"
  [tests]="pytest tests/cuda"
  [grmala_step]="256x3x224x224 against a copy of as many bytes"
  [gram_loss]="the paper's 8 layers against eager PyTorch and torch.compile"
  [chain]="a step of GRMALA on WRN-28-10 against JEM's loop"
  [page]="what has been measured as a page, with the targets"
  [memcheck]="the programs of tests/cpp under compute-sanitizer"
  [racecheck]="the program of gram_loss under compute-sanitizer"
  [ncu]="the kernels of grmala_step and gram_loss under Nsight Compute"
  [suites]="all suites of the benchmarks"
)
export OUT=${OUT:-gpu_check_results} WORK=${WORK:-build/gpu_check} PYTHON=${PYTHON:-python3}
SUITES=${SUITES:-ceilings grmala_step gram_loss grmala_chain noise metropolis_accept scaled_silu vrm_batch gram scaling}
SKIPPED=77
TIMED_OUT=124
KILLED=137

fail() {
  echo "gpu_check: $1" >&2
  exit 2
}

limit_of() { echo "${LIMIT:-${LIMITS[$1]}}"; }

plan() {
  local step sum=0
  for step in "$@"; do
    printf '%-12s %5d s  %s\n' "$step" "$(limit_of "$step")" "${PURPOSES[$step]}"
    sum=$((sum + $(limit_of "$step")))
  done
  printf '%-12s %5d s\n' "at most" $sum
}

# -- what the steps share -------------------------------------------------------------------------------------------

# -P: the checkout's stic_fast, which has no native module, must not hide the built one; it comes last on the path.
python() { PYTHONPATH="$WORK/site:$PWD${PYTHONPATH:+:$PYTHONPATH}" "$PYTHON" -P "$@"; }

find_nvcc() {
  nvcc=$(command -v nvcc || echo "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc")
  [ -x "$nvcc" ] || { echo "nvcc is neither on the PATH nor in CUDA_HOME; install the CUDA toolkit" && return 1; }
}

# A digest of the files given and of what they are built for.
digest() {
  local target=$1
  shift
  {
    echo "$target"
    find "$@" -type f -not -name '*.so' -not -name '*.pyc' | LC_ALL=C sort | tr '\n' '\0' | xargs -0 sha256sum
  } | sha256sum
}

digest_of_site() {
  local version
  version=$("$PYTHON" -c 'import sys; print(sys.implementation.cache_tag)')
  digest "$ARCH $version" CMakeLists.txt pyproject.toml csrc
}

digest_of_programs() { digest "$ARCH" csrc/core csrc/cuda tests/cpp; }

# Whether what has this name in WORK is of this digest, and runs here.
is_prepared() {
  local name=$1 wanted=$2
  shift 2
  [ "$(cat "$WORK/$name.digest" 2>/dev/null)" = "$wanted" ] && "$@" >/dev/null && echo "$name: as prepared"
}

# Compiles the package into WORK/site, unless it is there.
build_site() {
  local wanted
  wanted=$(digest_of_site)
  if is_prepared site "$wanted" env PYTHONPATH="$WORK/site/stic_fast" "$PYTHON" -P -c 'import _native'; then
    tar -cf - --exclude='*.so' --exclude=__pycache__ stic_fast | tar -xf - -C "$WORK/site" # as they are by now
    return
  fi
  rm -rf "$WORK/site" "$WORK/site.digest"
  CUDACXX=$nvcc STIC_CUDA=ON "$PYTHON" -m pip install --disable-pip-version-check --no-index --no-build-isolation \
    --no-deps --target "$WORK/site" --config-settings=cmake.define.CMAKE_CUDA_ARCHITECTURES="$ARCH-real" . || return
  echo "$wanted" >"$WORK/site.digest"
}

# Compiles the native programs, all at once, unless they are there.
build_programs() {
  local source wanted status=0 compilers=()
  wanted=$(digest_of_programs)
  chmod -f +x "$WORK"/native/*
  is_prepared native "$wanted" "$WORK/native/noise_cases" --list && return
  rm -rf "$WORK/native" "$WORK/native.digest"
  mkdir -p "$WORK/native" || return
  for source in tests/cpp/*_cases.cpp; do
    "$nvcc" -std=c++17 -O2 -lineinfo "-arch=sm_$ARCH" -fmad=false -I tests/cpp -x cu "$source" \
      -Xlinker=--strip-all -o "$WORK/native/$(basename "$source" .cpp)" &
    compilers+=($!)
  done
  for compiler in "${compilers[@]}"; do
    wait "$compiler" || status=1
  done
  [ $status = 0 ] || { echo "some programs do not compile" && return 1; }
  echo "$wanted" >"$WORK/native.digest"
}

# Runs programs after the words given, a checker or nothing, up to "--".
run_programs() {
  local words=() program passed=0
  while [ "$1" != -- ]; do words+=("$1") && shift; done
  shift
  for program in "$@"; do
    echo "-- ${words[*]:+${words[*]} }$(basename "$program")"
    [ -x "$program" ] && ${words[@]+"${words[@]}"} "$program" && passed=$((passed + 1))
  done
  echo "$passed of $# programs passed"
  [ $passed = $# ]
}

# compute-sanitizer with the tool given, on the programs that follow it.
checked() {
  local tool=$1 checker status=0
  shift
  find_nvcc >/dev/null
  checker=$(command -v compute-sanitizer || echo "$(dirname "$nvcc")/compute-sanitizer")
  [ -x "$checker" ] || { echo "compute-sanitizer is not there: nothing was checked" && return $SKIPPED; }
  # Launches that must be refused are part of the programs, hence no report of the calls' own errors.
  run_programs "$checker" --tool "$tool" --report-api-errors no --error-exitcode 9 -- "$@" || status=1
  if refused "Device not supported"; then
    echo "compute-sanitizer does not know this device: nothing was checked"
    return $SKIPPED
  fi
  return $status
}

# Whether the step's own log holds these words.
refused() { grep -q -E "$1" "${STEP_LOG:-/dev/null}"; }

measured() { python -m benchmarks.gpu_first "$1" --json "$RESULTS/$1.json"; }

# -- the steps ------------------------------------------------------------------------------------------------------

step_build() {
  local status=0 site
  find_nvcc || nvcc=
  build_site &
  site=$!
  build_programs || status=1
  wait $site || status=1
  return $status
}

step_info() {
  python -c 'from stic_fast.cli.info import Info; Info().execute()
from stic_fast.ops.library import has_cuda_kernels
if not has_cuda_kernels(0): raise SystemExit("the CUDA kernels cannot run on this device")'
}

step_native() { run_programs -- "$WORK"/native/*_cases; }

step_tests() {
  # Other plugins that are installed, and what they warn of, are no part of these tests.
  PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 python -m pytest tests/cuda -m cuda -q --tb=short -p no:cacheprovider \
    "--junit-xml=$RESULTS/tests.xml"
}

step_grmala_step() { measured grmala_step; }

step_gram_loss() { measured gram_loss; }

step_chain() { measured chain; }

step_page() {
  local rows
  rows=$(find "$RESULTS" -name '*.json' -not -name steps.json -not -name "$NAME.json" -size +0 | LC_ALL=C sort)
  [ -n "$rows" ] || { echo "nothing has been measured" && return $SKIPPED; }
  tr '\n' '\0' <<<"$rows" | xargs -0 "$PYTHON" -m benchmarks.report --machine "$NAME" --out "$RESULTS" || return
  sed -n '/^## Targets/,/^## Ops/{/^## Ops/!p}' "$RESULTS/$NAME.md"
}

step_memcheck() { checked memcheck "$WORK"/native/*_cases; }

step_racecheck() { checked racecheck "$WORK/native/gram_loss_cases"; }

step_ncu() {
  local profiler status=0
  find_nvcc >/dev/null
  profiler=$(command -v ncu || echo "$(dirname "$nvcc")/ncu")
  [ -x "$profiler" ] || { echo "ncu is not there: nothing was profiled" && return $SKIPPED; }
  PYTHONPATH="$WORK/site:$PWD" "$profiler" --clock-control none --kernel-name-base demangled --kernel-name regex:stic \
    --section SpeedOfLight --section Occupancy --section MemoryWorkloadAnalysis --csv --log-file "$RESULTS/ncu.csv" \
    "$PYTHON" -P -m benchmarks.gpu_first grmala_step gram_loss --once || status=1
  [ ! -s "$RESULTS/ncu.csv" ] || grep -E '^==' "$RESULTS/ncu.csv"
  if refused "LibraryNotLoaded|ERR_NVGPUCTRPERM"; then
    echo "ncu cannot read this device's counters"
    return $SKIPPED
  fi
  return $status
}

step_suites() {
  local suite status=0
  for suite in $SUITES; do # each in its own process: what one breaks on the device does not reach the next
    python -m pytest "benchmarks/test_$suite.py" --device cuda -q -p no:cacheprovider \
      "--benchmark-json=$RESULTS/suite_$suite.json" || status=1
    step_page && publish || status=1
  done
  return $status
}

# -- running them ---------------------------------------------------------------------------------------------------

escaped() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  tr -d '\000-\037' <<<"$text"
}

# Copies what is known so far to OUT, the archive last.
publish() {
  local file
  for file in summary.txt steps.json grmala_step.json gram_loss.json chain.json "$NAME.md"; do
    [ ! -s "$RESULTS/$file" ] || cp "$RESULTS/$file" "$OUT/$file"
  done
  tar -czf "$OUT/gpu_check.tar.gz.partial" -C "$(dirname "$RESULTS")" "$(basename "$RESULTS")" &&
    mv "$OUT/gpu_check.tar.gz.partial" "$OUT/gpu_check.tar.gz"
}

records=()

# A step's outcome, seconds and limit, and the last line of its log.
record() {
  local step=$1 outcome=$2 seconds=$3 detail
  detail=$(grep -v '^[[:space:]]*$' "$RESULTS/$step.log" | tail -n 1 | cut -c 1-200)
  records+=("{\"step\": \"$step\", \"outcome\": \"$outcome\", \"seconds\": $seconds, \"limit\": $(limit_of "$step"), \
\"detail\": \"$(escaped "$detail")\"}")
  printf '%-12s %5d of %4d s  %s: %s\n' "$step" "$seconds" "$(limit_of "$step")" "$outcome" "$detail" \
    >>"$RESULTS/summary.txt"
  {
    printf '{"gpu": "%s", "arch": "%s", "torch": "%s", "commit": "%s", "steps": [\n' \
      "$(escaped "$gpu")" "$ARCH" "$torch" "$commit"
    local IFS=$'\n'
    sed '$!s/$/,/' <<<"${records[*]}"
    printf ']}\n'
  } >"$RESULTS/steps.json"
  publish
}

interrupted() {
  trap '' INT TERM HUP
  kill -INT "$running" 2>/dev/null
  wait "$running"
  record "$step" interrupted $((SECONDS - begin))
  exit 130
}

run_steps() {
  local failed=0 status outcome
  for step in "$@"; do
    echo "== $step, at most $(limit_of "$step") s"
    begin=$SECONDS
    export STEP_LOG=$RESULTS/$step.log
    timeout -s INT -k 5 "$(limit_of "$step")" bash "$SELF" --step "$step" >"$STEP_LOG" 2>&1 &
    running=$!
    trap interrupted INT TERM HUP
    wait $running
    status=$?
    trap - INT TERM HUP
    cat "$STEP_LOG"
    case $status in
      0) outcome="passed" ;;
      "$SKIPPED") outcome="not run" ;;
      "$TIMED_OUT" | "$KILLED") outcome="timed out" failed=1 ;;
      *) outcome="failed" failed=1 ;;
    esac
    record "$step" "$outcome" $((SECONDS - begin))
  done
  echo "== summary"
  cat "$RESULTS/summary.txt"
  return $failed
}

# Refuses steps that there are none of, and puts the others in the plan's order.
chosen_of() {
  local step wanted=" ${1//,/ } "
  for step in $wanted; do
    [[ " ${STEPS[*]} ${APART[*]} " == *" $step "* ]] ||
      fail "there is no step '$step'; choose from: ${STEPS[*]} ${APART[*]}"
  done
  chosen=()
  for step in "${STEPS[@]}" "${APART[@]}"; do
    [[ $wanted != *" $step "* ]] || chosen+=("$step")
  done
  [ ${#chosen[@]} -gt 0 ] || fail "--only names no step; choose from: ${STEPS[*]} ${APART[*]}"
}

chosen=("${STEPS[@]}") action=run
while [ $# -gt 0 ]; do
  case $1 in
    --plan) action=plan ;;
    --prepare) action=prepare ;;
    --first) chosen=("${FIRST[@]}") ;;
    --only) [ $# -gt 1 ] || fail "--only needs steps, such as --only tests,chain" && shift && chosen_of "$1" ;;
    --step) "step_$2" && exit || exit ;; # how this script calls itself
    --help | -h) sed -n '5,/^set/{/^set/!s/^# \{0,1\}//p}' "$SELF" && exit ;;
    *) fail "there is no option '$1'; see --help" ;;
  esac
  shift
done
[ $action != plan ] || { plan "${chosen[@]}" && exit; }

mkdir -p "$WORK" || fail "cannot make the folder $WORK; set WORK"
WORK=$(cd "$WORK" && pwd)
if [ $action = prepare ]; then
  export ARCH=${ARCH:-90}
  find_nvcc || exit
  step_build || fail "not all could be compiled"
  echo "prepared for sm_$ARCH and $("$PYTHON" --version): $(du -sh "$WORK" | cut -f 1) in $WORK"
  exit
fi

found=$("$PYTHON" -c 'import torch
torch.cuda.is_available() or exit(3)
print("%d%d" % torch.cuda.get_device_capability(), torch.__version__, torch.cuda.get_device_name())' 2>/dev/null)
case $? in
  0) read -r ARCH torch gpu <<<"$found" ;;
  3) fail "PyTorch finds no CUDA device; run this on a machine with an NVIDIA GPU and its driver" ;;
  *) fail "$PYTHON cannot import torch; set PYTHON to an interpreter with PyTorch" ;;
esac
export ARCH
NAME=${NAME:-$(tr -cs '[:alnum:]' - <<<"${gpu,,}" | sed 's/-*$//')}
commit=$(git rev-parse --short HEAD 2>/dev/null)
export NAME RESULTS="$WORK/results"
mkdir -p "$OUT" || fail "cannot make the folder $OUT; set OUT"
OUT=$(cd "$OUT" && pwd)
rm -rf "$RESULTS" && mkdir -p "$RESULTS" || fail "cannot make the folder $RESULTS; set WORK"
{
  echo "$gpu, compute capability ${ARCH%?}.${ARCH: -1}, PyTorch $torch"
  [ -z "$commit" ] || echo "commit $commit"
} | tee "$RESULTS/summary.txt"
run_steps "${chosen[@]}"
