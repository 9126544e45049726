# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Trains the same run again and again in processes of their own, most of which die; test_resume.py starts it.

    python killed_runs.py FOLDER

makes FOLDER/whole, a run that nothing disturbs, and for every death below FOLDER/NAME, which dies there, is copied to
FOLDER/NAME.dead, and then resumed in a new process. Prints one JSON line for each: how it died, what it said.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from stic_fast.data import load
from stic_fast.errors import InputError
from stic_fast.sampling import GRMALA
from stic_fast.training import NetworkConfig, PoolConfig, Progress, SticConfig, resume, train

CONFIG = SticConfig(
    passes=2,
    iterations=6,
    batch_size=8,
    network=NetworkConfig(depth=10, width=1),
    pool=PoolConfig(chains=8, refresh=3, batch_size=8, sampler=GRMALA(steps=2)),
    sampler=GRMALA(steps=1),
    log_every=1,
    checkpoint_every=2,
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def limit_files_to(size: int) -> Callable[[], None]:
    """From now on no file may grow beyond this: what writing to a full disk is like, without filling one."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))


def die_before_rename(count: int) -> None:
    """Dies in the count-th checkpoint from now, fully written under its provisional name."""
    rename, renamed = Path.rename, 0

    def last_rename(self: Path, target: Any) -> Any:
        nonlocal renamed
        renamed += 1
        if renamed == count:
            die()
        return rename(self, target)

    Path.rename = last_rename  # type: ignore[method-assign]


class Fate(Progress):
    """Does something at the given step of the first task whose description begins so."""

    def __init__(self, task: str, step: int, act: Callable[[], None]) -> None:
        self.name, self.step, self.act = task, step, act

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Callable[[], None]]:
        def advance() -> None:
            if description.startswith(self.name):
                self.step -= 1
                if self.step == 0:
                    self.act()

        yield advance


DEATHS: dict[str, Fate] = {
    "at-once": Fate("pass 1", 1, die),
    "within-pass-1": Fate("pass 1", 5, die),
    "saving-within-pass-1": Fate("pass 1", 1, lambda: die_before_rename(2)),
    "samples-between-passes": Fate("samples after pass 1", 1, die),
    "saving-between-passes": Fate("pass 1", 1, lambda: die_before_rename(3)),
    "drawing-the-pool": Fate("fakes for pass 2", 1, die),
    "within-pass-2": Fate("pass 2", 3, die),
    "from-outside": Fate("pass 2", 1, lambda: time.sleep(60)),
    "no-room-for-metrics": Fate("pass 1", 3, limit_files_to(100)),
    "no-room-for-samples": Fate("pass 1", 5, limit_files_to(5_000)),
    "no-room-for-weights": Fate("pass 1", 5, limit_files_to(100_000)),
    "no-room-for-state": Fate("pass 1", 5, limit_files_to(400_000)),
}


def in_a_process(work: Callable[[], Any], watch: Callable[[int], None] = lambda process: None) -> dict[str, Any]:
    """Runs work in a process of its own; its signal or exit status, and what InputError said."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        status = 1
        try:
            work()
            status = 0
        except InputError as error:
            os.write(writing, str(error).encode())
            status = 2
        finally:
            os._exit(status)
    os.close(writing)
    watch(process)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, code = os.waitpid(process, 0)
    return {"exit": os.waitstatus_to_exitcode(code), "said": said}


def kill_from_outside(path: Path) -> Callable[[int], None]:
    """Kills the process some time after pass 1 was saved."""

    def watch(process: int) -> None:
        while not (path / "checkpoints" / "pass_001").exists():
            time.sleep(0.002)
        time.sleep(0.05)
        os.kill(process, signal.SIGKILL)

    return watch


def main(folder: Path) -> None:
    """Every death, and the run without one."""
    torch.set_num_threads(1)
    load("digits")  # imports scikit-learn once, as the line below what an optimiser imports at its first step
    importlib.import_module("torch._dynamo")
    whole = in_a_process(lambda: train(CONFIG, folder / "whole"))
    print(json.dumps({"name": "whole", **whole}), flush=True)
    for name, fate in DEATHS.items():
        path = folder / name
        watch = kill_from_outside(path) if name == "from-outside" else lambda process: None
        death = in_a_process(lambda: train(CONFIG, path, progress=fate), watch)  # noqa: B023
        shutil.copytree(path, folder / f"{name}.dead")
        again = in_a_process(lambda: resume(path))  # noqa: B023
        print(json.dumps({"name": name, **death, "resumed": again["exit"], "resume_said": again["said"]}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
