# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How csrc/cuda/device.cuh launches: with CUDA's runtime replaced by one that keeps account of what it is asked."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent

pytestmark = pytest.mark.native

Finished = subprocess.CompletedProcess[str]


@pytest.mark.parametrize("sanitizer", ["none", "thread"])
def test_shared_memory_is_allowed_once_for_each_kernel_and_device(
    sanitizer: str,
    cxx: list[str],
    warnings: list[str],
    works: Callable[[Sequence[str], str], bool],
    run_program: Callable[[Sequence[str | Path]], Finished],
    tmp_path: Path,
) -> None:
    options = ["-std=c++17", "-O1", *warnings, "-pthread"]
    if sanitizer == "thread":
        options.append("-fsanitize=thread")
        if not works(options, "true"):
            pytest.skip("this compiler or machine does not have the sanitizer 'thread'")
    program = tmp_path / "launching"
    built = run_program([*cxx, *options, "-I", HERE / "recorded_runtime", HERE / "launching.cpp", "-o", program])
    assert built.returncode == 0, built.stdout
    finished = run_program([program])
    assert (finished.returncode, finished.stdout) == (0, "as it should be\n")
