# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the build decides by itself: the GPUs to compile for, by what a CUDA compiler lists."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not on the PATH")


def run_cmake(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["cmake", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def compiler(folder: Path, answer: str) -> Path:
    """A program that stands in for nvcc: `answer` is what a shell does when it is asked."""
    program = folder / "nvcc"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    return program


def architectures(folder: Path, program: str | Path) -> str:
    script = folder / "ask.cmake"
    script.write_text(
        f'cmake_minimum_required(VERSION 3.20)\ninclude("{ROOT}/cmake/CudaArchitectures.cmake")\n'
        f'stic_cuda_architectures(found "{program}")\nmessage("${{found}}")\n'
    )
    finished = run_cmake("-P", script)
    assert finished.returncode == 0, finished.stderr
    return finished.stderr.strip()


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        pytest.param("70 75 80 86 89 90 100 103 120", "80-real;90-real;100", id="12.8"),
        pytest.param("50 60 70 80 86 87 89 90", "80-real;90", id="12.0"),
        pytest.param("35 50 60 70 80 86", "80", id="11.1"),
        pytest.param("90 100 110 120", "90-real;100", id="one that has forgotten 8.0"),
        pytest.param("35 50 60 70 75", "", id="10.2"),
        pytest.param("800 901 1000", "", id="numbers that only begin alike"),
    ],
)
def test_machine_code_for_what_is_known_and_ptx_of_the_newest(listed: str, expected: str, tmp_path: Path) -> None:
    names = "\\n".join(f"compute_{number}" for number in listed.split())
    program = compiler(tmp_path, f'[ "$1" = --list-gpu-arch ] && printf "{names}\\n"')
    assert architectures(tmp_path, program) == expected


@pytest.mark.parametrize("answer", ["echo unknown option >&2; exit 1", None])
def test_a_compiler_that_lists_nothing_is_given_the_oldest(answer: str | None, tmp_path: Path) -> None:
    program = compiler(tmp_path, answer) if answer else tmp_path / "absent"
    assert architectures(tmp_path, program) == "80"


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not on the PATH")
def test_this_nvcc_compiles_for_all_that_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "empty.cu").write_text("__global__ void empty() {}\n")
    chosen = architectures(tmp_path, "nvcc").split(";")
    codes = [f"-gencode=arch=compute_{name.split('-')[0]},code=sm_{name.split('-')[0]}" for name in chosen]
    command = ["nvcc", *codes, "-c", str(tmp_path / "empty.cu"), "-o", str(tmp_path / "empty.o")]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr
