# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""tools/gpu_check.sh refuses in one sentence what it cannot do, and tries every part whatever becomes of the others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "tools" / "gpu_check.sh"
pytestmark = pytest.mark.skipif(shutil.which("bash") is None or shutil.which("timeout") is None, reason="needs bash")

PYTHON = """#!/bin/bash
echo "$@" >> "$CALLS"
case "$*" in
  *get_device_capability*) echo "90 Some GPU 80GB" ;;
  *"pip install"*) exit ${BUILD:-0} ;;
  *"pytest benchmarks/test_"*) for word; do [[ $word == --benchmark-json=* ]] && echo {} > "${word#*=}"; done ;;
  *benchmarks.report*) printf '## Targets\\n\\na table\\n\\n## Ops\\n' > "$OUT/some-gpu-80gb.md" ;;
esac
"""
NVCC = """#!/bin/bash
echo "$@" >> "$CALLS"
while [ "$1" != -o ]; do shift; done
printf '#!/bin/bash\\nexit %s\\n' "${PROGRAM:-0}" > "$2"
chmod +x "$2"
"""
CHECKER = """#!/bin/bash
echo "checker $@" >> "$CALLS"
"${@: -1}"
"""


@pytest.fixture
def stand_ins(tmp_path: Path) -> dict[str, str]:
    """The environment in which the script finds programs that log how they are called."""
    for name, text in (("python", PYTHON), ("nvcc", NVCC), ("compute-sanitizer", CHECKER)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    places = {"OUT": tmp_path / "out", "WORK": tmp_path / "work", "CALLS": tmp_path / "calls"}
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHON": str(tmp_path / "bin" / "python")} | {
        name: str(place) for name, place in places.items()
    }


def check(*parts: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", SCRIPT, *parts], env=environment, capture_output=True, text=True, timeout=60)


def outcomes(environment: dict[str, str]) -> dict[str, str]:
    lines = (Path(environment["OUT"]) / "summary.txt").read_text().splitlines()
    parts = [line.split(maxsplit=3) for line in lines if " s  " in line]
    return {part[0]: part[3] for part in parts}


def test_all_parts(stand_ins: dict[str, str]) -> None:
    finished = check(**stand_ins)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert outcomes(stand_ins) == dict.fromkeys(("build", "tests", "native", "sanitize", "benchmarks"), "passed")
    assert "Some GPU 80GB, compute capability 9.0" in finished.stdout and "a table" in finished.stdout
    calls = Path(stand_ins["CALLS"]).read_text()
    programs = {path.stem for path in SCRIPT.parents[1].glob("tests/cpp/*_cases.cpp")}
    for expected in (
        "--no-build-isolation --no-deps",
        "CMAKE_CUDA_ARCHITECTURES=90-real",
        "pytest tests/cuda -m cuda",
        "pytest benchmarks/test_grmala_chain.py --device cuda",
        "--machine some-gpu-80gb",
        *(f"-x cu tests/cpp/{name}.cpp" for name in programs),
        *(f"checker --tool {tool} --report-api-errors no --error-exitcode 9" for tool in ("memcheck", "racecheck")),
    ):
        assert expected in calls, expected
    assert calls.count("-x cu ") == len(programs) and calls.count("checker ") == 2 * len(programs)


def test_every_part_is_tried(stand_ins: dict[str, str]) -> None:
    finished = check(**stand_ins, BUILD="1", PROGRAM="3", LIMIT="50")
    assert finished.returncode == 1
    assert outcomes(stand_ins) == {
        "build": "FAILED, see build.log",
        "tests": "passed",
        "native": "FAILED, see native.log",
        "sanitize": "FAILED, see sanitize.log",
        "benchmarks": "passed",
    }


def test_chosen_parts_alone(stand_ins: dict[str, str]) -> None:
    (Path(stand_ins["PATH"].split(os.pathsep)[0]) / "compute-sanitizer").unlink()
    environment = {**stand_ins, "SUITES": "ceilings"}
    assert check("benchmarks", "sanitize", **environment).returncode == 0
    found = outcomes(environment)
    assert list(found) == ["benchmarks", "sanitize"]
    if shutil.which("compute-sanitizer") is None:
        assert found["sanitize"] == "not run: compute-sanitizer is not there: nothing was checked"
    calls = Path(stand_ins["CALLS"]).read_text()
    assert "test_ceilings.py" in calls and "test_grmala_step.py" not in calls and "pip install" not in calls


def test_an_unknown_part(stand_ins: dict[str, str]) -> None:
    finished = check("tets", **stand_ins)
    assert finished.returncode == 2
    assert (
        finished.stderr == "gpu_check: there is no part 'tets'; choose from: build tests native sanitize benchmarks\n"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_one_sentence_where_there_is_no_gpu(tmp_path: Path) -> None:
    finished = check(**{**os.environ, "PYTHON": sys.executable, "OUT": str(tmp_path / "out")})
    assert finished.returncode == 2 and finished.stdout == "" and not (tmp_path / "out").exists()
    assert finished.stderr == (
        "gpu_check: PyTorch finds no CUDA device; run this on a machine with an NVIDIA GPU and its driver\n"
    )
