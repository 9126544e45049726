# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The CPU's kernels by every compiler that is here: each source compiles, and the noise has the same bits."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from stic_fast.native import kernels
from stic_fast.ops import noise

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "csrc" / "cpu"
OPTIONS = ["-std=c++17", "-O2", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wno-unknown-pragmas"]
FLAGS = {"baseline": [], "avx2": ["-mavx2", "-mfma"]}
FLAGS["avx512"] = ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"]
"""As in CMakeLists.txt."""

NAMES = [f"{name}-{version}" for name in ("g++", "clang++") for version in range(9, 30)]
FOUND = [name for name in NAMES if shutil.which(name)] if platform.machine().lower() in ("x86_64", "amd64") else []
CROSS, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"

pytestmark = pytest.mark.native
needs_arm = pytest.mark.skipif(
    not all(map(shutil.which, (CROSS, EMULATOR))), reason=f"needs {CROSS} and {EMULATOR} on the PATH"
)

Run = Callable[[Sequence[str | Path]], "subprocess.CompletedProcess[str]"]


def compile_all(compiler: str, isa: str, run_program: Run) -> None:
    """Every source, without optimisation."""
    for source in sorted(SOURCES.glob("*.cpp")):
        options = [*OPTIONS, *FLAGS[isa], "-O0", f"-DSTIC_ISA={isa}", "-fsyntax-only"]
        finished = run_program([compiler, *options, source])
        assert finished.returncode == 0, finished.stdout


def assert_noise(compiler: str, isa: str, run_program: Run, folder: Path, *, emulator: Sequence[str] = ()) -> None:
    """That the program's noise is that of the native module, and its words those of Philox one by one."""
    program, written = folder / "cpu_noise", folder / "noise.bin"
    command = [compiler, *OPTIONS, *FLAGS[isa], f"-DSTIC_ISA={isa}", HERE / "cpu_noise.cpp", "-o", program]
    built = run_program([*command, *(["-static"] if emulator else [])])
    assert built.returncode == 0, built.stdout
    finished = run_program([*emulator, program, written])
    assert finished.returncode == 0, finished.stdout
    words, uniforms, normals = np.fromfile(written, dtype=np.uint32).reshape(3, -1)
    seed, step, stream, chain = 0x8000000000000125, 0xFFFFFFF1, 8, 0xFFFFFFFE
    for quad in (0, 1, 5, 16, 63, words.size // 4 - 1):
        expected = kernels.philox4x32_10(quad, chain, step, stream, seed & 0xFFFFFFFF, seed >> 32)
        assert tuple(words[4 * quad : 4 * quad + 4]) == expected
    where = {"seed": seed, "step": step, "stream": stream, "chain_ids": torch.tensor([chain])}
    assert (words >> 8).astype(np.float32).tobytes() == (uniforms.view(np.float32) * 2**24).tobytes()
    for ours, draw in ((uniforms, noise.uniform), (normals, noise.normal)):
        assert ours.tobytes() == draw((1, words.size), **where).numpy().tobytes()


@pytest.mark.parametrize("compiler", FOUND)
def test_every_source_compiles(compiler: str, run_program: Run) -> None:
    compile_all(compiler, "avx512", run_program)


@pytest.mark.parametrize("isa", FLAGS)
@pytest.mark.parametrize("compiler", FOUND)
def test_the_noise_is_the_same(compiler: str, isa: str, run_program: Run, tmp_path: Path) -> None:
    if isa not in kernels.build_info()["isa_found"]:
        pytest.skip(f"this processor has no {isa}")
    assert_noise(compiler, isa, run_program, tmp_path)


@needs_arm
def test_every_source_compiles_for_64_bit_arm(run_program: Run) -> None:
    compile_all(CROSS, "baseline", run_program)


@needs_arm
def test_the_noise_is_the_same_on_64_bit_arm(run_program: Run, tmp_path: Path) -> None:
    assert_noise(CROSS, "baseline", run_program, tmp_path, emulator=[EMULATOR])


@needs_arm
def test_64_bit_arm_multiplies_words_in_vectors(run_program: Run, tmp_path: Path) -> None:
    listing = tmp_path / "noise.s"
    command = [CROSS, *OPTIONS, "-O3", "-DSTIC_ISA=baseline", "-S", SOURCES / "noise.cpp", "-o", listing]
    finished = run_program(command)
    assert finished.returncode == 0, finished.stdout
    operations = [line.split()[0] for line in listing.read_text().splitlines() if line.startswith("\t")]
    assert operations.count("umull") + operations.count("umull2") >= 20 * operations.count("mul") > 0
