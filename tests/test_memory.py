# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The memory there is: of the machine, within control groups of either version."""

from __future__ import annotations

import math
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from stic_fast import memory
from stic_fast.errors import InputError
from stic_fast.memory import available, check_fits, written

KIBIBYTE = 1024


def system(root: Path, files: dict[str, str], *, free: int = 1000) -> Path:
    """A root folder with these files, and so many KiB free in its machine."""
    for name, content in {"proc/meminfo": f"MemTotal: 9999 kB\nMemAvailable: {free} kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


GROUP = "sys/fs/cgroup/a/b"


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, 1000 * KIBIBYTE),
        ({"sys/fs/cgroup/memory.max": "5000\n", "sys/fs/cgroup/memory.current": "1000\n"}, 4000),
        ({"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "1000\n"}, 1000 * KIBIBYTE),
        ({"sys/fs/cgroup/memory.max": "500\n", "sys/fs/cgroup/memory.current": "1000\n"}, 0),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                f"{GROUP}/memory.max": "7000\n",
                f"{GROUP}/memory.current": "6000\n",
                f"{GROUP}/memory.stat": "anon 1\ninactive_file 2000\n",
            },
            3000,
        ),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/memory.max": "600\n",
                "sys/fs/cgroup/a/memory.current": "100\n",
            },
            500,
        ),
        (
            {
                "proc/self/cgroup": "12:cpu:/x\n4:memory:/a/b\n",
                "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "900\n",
                "sys/fs/cgroup/memory/a/b/memory.usage_in_bytes": "200\n",
            },
            700,
        ),
        (
            {
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "200\n",
            },
            1000 * KIBIBYTE,
        ),
        ({"proc/self/cgroup": "nonsense\n"}, 1000 * KIBIBYTE),
    ],
)
def test_the_least_that_anything_leaves(
    files: dict[str, str], left: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_SYSTEM", system(tmp_path, files))
    assert available() == left


def test_a_system_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_SYSTEM", tmp_path)
    assert available() > 2**20
    monkeypatch.delattr("os.sysconf")
    assert available() == math.inf
    check_fits("anything", 1e30, "buy more")


def test_what_does_not_fit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda _: 2.0**30)
    check_fits("this", 2.0**30, "lower that")
    with pytest.raises(InputError, match=r"^this .*1\.5 GiB and 1 GiB .*; lower that$"):
        check_fits("this", 1.5 * 2.0**30, "lower that")


def test_bytes_for_people() -> None:
    assert [written(size) for size in (0, 1023, 1024, 1.5 * 2**40, 2**90)] == [
        "0 bytes",
        "1.02e+03 bytes",
        "1 KiB",
        "1.5 TiB",
        "1.07e+09 EiB",
    ]


PAGES = """
import resource, torch
from stic_fast.memory import keep_what_is_freed
keep_what_is_freed()
def passes(count):
    for _ in range(count):
        [torch.ones(4 * 2**20) for _ in range(10)]  # as a forward pass keeps features, and a backward pass frees them
passes(2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
passes(10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_freed_memory_is_kept_for_the_next_tensors(tmp_path: Path) -> None:
    """Ten times 160 MiB: the system has to provide pages for less than one of them. By default it does so for nearly
    all, or for none, as the heap happens to lie.
    """
    pages = int(subprocess.check_output([sys.executable, "-c", PAGES], cwd=tmp_path, text=True))
    assert pages < 160 * 2**20 / resource.getpagesize()
