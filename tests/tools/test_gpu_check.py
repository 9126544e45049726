# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""tools/gpu_check.sh keeps to its limits of time, leaves results after every step, and refuses in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "tools" / "gpu_check.sh"
pytestmark = pytest.mark.skipif(shutil.which("bash") is None or shutil.which("timeout") is None, reason="needs bash")

MOST_SECONDS = 450
MOST_FILES = 8
STEPS = [
    "build",
    "info",
    "native",
    "tests",
    "grmala_step",
    "gram_loss",
    "chain",
    "page",
    "memcheck",
    "racecheck",
    "ncu",
]
PYTHON = """#!/bin/bash
echo "$@" >> "$CALLS"
case "$*" in
  *get_device_capability*) echo "90 2.99.0 Some GPU 80GB" ;;
  *cache_tag*) echo cpython-312 ;;
  *"import _native"*) exit ${FOREIGN:-0} ;;
  *"pip install"*) mkdir -p "$WORK/site" && exit ${BUILD:-0} ;;
  *"pytest tests/cuda"*) echo "7 passed"; exit ${TESTS:-0} ;;
  *"gpu_first gram_loss"*) for word; do :; done; echo {} > "$word"; sleep ${HANG:-0} ;;
  *--json*) for word; do :; done; echo {} > "$word"; echo "grmala_step: 1 ms" ;;
  *"pytest benchmarks/test_"*) for word; do [[ $word == --benchmark-json=* ]] && echo {} > "${word#*=}"; done ;;
  *benchmarks.report*) printf '## Targets\\n\\na "table"\\n\\n## Ops\\n' > "$RESULTS/some-gpu-80gb.md" ;;
esac
"""
NVCC = """#!/bin/bash
echo "$@" >> "$CALLS"
while [ "$1" != -o ]; do shift; done
printf '#!/bin/bash\\n[ "$1" = --list ] && exit %s\\nexit %s\\n' "${FOREIGN:-0}" "${PROGRAM:-0}" > "$2"
chmod +x "$2"
"""
CHECKER = """#!/bin/bash
echo "checker $@" >> "$CALLS"
[ -z "${REFUSED:-}" ] || { echo "Device not supported" && exit 1; }
"${@: -1}"
"""
PROFILER = """#!/bin/bash
echo "profiler $@" >> "$CALLS"
[ -z "${REFUSED:-}" ] || { echo "==ERROR== LibraryNotLoaded" && exit 1; }
"""
PROGRAMS = {path.stem for path in SCRIPT.parents[1].glob("tests/cpp/*_cases.cpp")}


@pytest.fixture
def stand_ins(tmp_path: Path) -> dict[str, str]:
    """The environment in which the script finds programs that log how they are called."""
    programs = {"python": PYTHON, "nvcc": NVCC, "compute-sanitizer": CHECKER, "ncu": PROFILER}
    for name, text in programs.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    places = {"OUT": tmp_path / "out", "WORK": tmp_path / "work", "CALLS": tmp_path / "calls"}
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHON": str(tmp_path / "bin" / "python")} | {
        name: str(place) for name, place in places.items()
    }


def check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", SCRIPT, *arguments], env=environment, capture_output=True, text=True, timeout=60)


def planned(*arguments: str, **environment: str) -> dict[str, int]:
    """Steps and their limits, as printed, where there is neither a GPU nor PyTorch."""
    finished = check(*arguments, "--plan", **{"PATH": os.environ["PATH"], "PYTHON": "nowhere", **environment})
    assert finished.returncode == 0 and finished.stderr == ""
    *steps, total = finished.stdout.splitlines()
    limits = {line.split()[0]: int(line.split()[1]) for line in steps}
    assert total.split() == ["at", "most", str(sum(limits.values())), "s"]
    return limits


