# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Trains the same run again and again in processes of their own, most of which die; test_resume.py starts it.

    python killed_runs.py FOLDER

makes for each method FOLDER/METHOD/whole, a run that nothing disturbs, and for every death below FOLDER/METHOD/NAME,
which dies there, is copied to FOLDER/METHOD/NAME.dead, and then resumed in a new process. Prints one JSON line for
each: how it died, what it said.
"""

from __future__ import annotations

import dataclasses
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
from stic_fast.sampling import GRMALA, Adam, AnnealedGRMALA
from stic_fast.training import (
    METHODS,
    GmmcConfig,
    IgmConfig,
    JemConfig,
    NetworkConfig,
    PoolConfig,
    Progress,
    ReplayConfig,
    RunConfig,
    ScoreSticConfig,
    SticConfig,
    WinnConfig,
    resume,
    train,
)
from stic_fast.training.averaging import AverageConfig
from stic_fast.training.config import DiscriminatorConfig, ScoreNetworkConfig
from stic_fast.training.igm import NegativesConfig, PatchConfig
from stic_fast.training.jem import DensityWeights
from stic_fast.training.score_matching import ScoreConfig
from stic_fast.training.score_stic import FakesConfig

SHARED: dict[str, Any] = {
    "passes": 2,
    "iterations": 6,
    "batch_size": 8,
    "network": NetworkConfig(depth=10, width=1),
    "sampler": GRMALA(steps=1),
    "log_every": 1,
    "checkpoint_every": 2,
}
REPLAY = ReplayConfig(chains=20, restart_probability=0.3, sampler=GRMALA(steps=2, eps1=0.1, eps2=0.0, eps3=0.01))
PAPERS_NETWORK = ScoreNetworkConfig(architecture="wide_resnet", depth=10, width=1, sigma_read=0.3)
CONFIGS: dict[str, RunConfig] = {
    "stic": SticConfig(**SHARED, pool=PoolConfig(chains=8, refresh=3, batch_size=8, sampler=GRMALA(steps=2))),
    "jem": JemConfig(**SHARED, pool=REPLAY, weights=DensityWeights(1.0, 0.1, 0.1)),
    "score-stic": ScoreSticConfig(
        **{**SHARED, "network": ScoreNetworkConfig(channels=(8, 16)), "sampler": AnnealedGRMALA(steps=1)},
        score=ScoreConfig(denoised=16),
        fakes=FakesConfig(images=8, batch_size=8, sampler=AnnealedGRMALA(steps=2)),
    ),
    # Draws from iteration 3 on: between the first two checkpoints.
    "gmmc": GmmcConfig(**SHARED, pool=REPLAY, mode="joint", switch=0.25, ramp=4, dimension=16, sampling="injected"),
    "igm": IgmConfig(
        **{**SHARED, "network": DiscriminatorConfig(channels=(8,)), "sampler": Adam(steps=4)},
        data="digits",
        patches=PatchConfig(side=7, cover=1.5),
        negatives=NegativesConfig(chains=10, rounds=2, window=2),
    ),
    # Whole images, by two networks of which each is trained for two rounds.
    "winn": WinnConfig(
        **{**SHARED, "passes": 4, "network": DiscriminatorConfig(channels=(8,), whole="on"), "sampler": Adam(steps=4)},
        networks=2,
        negatives=NegativesConfig(chains=10, rounds=2, window=2),
    ),
    "score-stic-one-level": dataclasses.replace(
        METHODS["score-stic"].presets["cifar10-paper"],
        **{**SHARED, "network": PAPERS_NETWORK, "sampler": AnnealedGRMALA()},
        data="digits",
        average=AverageConfig("power"),
        score=ScoreConfig(loss="sliced", brier=1.0, denoised=6),
        fakes=FakesConfig(images=8, one_level=GRMALA(steps=2, eps1=0.08)),
        one_level=GRMALA(steps=1, eps1=0.08),
    ),
}


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
    def task(self, description: str, total: int) -> Iterator[Callable[..., None]]:
        def advance(*_: object) -> None:
            if description.startswith(self.name):
                self.step -= 1
                if self.step == 0:
                    self.act()

        yield advance


OF_ALL_METHODS = ("within-pass-1", "saving-within-pass-1", "saving-between-passes", "within-pass-2")
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
    """Every death of every method."""
    torch.set_num_threads(1)
    load("digits")  # imports scikit-learn once, as the line below what an optimiser imports at its first step
    importlib.import_module("torch._dynamo")
    for method, config in CONFIGS.items():
        for told in runs_of(method, config, folder / method):
            print(json.dumps({"method": method, **told}), flush=True)


def runs_of(method: str, config: RunConfig, folder: Path) -> Iterator[dict[str, Any]]:
    """Every death of STIC, a few of another method, and the run without one."""
    yield {"name": "whole", **in_a_process(lambda: train(config, folder / "whole"))}
    for name, fate in DEATHS.items():
        if method != "stic" and name not in OF_ALL_METHODS:
            continue
        path = folder / name
        watch = kill_from_outside(path) if name == "from-outside" else lambda process: None
        death = in_a_process(lambda: train(config, path, progress=fate), watch)  # noqa: B023
        shutil.copytree(path, folder / f"{name}.dead")
        again = in_a_process(lambda: resume(path))  # noqa: B023
        yield {"name": name, **death, "resumed": again["exit"], "resume_said": again["said"]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
