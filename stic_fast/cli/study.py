# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study NAME`: one question about a trained run, answered by a picture and the numbers in it."""

from __future__ import annotations

import functools
import json
import math
import operator
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import tyro

from stic_fast import __version__
from stic_fast.api.command_line import command_line
from stic_fast.atomic_write import atomic_write
from stic_fast.cli.drawing import picture_of
from stic_fast.cli.progress import RichProgress
from stic_fast.digests import listed_file
from stic_fast.plots.grid import write_png
from stic_fast.plots.looks import as_written
from stic_fast.studies import STUDIES, Study
from stic_fast.training import folder_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH, WIDEST = 130, 2900  # pixels
FOOTER_SIZE = 7  # points; a letter is about half as wide

Chosen = TypeVar("Chosen", bound=Study)


@dataclass(frozen=True)
class StudyCommand(Generic[Chosen]):
    """A study with the place for its picture."""

    study: Annotated[Chosen, tyro.conf.arg(name="")]
    # FILE.png, beside which FILE.json is put; None for a picture in the run's folder `studies`.
    out: Path | None = None

    def execute(self) -> None:
        """Carries the study out, and writes picture and numbers."""
        study, name, progress = self.study, _name(self.study), RichProgress()
        run = folder_of(study.run)
        run.read_config()  # no folder is made in a place that holds no run
        with picture_of(run, self.out, f"studies/{name}.png", "a study is pictured") as target:
            numbers = target.with_suffix(".json")
            command, begun = command_line(["study", name], study), time.perf_counter()
            finding = study.compute(progress)
            seconds = round(time.perf_counter() - begun, 1)
            about = {"command": command, "version": __version__, "seed": study.seed, "seconds": seconds}
            save_figure(finding.figure, target, footer=f"seed {study.seed} · {seconds:g} s · {command}")
            write = listed_file if self.out is None else atomic_write  # beside the user's own files, no list of ours
            with write(numbers) as file:
                file.write((json.dumps(_plain({**about, **finding.record}), indent=2, allow_nan=False) + "\n").encode())
        progress.say(f"picture: {target}")
        progress.say(f"numbers: {numbers}")


def study_commands() -> Any:
    """The type of all studies, for the parser."""
    commands = [
        Annotated[
            StudyCommand[kind],  # type: ignore[valid-type]
            tyro.conf.subcommand(name, description=(kind.__doc__ or name).partition("\n")[0]),
        ]
        for name, kind in STUDIES.items()
    ]
    return functools.reduce(operator.or_, commands, Annotated[None, tyro.conf.Suppress])


def save_figure(figure: Figure, target: Path, *, footer: str) -> None:
    """Writes the figure as PNG, whole or not at all, with a small grey footer under it."""
    width, _ = figure.get_size_inches()
    letters = int(width * 72 / (0.52 * FOOTER_SIZE))
    text = textwrap.fill(footer, letters, break_on_hyphens=False)
    figure.text(0.01, -0.01, text, va="top", ha="left", fontsize=FOOTER_SIZE, color="0.5")
    as_written(figure)
    dots = min(DOTS_PER_INCH, WIDEST / (width + 0.5))
    settings: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.12, "facecolor": "white"}
    write_png(target, lambda file: figure.savefig(file, format="png", dpi=dots, **settings))


def _name(study: Study) -> str:
    return next(name for name, kind in STUDIES.items() if kind is type(study))


def _plain(value: Any) -> Any:
    """The record with null in the place of numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