def steps_of(environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    content = json.loads((Path(environment["OUT"]) / "steps.json").read_text())
    assert content["gpu"] == "Some GPU 80GB" and content["arch"] == "90"
    return {step["step"]: step for step in content["steps"]}


def outcomes(environment: dict[str, str]) -> dict[str, str]:
    found = {name: step["outcome"] for name, step in steps_of(environment).items()}
    lines = (Path(environment["OUT"]) / "summary.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines if " s  " in line] == list(found)
    return found


def archived(environment: dict[str, str]) -> set[str]:
    with tarfile.open(Path(environment["OUT"]) / "gpu_check.tar.gz") as archive:
        return {Path(name).name for name in archive.getnames()}


def calls(environment: dict[str, str]) -> str:
    return Path(environment["CALLS"]).read_text()


def test_the_plan_fits_into_a_few_minutes() -> None:
    limits = planned()
    assert list(limits) == STEPS and sum(limits.values()) <= MOST_SECONDS
    first = planned("--first")
    assert first == {name: limit for name, limit in limits.items() if name in first} and 0 < len(first) < len(limits)
    assert planned("--only", "chain,info") == {"info": limits["info"], "chain": limits["chain"]}
    assert set(planned("--only", "suites")) == {"suites"}
    assert set(planned(LIMIT="7").values()) == {7}


def test_all_steps(stand_ins: dict[str, str]) -> None:
    finished = check(**stand_ins)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert outcomes(stand_ins) == dict.fromkeys(STEPS, "passed")
    assert "Some GPU 80GB, compute capability 9.0, PyTorch 2.99.0" in finished.stdout and 'a "table"' in finished.stdout
    for expected in (
        "--no-build-isolation --no-deps",
        "CMAKE_CUDA_ARCHITECTURES=90-real",
        "pytest tests/cuda -m cuda",
        *(f"benchmarks.gpu_first {kind} --json" for kind in ("grmala_step", "gram_loss", "chain")),
        "--machine some-gpu-80gb",
        *(f"-x cu tests/cpp/{name}.cpp" for name in PROGRAMS),
        *(f"checker --tool {tool} --report-api-errors no --error-exitcode 9" for tool in ("memcheck", "racecheck")),
        "benchmarks.gpu_first grmala_step gram_loss --once",
    ):
        assert expected in calls(stand_ins), expected
    assert calls(stand_ins).count("checker --tool memcheck ") == len(PROGRAMS)
    assert calls(stand_ins).count("checker --tool racecheck ") == 1

    assert_results(stand_ins)


def assert_results(stand_ins: dict[str, str]) -> None:
    """Few files, an archive with the logs, and a line for each step."""
    out = {path.name for path in Path(stand_ins["OUT"]).iterdir()}
    rows = {"grmala_step.json", "gram_loss.json", "chain.json"}
    assert (
        out == {"summary.txt", "steps.json", "some-gpu-80gb.md", "gpu_check.tar.gz", *rows} and len(out) <= MOST_FILES
    )
    assert archived(stand_ins) >= {*rows, "summary.txt", "steps.json", *(f"{step}.log" for step in STEPS)}
    found = steps_of(stand_ins)
    assert found["tests"]["detail"] == "7 passed" and found["page"]["detail"] == 'a "table"'
    assert found["native"]["detail"] == f"{len(PROGRAMS)} of {len(PROGRAMS)} programs passed"
    assert {name: step["limit"] for name, step in found.items()} == planned()


def test_a_step_that_fails_stops_none(stand_ins: dict[str, str]) -> None:
    finished = check(**stand_ins, BUILD="1", PROGRAM="3", TESTS="1")
    assert finished.returncode == 1
    bad = {"build", "native", "tests", "memcheck", "racecheck"}
    assert outcomes(stand_ins) == {name: "failed" if name in bad else "passed" for name in STEPS}
    assert steps_of(stand_ins)["native"]["detail"] == f"0 of {len(PROGRAMS)} programs passed"


def test_a_step_that_runs_out_of_time_stops_none(stand_ins: dict[str, str]) -> None:
    begin = time.monotonic()
    finished = check("--only", "tests,gram_loss,chain", **stand_ins, HANG="50", LIMIT="1")
    assert finished.returncode == 1 and time.monotonic() - begin < 30
    assert outcomes(stand_ins) == {"tests": "passed", "gram_loss": "timed out", "chain": "passed"}
    assert (Path(stand_ins["OUT"]) / "gram_loss.json").exists(), "what it had measured is kept"


def test_an_interrupted_run_leaves_what_it_has(stand_ins: dict[str, str]) -> None:
    environment = {**stand_ins, "HANG": "50"}
    running = subprocess.Popen(["bash", SCRIPT, "--only", "tests,gram_loss,chain"], env=environment)
    rows = Path(stand_ins["WORK"]) / "results" / "gram_loss.json"
    for _ in range(500):
        if rows.exists():
            break
        time.sleep(0.02)
    assert outcomes(stand_ins) == {"tests": "passed"}, "a step's outcome is on disk before the next one ends"
    assert "tests.log" in archived(stand_ins)
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=20) == 130
    assert outcomes(stand_ins) == {"tests": "passed", "gram_loss": "interrupted"}
    assert {"gram_loss.json", "gram_loss.log", "steps.json"} <= archived(stand_ins)


def test_a_test_run_is_asked_to_stop_before_it_is_killed(stand_ins: dict[str, str], tmp_path: Path) -> None:
    """So that pytest still says what failed: the steps must not inherit a shell's ignored Ctrl-C."""
    waits = "import time\ntry: time.sleep(50)\nexcept KeyboardInterrupt: print('3 passed, stopped')\n"
    asked = f"""#!/bin/bash
case "$*" in
  *get_device_capability*) echo "90 2.99.0 Some GPU 80GB" ;;
  *"pytest tests/cuda"*) exec {sys.executable} -c "{waits}" ;;
esac
"""
    Path(stand_ins["PYTHON"]).write_text(asked)
    check("--only", "tests", **stand_ins, LIMIT="1")
    assert steps_of(stand_ins)["tests"] | {"seconds": 0} == {
        "step": "tests",
        "outcome": "timed out",
        "seconds": 0,
        "limit": 1,
        "detail": "3 passed, stopped",
    }


def test_what_this_machine_refuses_is_not_run(stand_ins: dict[str, str]) -> None:
    assert check("--only", "build,memcheck,racecheck,ncu", **stand_ins, REFUSED="1").returncode == 0
    found = steps_of(stand_ins)
    assert {found.pop("build")["outcome"]} == {"passed"}
    assert {step["outcome"] for step in found.values()} == {"not run"}
    assert found["memcheck"]["detail"] == "compute-sanitizer does not know this device: nothing was checked"
    assert found["ncu"]["detail"] == "ncu cannot read this device's counters"


def test_prepared_once_compiled_once(stand_ins: dict[str, str]) -> None:
    finished = check("--prepare", **stand_ins)
    assert finished.returncode == 0 and finished.stdout.splitlines()[-1].startswith("prepared for sm_90"), (
        finished.stderr
    )
    assert "get_device_capability" not in calls(stand_ins), "there may be no GPU"
    assert all(f"-arch=sm_90 -fmad=false -I tests/cpp -x cu tests/cpp/{n}.cpp" in calls(stand_ins) for n in PROGRAMS)
    Path(stand_ins["CALLS"]).unlink()
    check("--only", "build,native", **stand_ins)
    assert outcomes(stand_ins) == {"build": "passed", "native": "passed"}
    assert "pip install" not in calls(stand_ins) and "-x cu" not in calls(stand_ins)


def test_python_files_are_those_of_the_checkout(stand_ins: dict[str, str]) -> None:
    """To change one does not have the native module compiled anew."""
    check("--prepare", **stand_ins)
    Path(stand_ins["CALLS"]).unlink()
    site = Path(stand_ins["WORK"]) / "site" / "stic_fast"
    site.mkdir()
    (site / "pixels.py").write_text("old")
    check("--only", "build", **stand_ins)
    assert "pip install" not in calls(stand_ins)
    assert (site / "pixels.py").read_text() == (SCRIPT.parents[1] / "stic_fast" / "pixels.py").read_text()
    assert not list(site.glob("*.so"))


def test_what_was_prepared_but_does_not_run_here_is_compiled_anew(stand_ins: dict[str, str]) -> None:
    """Built on a machine with other system libraries, say."""
    check("--prepare", **stand_ins, FOREIGN="1")
    Path(stand_ins["CALLS"]).unlink()
    check("--only", "build", **stand_ins, FOREIGN="1")
    assert "pip install" in calls(stand_ins) and "-x cu" in calls(stand_ins)


def test_a_program_that_lost_its_permission_on_the_way(stand_ins: dict[str, str]) -> None:
    check("--prepare", **stand_ins)
    for program in (Path(stand_ins["WORK"]) / "native").iterdir():
        program.chmod(0o644)
    assert check("--only", "build,native", **stand_ins).returncode == 0


def test_prepared_for_another_gpu_is_compiled_anew(stand_ins: dict[str, str]) -> None:
    check("--prepare", **stand_ins, ARCH="100")
    assert "CMAKE_CUDA_ARCHITECTURES=100-real" in calls(stand_ins)
    check("--only", "build", **stand_ins)
    assert "CMAKE_CUDA_ARCHITECTURES=90-real" in calls(stand_ins) and "-arch=sm_90" in calls(stand_ins)


def test_what_does_not_compile_is_not_prepared(stand_ins: dict[str, str]) -> None:
    finished = check("--prepare", **stand_ins, BUILD="1")
    assert finished.returncode == 2 and finished.stderr == "gpu_check: not all could be compiled\n"
    Path(stand_ins["CALLS"]).unlink()
    assert check("--prepare", **stand_ins).returncode == 0
    assert "pip install" in calls(stand_ins) and "-x cu" not in calls(stand_ins), "only what is missing"


def test_all_suites(stand_ins: dict[str, str]) -> None:
    assert check("--only", "suites", **stand_ins, SUITES="ceilings noise").returncode == 0
    assert outcomes(stand_ins) == {"suites": "passed"}
    assert "test_ceilings.py --device cuda" in calls(stand_ins) and "test_grmala_step.py" not in calls(stand_ins)
    assert {"suite_ceilings.json", "suite_noise.json"} <= archived(stand_ins)
    assert (Path(stand_ins["OUT"]) / "some-gpu-80gb.md").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only", "tets"], f"there is no step 'tets'; choose from: {' '.join(STEPS)} suites"),
        (["--only"], "--only needs steps, such as --only tests,chain"),
        (["--only", ""], f"--only names no step; choose from: {' '.join(STEPS)} suites"),
        (["tests"], "there is no option 'tests'; see --help"),
    ],
)
def test_bad_arguments(stand_ins: dict[str, str], arguments: list[str], sentence: str) -> None:
    finished = check(*arguments, **stand_ins)
    assert finished.returncode == 2 and finished.stderr == f"gpu_check: {sentence}\n"
    assert not Path(stand_ins["OUT"]).exists()


def test_help_names_every_option() -> None:
    finished = check("--help", **os.environ)
    assert finished.returncode == 0
    assert all(option in finished.stdout for option in ("--plan", "--prepare", "--first", "--only", "OUT", "LIMIT"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_one_sentence_where_there_is_no_gpu(tmp_path: Path) -> None:
    places = {"OUT": str(tmp_path / "out"), "WORK": str(tmp_path / "work")}
    finished = check(**{**os.environ, "PYTHON": sys.executable, **places})
    assert finished.returncode == 2 and finished.stdout == "" and not (tmp_path / "out").exists()
    assert finished.stderr == (
        "gpu_check: PyTorch finds no CUDA device; run this on a machine with an NVIDIA GPU and its driver\n"
    )
