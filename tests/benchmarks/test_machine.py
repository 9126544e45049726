# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The machine is described without its name, and other work is what remains when our own is taken off."""

from __future__ import annotations

import platform
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import machine
from benchmarks.machine import OtherWork, describe


def test_description_has_what_the_page_prints_and_no_name() -> None:
    found = describe()
    assert found.keys() == {"cpu", "cores", "threads", "torch", "version", "isa", "compiler", "date"}
    assert found["cpu"] and found["cores"] >= 1 and found["threads"] >= 1
    assert platform.node() not in found.values()


def test_a_gpu_is_described_without_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = {"name": "Some GPU", "multi_processor_count": 132, "total_memory": 85e9, "L2_cache_size": 50 * 2**20}
    asked: list[list[str]] = []

    def answer(command: list[str], **_: object) -> SimpleNamespace:
        asked.append(command)
        return SimpleNamespace(returncode=0, stdout="580.1, 1980 MHz, 2619 MHz\n")

    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(**properties, uuid="12-34"), raising=False
    )
    monkeypatch.setattr(machine, "subprocess", SimpleNamespace(run=answer, TimeoutExpired=TimeoutError))
    found = describe("cuda")
    assert found["gpu"] == (
        f"Some GPU, 132 multiprocessors, 79 GiB, 50 MiB of L2 cache, CUDA {torch.version.cuda}, driver 580.1, "
        "clocks up to 1980 MHz and 2619 MHz (memory)"
    )
    assert "GPU-12-34" in asked[0] and "12-34" not in found["gpu"]
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=6, stdout="No devices"))
    assert describe("cuda")["gpu"].endswith(f"CUDA {torch.version.cuda}")


def test_other_work_is_the_machines_less_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """In four seconds the machine worked 7 s, of which 5 s were ours: half a core was busy with something else."""
    clock, busy, own = iter([10.0, 14.0]), iter([100.0, 107.0]), iter([50.0, 55.0])
    monkeypatch.setattr(machine, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(OtherWork, "_machine", staticmethod(lambda: next(busy)))
    monkeypatch.setattr(OtherWork, "_own", staticmethod(lambda: next(own)))
    assert OtherWork().cores() == 0.5


def test_other_work_counts_interrupts_and_stolen_time_but_no_guests(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = "cpu  100 20 30 9999 888 4 5 6 77 7\ncpu0 1 1 1 1\n"
    monkeypatch.setattr(Path, "read_text", lambda _self: fields)
    monkeypatch.setattr(machine, "os", SimpleNamespace(sysconf=lambda _name: 100))
    assert OtherWork._machine() == 1.65


def test_other_work_is_unknown_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OtherWork, "_machine", staticmethod(lambda: None))
    assert OtherWork().cores() is None
