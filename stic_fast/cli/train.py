# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast train METHOD`: trains into a run folder, or goes on where a run stopped."""

from __future__ import annotations

import functools
import operator
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import tyro

from stic_fast.api.training import anchored
from stic_fast.cli.progress import RichProgress
from stic_fast.training import METHODS, RunConfig, TrainedRun, resume, train
from stic_fast.training.methods import method_of

Settings = TypeVar("Settings", bound=RunConfig)
Preset = TypeVar("Preset", bound=str)


@dataclass(frozen=True, kw_only=True)
class Train(Generic[Settings, Preset]):
    """Training by the method that the settings are of."""

    # Settings to start from; every option below changes one of them.
    preset: Preset
    # New folder for the run; None for runs/METHOD-PRESET-SEED.
    out: Path | None = None
    # Folder of a run to go on with, as it was configured; takes no other option.
    resume: Path | None = None

    settings: Annotated[Settings, tyro.conf.arg(name="")]

    def execute(self) -> None:
        """Trains, and says where everything is."""
        method, progress = method_of(self.settings), RichProgress()
        command = f"stic-fast train {method.name}"
        if self.resume is not None:
            with resumable(self.resume, command):
                run = resumed(self.resume, progress, method=method.name)
        else:
            path = self.out or Path("runs") / f"{method.name}-{self.preset}-{self.settings.seed}"
            data = anchored(self.settings.data, self.preset, method.presets[self.preset].data)
            with resumable(path, command):
                run = train(replace(self.settings, data=data), path, progress=progress)
        _tell(run, progress)


def train_commands(preset: str | None) -> Any:
    """The type of the commands of all methods, for the parser; settings are by default those of the preset."""
    commands = []
    for method in METHODS.values():
        names = tuple(method.presets)
        own = preset if preset in names else names[0]
        kind = Train[method.settings, Literal[names]]  # type: ignore[name-defined, valid-type]
        default = kind(preset=own, settings=method.presets[own])
        named = tyro.conf.subcommand(method.name, default=default, description=f"Train {method.summary}.")
        commands.append(Annotated[kind, named])
    return functools.reduce(operator.or_, commands)


def resumed(path: Path, progress: RichProgress, method: str | None = None) -> TrainedRun:
    """The run, gone on with to its end, and its curves, which a finished one trains no pass to draw."""
    run = resume(path, method=method, progress=progress)
    with run.folder.one_writer():
        progress.pass_done(run.folder, run.method.curves)
    return run


@contextmanager
def resumable(path: Path, command: str) -> Iterator[None]:
    """Around training into `path`: Ctrl-C says how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if not (path / "config.json").exists():
            raise
        raise KeyboardInterrupt(f"continue with {command} --resume {shlex.quote(str(path))}") from stop


def _tell(run: TrainedRun, progress: RichProgress) -> None:
    path = run.folder.path
    progress.say(f"run:     {path}")
    for picture in (path / "samples" / f"pass_{run.config.passes:03d}.png", path / "curves.png"):
        progress.say(f"picture: {picture}")
    progress.say(f"next:    stic-fast sample {shlex.quote(str(path))} --n 100")
