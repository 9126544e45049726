# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The native module: what it says of itself, what it links, and what a user reads where it is missing."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stic_fast
from stic_fast.native import kernels
from stic_fast.ops.noise import Stream


def test_build_info() -> None:
    info = kernels.build_info()
    assert set(info) == {"version", "compiler", "openmp", "isa_found", "isa", "cuda_toolkit", "cuda_reason"}
    assert info["version"] == stic_fast.__version__, "the native module is of another version; build it again"
    assert info["compiler"].split()[0] in {"GNU", "Clang", "AppleClang", "IntelLLVM", "MSVC"}
    assert isinstance(info["openmp"], bool)
    assert set(info["isa_found"]) <= {"baseline", "avx2", "avx512"}
    assert info["cuda_reason"] and (info["cuda_toolkit"] is None) == ("nvcc" not in info["cuda_reason"])


def test_streams_are_the_same_in_python_and_in_the_kernels() -> None:
    assert kernels.streams() == {stream.name.lower(): int(stream) for stream in Stream}
    assert len(set(kernels.streams().values())) == len(Stream)


def test_links_neither_torch_nor_cudart() -> None:
    module = Path(importlib.import_module("stic_fast._native").__file__ or "")
    tool = shutil.which("readelf")
    if tool is None or module.read_bytes()[:4] != b"\x7fELF":
        pytest.skip("needs readelf and a module in the ELF format")
    listed = subprocess.run([tool, "-d", module], capture_output=True, text=True, check=True).stdout
    needed = [line.split("[")[1].rstrip("]") for line in listed.splitlines() if "(NEEDED)" in line]
    assert any(name.startswith("libc.") for name in needed)
    for name in needed:
        assert not name.startswith(("libtorch", "libc10", "libcudart", "libcuda", "libpython")), needed


def test_a_missing_native_module_is_one_clear_sentence(tmp_path: Path) -> None:
    package = Path(stic_fast.__file__).parent
    shutil.copytree(package, tmp_path / "stic_fast", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    search_path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    for statement in ("import stic_fast", "import stic_fast.models"):
        finished = subprocess.run(
            [sys.executable, "-W", "error", "-c", statement],
            env=os.environ | {"PYTHONPATH": search_path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        last = finished.stderr.splitlines()[-1]
        assert finished.returncode != 0
        assert last.startswith("ImportError: stic_fast's native module stic_fast._native cannot be loaded (")
        assert "pip install ." in last and "NoneType" not in finished.stderr
