# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Trains small runs one after the other and prints of each, as JSON, the memory it took and its estimate, in bytes.

    python peak_memory.py

Linux with glibc alone tells a process's peak and lets it begin anew. Blocks from 1 MiB go back to the system as soon as
they are free: holes in the heap, a fifth of the peak or half of it by chance, are not what a training takes.
"""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from stic_fast.data import load
from stic_fast.sampling import GRMALA
from stic_fast.training import METHODS, NetworkConfig, RunConfig, train
from stic_fast.training.footprint import training_bytes

PLAIN = GRMALA(steps=2, eps1=1.0, eps2=0.0, eps3=0.01)
WITH_GRAM = GRMALA(steps=2)


def small(method: str, *, chains: int = 2, pool_batch: int | None = None, **changes: Any) -> RunConfig:
    """A preset on the digits, cut to two iterations."""
    config = METHODS[method].presets["digits"]
    sampler = WITH_GRAM if method == "stic" else PLAIN
    if method != "softmax":
        options = {} if pool_batch is None else {"batch_size": pool_batch}
        changes["pool"] = dataclasses.replace(config.pool, chains=chains, sampler=sampler, **options)
    passes = 2 if method == "stic" else 1  # the first has no chains
    return dataclasses.replace(config, passes=passes, iterations=1, log_every=1, sampler=sampler, **changes)


DENOISING = METHODS["score-stic"].presets["digits"]
SCORE_STIC: RunConfig = dataclasses.replace(
    DENOISING, passes=1, iterations=1, score=dataclasses.replace(DENOISING.score, denoised=1400)
)


RUNS = {
    "a large batch": small("softmax", batch_size=1400),
    "a plain network": small("softmax", batch_size=1400, network=NetworkConfig(architecture="convnet", width=3)),
    "a wide network": small("softmax", batch_size=4, network=NetworkConfig(depth=10, width=12)),
    "four kinds of images": small("stic", batch_size=400, chains=400, pool_batch=50),
    "many chains at once": small("stic", batch_size=4, chains=2000, pool_batch=2000),
    "many references": small("stic", batch_size=4, chains=100, references=100),
    "chains in each iteration": small("jem", batch_size=1400, chains=1400),
    "a large buffer": small("jem", batch_size=4, chains=300_000),
    "an embedding": small("gmmc", batch_size=1400, chains=1400),
    "images that are denoised": SCORE_STIC,
}


M_MMAP_THRESHOLD = -3
"""The name of glibc's setting, as malloc.h has it."""


def status(name: str) -> int:
    """A line of this process's memory, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def taken(config: RunConfig) -> int:
    """The peak of a training beyond what there was before it."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what the runs before have freed goes back to the system
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now
    with tempfile.TemporaryDirectory() as folder:
        train(config, Path(folder) / "run")
    return status("VmHWM") - before


def main() -> None:
    """One line a run."""
    torch.set_num_threads(1)
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**20)
    splits = load("digits")
    taken(small("stic", batch_size=2))  # whatever the first training loads
    for name, config in RUNS.items():
        print(
            json.dumps({"name": name, "taken": taken(config), "estimate": sum(training_bytes(config, splits).values())})
        )


if __name__ == "__main__":
    main()
