# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The native module: what it says of itself, what it links, and what a user reads where it is missing."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import stic_fast
from stic_fast.native import kernels
from stic_fast.ops.noise import Stream

RunPython = Callable[..., subprocess.CompletedProcess[str]]


def test_build_info() -> None:
    info = kernels.build_info()
    reasons = {"openmp_reason", "cuda_reason"}
    assert set(info) == {"version", "compiler", "openmp", "isa_found", "isa", "cuda_toolkit"} | reasons
    assert info["version"] == stic_fast.__version__, "the native module is of another version; build it again"
    assert info["compiler"].split()[0] in {"GNU", "Clang", "AppleClang", "IntelLLVM"}
    assert isinstance(info["openmp"], bool) and info["openmp"] == (info["openmp_reason"] == "")
    assert set(info["isa_found"]) <= {"baseline", "avx2", "avx512"}
    assert (info["cuda_toolkit"] is not None) == info["cuda_reason"].startswith("nvcc ")


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a free-threaded Python")
def test_no_lock_comes_back_with_the_module(run_python: RunPython, tmp_path: Path) -> None:
    finished = run_python("import sys, stic_fast._native; assert not sys._is_gil_enabled()", tmp_path)
    assert finished.returncode == 0, finished.stderr


def test_streams_are_the_same_in_python_and_in_the_kernels() -> None:
    assert kernels.streams() == {stream.name.lower(): int(stream) for stream in Stream}
    assert len(set(kernels.streams().values())) == len(Stream)


def told_by_readelf(*options: str) -> list[str]:
    module = Path(importlib.import_module("stic_fast._native").__file__ or "")
    tool = shutil.which("readelf")
    if tool is None or module.read_bytes()[:4] != b"\x7fELF":
        pytest.skip("needs readelf and a module in the ELF format")
    return subprocess.run([tool, *options, module], capture_output=True, text=True, check=True).stdout.splitlines()


def test_links_neither_torch_nor_cudart() -> None:
    needed = [line.split("[")[1].rstrip("]") for line in told_by_readelf("-d") if "(NEEDED)" in line]
    assert any(name.startswith("libc.") for name in needed)
    for name in needed:
        assert not name.startswith(("libtorch", "libc10", "libcudart", "libcuda", "libpython")), needed


def test_no_symbol_of_cuda_is_left_to_the_loader() -> None:
    symbols = [line.split() for line in told_by_readelf("--dyn-syms", "-W") if " UND " in line]
    undefined = [words[7].split("@")[0] for words in symbols if words[7:]]
    assert "PyErr_Occurred" in undefined
    assert [name for name in undefined if re.match(r"cuda|cu[A-Z]|_*cuda|_*nv", name)] == []


def test_the_cuda_part_is_there_as_built_and_loads_without_a_driver() -> None:
    assert (kernels.cuda is None) == (kernels.build_info()["cuda_toolkit"] is None)
    if kernels.cuda is None:
        pytest.skip("built without CUDA")
    for name in ("noise_fill", "grmala_step", "metropolis_accept", "scaled_silu", "scaled_silu_backward", "vrm_batch"):
        assert callable(getattr(kernels.cuda, name))
    if torch.cuda.is_available():
        return
    assert not kernels.cuda.supports(0)
    with pytest.raises(RuntimeError, match=r"CUDA.* failed with CUDA's error \".+\"; .*CUDA_LAUNCH_BLOCKING=1"):
        kernels.cuda.noise_fill(0, 0, 0, 0, 1, 1, 0, 0, 0, True, 0, 0)


def test_a_missing_native_module_is_one_clear_sentence(run_python: RunPython, tmp_path: Path) -> None:
    package = Path(stic_fast.__file__).parent
    shutil.copytree(package, tmp_path / "stic_fast", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    search_path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    for statement in ("import stic_fast", "import stic_fast.models"):
        finished = run_python(statement, tmp_path, PYTHONPATH=search_path)
        last = finished.stderr.splitlines()[-1]
        assert finished.returncode != 0
        assert last.startswith("ImportError: stic_fast's native module stic_fast._native cannot be loaded (")
        assert "pip install ." in last and "NoneType" not in finished.stderr
