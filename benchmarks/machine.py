# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the numbers were taken on, without the machine's name, and what else was running meanwhile."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

import stic_fast
from stic_fast.native import kernels


def describe(device: str = "cpu") -> dict[str, Any]:
    """What a result depends on; the report prints it."""
    build = kernels.build_info()
    return {
        **({"gpu": _gpu()} if device == "cuda" else {}),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "version": stic_fast.__version__,
        "isa": build["isa"],
        "compiler": build["compiler"],
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
    }


def load() -> float | None:
    """The load average of the last minute; None where the system keeps none."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


class OtherWork:
    """How many cores were busy with something else than this process and its children since the object was made.

    A load average remembers the run before; this does not, and it sees what a hypervisor took away.
    """

    def __init__(self) -> None:
        self._start = time.monotonic(), self._machine(), self._own()

    def cores(self) -> float | None:
        """None where the system has no /proc/stat."""
        start, machine, own = self._start
        now = self._machine()
        if machine is None or now is None:
            return None
        busy = (now - machine) - (self._own() - own)
        return round(max(busy, 0.0) / max(time.monotonic() - start, 1e-3), 2)

    @staticmethod
    def _machine() -> float | None:
        """Seconds that all cores together were not idle, the time stolen by a hypervisor included."""
        try:
            user, nice, system, _idle, _iowait, *rest = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        except (OSError, ValueError):
            return None
        interrupts_and_stolen = rest[:3]  # guests, the fields after them, are part of user
        ticks = sum(int(field) for field in (user, nice, system, *interrupts_and_stolen))
        return ticks / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _own() -> float:
        return sum(os.times()[:4])


def _gpu() -> str:
    """The first device's name and what it has."""
    device = torch.cuda.get_device_properties(0)
    facts = [device.name, f"{device.multi_processor_count} multiprocessors", f"{device.total_memory / 2**30:.0f} GiB"]
    facts += [f"{device.L2_cache_size / 2**20:.0f} MiB of L2 cache", f"CUDA {torch.version.cuda}"]
    return ", ".join([*facts, *_told_by_the_driver(str(device.uuid))])


def _told_by_the_driver(uuid: str) -> list[str]:
    """Its version and the highest clocks; nothing where nvidia-smi is missing."""
    query = "--query-gpu=driver_version,clocks.max.sm,clocks.max.mem"
    command = ["nvidia-smi", "-i", f"GPU-{uuid}", "--format=csv,noheader", query]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    values = [value.strip() for value in asked.stdout.split(",")]
    if asked.returncode or len(values) != 3:
        return []
    return [f"driver {values[0]}", f"clocks up to {values[1]} and {values[2]} (memory)"]


def _cpu() -> str:
    """The processor's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
