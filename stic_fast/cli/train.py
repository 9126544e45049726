# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast train METHOD`: trains into a run folder, or goes on where a run stopped."""

from __future__ import annotations

import functools
import operator
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import tyro

from stic_fast.cli.presets import DEFAULT, PRESETS, Preset
from stic_fast.cli.progress import RichProgress
from stic_fast.errors import InputError
from stic_fast.training import GmmcConfig, JemConfig, RunConfig, SoftmaxConfig, SticConfig, TrainedRun, resume, train


@dataclass(frozen=True)
class Train:
    """What training has in common; a subclass names the method and has its settings."""

    # Settings to start from; every option below changes one of them.
    preset: Preset = DEFAULT
    # New folder for the run; None for runs/METHOD-PRESET-SEED.
    out: Path | None = None
    # Folder of a run to go on with, as it was configured; takes no other option.
    resume: Path | None = None

    settings: RunConfig = field(default_factory=RunConfig)
    method: ClassVar[str]

    def execute(self) -> None:
        """Trains, and says where everything is."""
        progress, command = RichProgress(), f"stic-fast train {self.method}"
        if self.resume is not None:
            with resumable(self.resume, command):
                run = resume(self.resume, method=self.method, progress=progress)
                with run.folder.one_writer():
                    progress.pass_done(run.folder)  # a finished run trains no pass that would
        else:
            path = self.out or Path("runs") / f"{self.method}-{self.preset}-{self.settings.seed}"
            data = _anchored(self.settings.data, self.preset, PRESETS[self.method][self.preset].data)
            with resumable(path, command):
                run = train(replace(self.settings, data=data), path, progress=progress)
        _tell(run, progress)


@dataclass(frozen=True)
class TrainStic(Train):
    """Train STIC: a classifier that learns from real, mixed and its own drawn images, pass by pass."""

    method = "stic"
    settings: Annotated[SticConfig, tyro.conf.arg(name="")] = PRESETS["stic"][DEFAULT]


@dataclass(frozen=True)
class TrainGmmc(Train):
    """Train GMMC: a classifier whose classes are Gaussians around fixed centres, by --mode."""

    method = "gmmc"
    settings: Annotated[GmmcConfig, tyro.conf.arg(name="")] = PRESETS["gmmc"][DEFAULT]


@dataclass(frozen=True)
class TrainJem(Train):
    """Train JEM: a classifier whose logits are an energy-based model too; --weights.* choose the terms."""

    method = "jem"
    settings: Annotated[JemConfig, tyro.conf.arg(name="")] = PRESETS["jem"][DEFAULT]


@dataclass(frozen=True)
class TrainSoftmax(Train):
    """Train a plain softmax classifier, the baseline."""

    method = "softmax"
    settings: Annotated[SoftmaxConfig, tyro.conf.arg(name="")] = PRESETS["softmax"][DEFAULT]


TRAIN: tuple[type[Train], ...] = (TrainStic, TrainGmmc, TrainJem, TrainSoftmax)


def train_commands(preset: str) -> Any:
    """The type of all methods' commands, for the parser; the preset's settings are their defaults."""
    commands = [
        Annotated[
            kind,
            tyro.conf.subcommand(
                kind.method, default=kind(cast(Preset, preset), settings=PRESETS[kind.method][preset])
            ),
        ]
        for kind in TRAIN
    ]
    return functools.reduce(operator.or_, commands)


@contextmanager
def resumable(path: Path, command: str) -> Iterator[None]:
    """Around training into `path`: Ctrl-C says how to go on.

    Raises:
        KeyboardInterrupt: with that sentence, once there is a run to go on with.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        if not (path / "config.json").exists():
            raise
        raise KeyboardInterrupt(f"continue with {command} --resume {shlex.quote(str(path))}") from stop


def _anchored(data: str, preset: str, preset_data: str) -> str:
    """The data source with its path made absolute, so that the run can be opened from any folder."""
    source, colon, place = data.partition(":")
    if data == preset_data and colon:
        raise InputError(f"preset {preset} needs its images; add --data {source}:PATH")
    if not place or place.startswith("~"):
        return data
    return f"{source}:{Path(place).absolute()}"


def _tell(run: TrainedRun, progress: RichProgress) -> None:
    path = run.folder.path
    progress.say(f"run:     {path}")
    for picture in (path / "samples" / f"pass_{run.config.passes:03d}.png", path / "curves.png"):
        progress.say(f"picture: {picture}")
    progress.say(f"next:    stic-fast sample {shlex.quote(str(path))} --n 100")
