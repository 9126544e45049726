# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`import stic_fast` is quick and alone, and everything is to be had from it."""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import stic_fast

UNNEEDED = ("scipy", "matplotlib", "rich", "tyro", "sklearn", "PIL", "safetensors", "filelock")
PROGRAM = """
import sys, time
start = time.perf_counter()
import torch
torch_is_in = time.perf_counter()
before = set(sys.modules)
import stic_fast
print((time.perf_counter() - start) / (torch_is_in - start), *(set(sys.modules) - before))
"""


def imported(tmp_path: Path) -> tuple[float, set[str]]:
    """How much longer importing torch and stic_fast takes than torch alone, and what it loads beside torch."""
    program = [sys.executable, "-c", PROGRAM]
    printed = subprocess.run(program, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=True).stdout
    ratio, *modules = printed.split()
    return float(ratio), {name.partition(".")[0] for name in modules}


def test_a_bare_import_is_quick_and_alone(tmp_path: Path) -> None:
    found = [imported(tmp_path) for _ in range(3)]
    for _, modules in found:
        assert "stic_fast" in modules and not modules & set(UNNEEDED)
    assert statistics.median(ratio for ratio, _ in found) < 1.3


def test_everything_is_to_be_had_from_it() -> None:
    assert sorted(set(stic_fast.__all__)) == sorted(stic_fast.__all__)
    assert set(stic_fast.__all__) <= set(dir(stic_fast))
    for name in stic_fast.__all__:
        assert getattr(stic_fast, name) is not None
    assert stic_fast.sampling is importlib.import_module("stic_fast.sampling")
    assert stic_fast.load is stic_fast.api.load
    assert stic_fast.evaluate_images is stic_fast.evaluation.evaluate_images
    with pytest.raises(AttributeError, match="nothing"):
        _ = stic_fast.nothing  # type: ignore[attr-defined]


def test_everything_is_to_be_had_by_name() -> None:
    names: dict[str, object] = {}
    exec("from stic_fast import *", names)
    assert set(stic_fast.__all__) <= set(names)
