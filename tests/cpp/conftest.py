# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Compiles native test programs for the host, with the emulation in place of CUDA, and runs them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WARNINGS = ("-Wall", "-Wextra", "-Wno-unknown-pragmas")  # "#pragma unroll" is for a device
CHECKED_WITH = "__GNUC__ == 12"
"""The compiler whose warnings are errors. Others, newer ones above all, warn of other things: a test must not fail for
them on a user's machine."""
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FUSED = "-mfma"  # without it every fma is a call of the mathematical library
LIMIT = 300  # seconds for any one command

Run = Callable[[Sequence[str | Path]], "subprocess.CompletedProcess[str]"]
Compile = Callable[..., "subprocess.CompletedProcess[str]"]


def run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """The finished command, whatever its exit code; leaks and fake stacks are no business of programs with fibers."""
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0"}
    return subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT,
        env=environment,
        check=False,
    )


@pytest.fixture(scope="session")
def cxx() -> list[str]:
    """The host's C++ compiler: CXX, or the first of the usual names."""
    command = shlex.split(os.environ.get("CXX", ""))
    if not command:
        command = [name for name in ("c++", "g++", "clang++") if shutil.which(name)][:1]
    if not command or shutil.which(command[0]) is None:
        pytest.skip("no C++ compiler: neither CXX nor c++, g++ or clang++ on the PATH names one")
    return command


@pytest.fixture(scope="session")
def works(cxx: list[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[str], str], bool]:
    """works(options, expression): whether a program built with the options runs and finds the expression true."""
    folder = tmp_path_factory.mktemp("probe")

    def answer(options: Sequence[str], expression: str) -> bool:
        source, program = folder / "probe.cpp", folder / "probe"
        source.write_text(f"int main() {{ return !({expression}); }}\n")
        built = run([*cxx, *options, source, "-o", program]).returncode == 0
        return built and run([program]).returncode == 0

    return answer


@pytest.fixture(scope="session")
def warnings(works: Callable[[Sequence[str], str], bool]) -> list[str]:
    """The options that ask for warnings, which are errors where this compiler is the one they were checked with."""
    return [*WARNINGS, *(["-Werror"] if works([], CHECKED_WITH) else [])]


@pytest.fixture(scope="session")
def sanitizers(works: Callable[[Sequence[str], str], bool]) -> list[str]:
    """The options that turn the sanitizers on, as far as this compiler and this machine have them."""
    if works(SANITIZERS, "true"):
        return list(SANITIZERS)
    return [option for option in ("-fsanitize=undefined",) if works([option, SANITIZERS[1]], "true")]


@pytest.fixture(scope="session")
def compile_program(
    cxx: list[str],
    works: Callable[[Sequence[str], str], bool],
    warnings: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Compile:
    """compile_program(source, program, options): the compiler's run on a test program linked with the emulation.

    The emulation is compiled once for each set of options.
    """
    fused = works([FUSED], '__builtin_cpu_supports("fma")')
    common = ["-std=c++17", "-g1", *warnings, "-ffp-contract=off", "-DSTIC_EMULATED", *([FUSED] if fused else [])]
    emulations: dict[tuple[str, ...], list[Path]] = {}
    building = threading.Lock()

    def emulation(options: Sequence[str]) -> list[Path]:
        folder = tmp_path_factory.mktemp("emulation")
        sources = sorted((HERE / "emulation").glob("*.cpp"))
        objects = [folder / f"{source.stem}.o" for source in sources]
        with ThreadPoolExecutor(max_workers=2) as pool:
            commands = [
                [*cxx, *common, "-O2", *options, "-c", source, "-o", target]
                for source, target in zip(sources, objects, strict=True)
            ]
            for built in pool.map(run, commands):
                assert built.returncode == 0, built.stdout
        return objects

    def compile_one(source: Path, program: Path, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        instrumentation = tuple(option for option in options if option.startswith("-f"))
        with building:
            if instrumentation not in emulations:
                emulations[instrumentation] = emulation(instrumentation)
        objects = emulations[instrumentation]
        return run([*cxx, *common, "-O1", *options, "-I", source.parent, source, *objects, "-o", program])

    return compile_one


@pytest.fixture(scope="session")
def run_program() -> Run:
    """run_program([program, *options]): its run, both outputs together."""
    return run
