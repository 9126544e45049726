# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast train stic`: trains into a run folder, or goes on where a run stopped."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from stic_fast.cli.presets import DEFAULT, PRESETS, Preset
from stic_fast.cli.progress import RichProgress
from stic_fast.errors import InputError
from stic_fast.training import SticConfig, TrainedRun, resume, train


@dataclass(frozen=True)
class TrainStic:
    """Train STIC: a classifier that learns from real, mixed and its own drawn images, pass by pass."""

    # Settings to start from; every option below changes one of them.
    preset: Preset = DEFAULT
    # New folder for the run; None for runs/stic-PRESET-SEED.
    out: Path | None = None
    # Folder of a run to go on with, as it was configured; takes no other option.
    resume: Path | None = None
    settings: Annotated[SticConfig, tyro.conf.arg(name="")] = field(default_factory=lambda: PRESETS[DEFAULT])

    def execute(self) -> None:
        """Trains, and says where everything is."""
        progress = RichProgress()
        if self.resume is not None:
            with resumable(self.resume, "stic-fast train stic"):
                run = resume(self.resume, progress=progress)
                progress.pass_done(run.folder)  # a finished run trains no pass that would
        else:
            path = self.out or Path("runs") / f"stic-{self.preset}-{self.settings.seed}"
            settings = replace(self.settings, data=_anchored(self.settings.data, self.preset))
            with resumable(path, "stic-fast train stic"):
                run = train(settings, path, progress=progress)
        _tell(run, progress)


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


def _anchored(data: str, preset: str) -> str:
    """The data source with its path made absolute, so that the run can be opened from any folder."""
    source, colon, place = data.partition(":")
    if data == PRESETS[preset].data and colon:
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
