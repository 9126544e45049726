# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the build decides by itself: which compilers it takes, whether it compiles for CUDA, and for which GPUs."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not on the PATH"),
]


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


TOO_NEW = "/usr/include/crt/host_config.h:143:2: error: #error -- unsupported GNU version! gcc versions later than 12"


def cuda_part(folder: Path, choice: str, program: Path | None) -> subprocess.CompletedProcess[str]:
    """A project that asks for the CUDA part alone, with a stand-in for nvcc or with none."""
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(asking LANGUAGES NONE)\n"
        f'set(STIC_CUDA {choice})\ninclude("{ROOT}/cmake/CudaPart.cmake")\nmessage(STATUS "found: ${{cuda_found}}")\n'
    )
    return run_cmake("-S", folder, "-B", folder / "build", f"-DCMAKE_CUDA_COMPILER={program or folder / 'absent'}")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(f"echo {shlex.quote(TOO_NEW)} >&2; exit 1", f"failed with: {TOO_NEW}", id="a host too new"),
        pytest.param('echo "nvcc fatal : no licence" >&2; exit 1', "failed with: nvcc fatal : no licence", id="fatal"),
        pytest.param("exit 1", "failed with: exit status 1 without an error message", id="silent"),
        pytest.param(None, "no CUDA compiler was found when it was built", id="absent"),
    ],
)
def test_a_cuda_compiler_that_fails_is_left_out_and_quoted(answer: str | None, reason: str, tmp_path: Path) -> None:
    lists = '[ "$1" = --list-gpu-arch ] && { echo compute_80; exit 0; }\n'
    program = compiler(tmp_path, lists + answer) if answer else None
    finished = cuda_part(tmp_path, "AUTO", program)
    assert finished.returncode == 0, finished.stderr
    told = [line for line in finished.stdout.splitlines() if line.startswith("-- CUDA part: ")]
    assert len(told) == 1 and told[0].endswith(reason)
    assert (program is None) == (str(tmp_path / "nvcc") not in told[0])
    assert "-- found: FALSE" in finished.stdout.splitlines()
    asked_for = cuda_part(tmp_path, "ON", program)
    assert asked_for.returncode != 0
    assert f"{reason}. Put a CUDA compiler" in " ".join(asked_for.stderr.split())


def test_an_old_cuda_compiler_is_left_out(tmp_path: Path) -> None:
    program = compiler(tmp_path, "echo compute_70")
    finished = cuda_part(tmp_path, "AUTO", program)
    assert finished.returncode == 0, finished.stderr
    assert "nvcc, found when it was built, knows no compute capability of 8.0, 9.0 and 10.0" in finished.stdout


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not on the PATH")
def test_a_cuda_compiler_that_works_is_taken(tmp_path: Path) -> None:
    finished = cuda_part(tmp_path, "AUTO", Path(shutil.which("nvcc") or ""))
    assert finished.returncode == 0, finished.stderr
    assert "-- found: TRUE" in finished.stdout and "-- CUDA part: nvcc " in finished.stdout


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"CMAKE_CXX_COMPILER_ID": "GNU", "CMAKE_CXX_COMPILER_VERSION": "8.5.0"}, "this is GCC 8.5.0; install a newer"),
        ({"CMAKE_CXX_COMPILER_ID": "MSVC", "MSVC": "1"}, "on Windows install and use it under WSL"),
        ({"CMAKE_CXX_COMPILER_ID": "GNU", "CMAKE_CXX_COMPILER_VERSION": "9.1.0"}, ""),
        ({"CMAKE_CXX_COMPILER_ID": "Clang", "CMAKE_CXX_COMPILER_VERSION": "8.0"}, ""),
    ],
)
def test_compilers_that_cannot_compile_the_kernels(settings: dict[str, str], refusal: str) -> None:
    given = [f"-D{name}={value}" for name, value in settings.items()]
    finished = run_cmake(*given, "-P", ROOT / "cmake" / "CxxCompiler.cmake")
    assert (finished.returncode == 0) == (refusal == "")
    assert refusal in " ".join(finished.stderr.split())


def test_one_thread_without_openmp_and_on_macos(tmp_path: Path) -> None:
    """On macOS without looking for any; elsewhere where the compiler, of which there is none here, has none."""
    for apple, reason in (("1", "left out on macOS"), ("0", "the compiler had none when it was built")):
        (tmp_path / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.20)\nproject(asking LANGUAGES NONE)\nset(APPLE " + apple + ")\n"
            "set(CMAKE_DISABLE_FIND_PACKAGE_OpenMP TRUE)\n"
            f'include("{ROOT}/cmake/OpenmpPart.cmake")\nmessage(STATUS "${{openmp_reason}}")\n'
        )
        finished = run_cmake("-S", tmp_path, "-B", tmp_path / f"build{apple}")
        assert finished.returncode == 0, finished.stderr
        assert f"-- {reason}" in finished.stdout


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not on the PATH")
def test_this_nvcc_compiles_for_all_that_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "empty.cu").write_text("__global__ void empty() {}\n")
    chosen = architectures(tmp_path, "nvcc").split(";")
    codes = [f"-gencode=arch=compute_{name.split('-')[0]},code=sm_{name.split('-')[0]}" for name in chosen]
    command = ["nvcc", *codes, "-c", str(tmp_path / "empty.cu"), "-o", str(tmp_path / "empty.o")]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr
