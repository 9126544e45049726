# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What nvcc makes of the CUDA kernels: no spills, nothing in local memory, 16 bytes at a time. Needs nvcc, no GPU."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCES = Path(__file__).parents[1] / "csrc" / "cuda"
KERNELS = {"noise": 4, "grmala_step": 4, "metropolis_accept": 4, "scaled_silu": 16, "vrm_batch": 4}
KERNELS |= {"gram_gradient": 2, "gram_loss": 3}
"""How many each source has: one for each of its storage types, whatever the options; of float32 gram_loss has two, and
scaled_silu has for each its value and three ways to its gradient."""
STREAMING = [name for name in KERNELS if name != "gram_loss"]
REGISTERS_FOR_HALF_OF_THE_THREADS = 64

CHECKED_WITH = "release 13.0"
"""The nvcc whose warnings are errors: another may warn of other things, which is no fault of a user's machine."""

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not on the PATH"),
]


class Resources(NamedTuple):
    """What one kernel takes, from ptxas's report."""

    stack: int
    spills: int
    registers: int


def compiled(name: str, folder: Path) -> str:
    """Compiles csrc/cuda/NAME.cu for compute capability 9.0, as the build does, without warnings; nvcc's words.

    Leaves NAME.cubin and NAME.ptx in the folder.
    """
    told = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    strict = ["-Xcompiler", "-Wall,-Wextra", *(["-Werror", "all-warnings"] if CHECKED_WITH in told else [])]
    command = ["nvcc", "-std=c++17", "-O3", "-arch=sm_90", "-fmad=false", *strict, "-cubin", "-Xptxas", "-v"]
    command += ["--keep", "--keep-dir", str(folder), str(SOURCES / f"{name}.cu"), "-o", str(folder / f"{name}.cubin")]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout + finished.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("device_code")


@pytest.fixture(scope="module")
def report(folder: Path):
    """report(name): the resources of each kernel in csrc/cuda/NAME.cu; the folder then has NAME.cubin and NAME.ptx."""

    @functools.cache
    def of(name: str) -> dict[str, Resources]:
        text = compiled(name, folder)
        pattern = (
            r"Function properties for (\S*kernel\S*)\s+(\d+) bytes stack frame, (\d+) bytes spill stores, "
            r"(\d+) bytes spill loads\s+ptxas info\s*: Used (\d+) registers"
        )
        return {
            kernel: Resources(int(stack), int(stores) + int(loads), int(registers))
            for kernel, stack, stores, loads, registers in re.findall(pattern, text)
        }

    return of


def test_inline_assembly_is_one_instruction_at_a_time() -> None:
    """Of several, one may write to a register from which another has yet to read: the compiler takes them for one."""
    statements = [
        (path.name, " ".join(re.findall(r'"([^"]*)"', text)), "volatile" in text)
        for path in sorted(SOURCES.parent.glob("**/*.*"))
        for text in re.findall(r"\basm\b[^;:]*\((?:\s*\"[^\"]*\")+", path.read_text())
    ]
    assert len(statements) > 10
    for name, code, is_volatile in statements:
        assert code.count(";") == 1, f"{name}: {code}"
        assert is_volatile or "mma.sync" not in code, (
            f"{name}: the compiler may move {code} into a branch of some lanes"
        )


@pytest.mark.parametrize("name", KERNELS)
def test_everything_stays_in_registers(name: str, report) -> None:
    kernels = report(name)
    assert len(kernels) == KERNELS[name]
    assert {(took.stack, took.spills) for took in kernels.values()} == {(0, 0)}


@pytest.mark.parametrize("name", STREAMING)
def test_half_of_a_processors_threads_fit(name: str, report) -> None:
    assert max(took.registers for took in report(name).values()) <= REGISTERS_FOR_HALF_OF_THE_THREADS


@pytest.mark.parametrize("name", STREAMING)
def test_sixteen_bytes_at_a_time(name: str, report, folder: Path) -> None:
    report(name)
    entries = (folder / f"{name}.ptx").read_text().split(".entry ")[1:]
    assert len(entries) == KERNELS[name]
    inputs = {"grmala_step": 3, "metropolis_accept": 4, "scaled_silu": 1, "gram_gradient": 1}.get(
        name, 0
    )  # vrm_batch reads pixels
    for entry in entries:
        loads = re.findall(r"ld\.global\.(?:v4\.[bfu]32|v2\.[bfu]64)", entry)
        stores = re.findall(r"st\.global\.(?:v4\.[bfu]32|v2\.[bfu]64)", entry)
        assert len(loads) >= inputs and len(stores) >= 1, entry.split("(")[0]
        assert ".local" not in entry


def test_gram_loss_copies_ahead_and_multiplies_on_tensor_cores(report, folder: Path) -> None:
    report("gram_loss")
    entries = (folder / "gram_loss.ptx").read_text().split(".entry ")[1:]
    kinds = [set(re.findall(r"mma\.sync\.aligned\.(m16n8k\d+)\.row\.col\.f32\.(\w+)", entry)) for entry in entries]
    tf32, bf16 = ("m16n8k8", "tf32"), ("m16n8k16", "bf16")
    assert sorted(kinds, key=len) == [{tf32}, {tf32}, {tf32, bf16}]
    for entry in entries:
        assert "cp.async.cg.shared.global" in entry and re.search(r"st\.global\.(?:v4\.[bfu]32|v2\.[bfu]64)", entry)
        assert ".local" not in entry


@pytest.mark.skipif(shutil.which("cuobjdump") is None, reason="cuobjdump is not on the PATH")
@pytest.mark.parametrize(
    ("name", "has", "lacks"),
    [
        ("grmala_step", ("LDG.E.128", "STG.E.128"), "LDL|STL|CALL"),
        ("gram_loss", ("HMMA.", "LDGSTS.E.BYPASS.128", "STG.E.128"), "LDL|STL"),
    ],
)
def test_machine_code(name: str, has: tuple[str, ...], lacks: str, report, folder: Path) -> None:
    report(name)
    command = ["cuobjdump", "-sass", folder / f"{name}.cubin"]
    listing = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    kernels = listing.split("Function : ")[1:]
    assert len(kernels) == KERNELS[name]
    for kernel in kernels:
        assert all(instruction in kernel for instruction in has)
        assert not re.search(rf"\b({lacks})\b", kernel)
