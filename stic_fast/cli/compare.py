# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast compare`: the evaluations of several methods and seeds, side by side in a table and a picture."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from stic_fast.atomic_write import atomic_write
from stic_fast.cli.terminal import say
from stic_fast.errors import InputError
from stic_fast.evaluation.comparison import ComparedScore, compared, comparison_text
from stic_fast.evaluation.record_form import Evaluation
from stic_fast.plots.comparison import Panel, save_comparison
from stic_fast.readable import readable
from stic_fast.training import folder_of

PICTURED = ("FD", "recall", "Cls_R", "Cls_G", "accuracy", "ECE", "AUROC-log_density", "PGD-8")
"""Scores in the picture unless others are asked for; those that no run has are left out."""
ENDINGS = (".md", ".png")


@dataclass(frozen=True)
class Compare:
    """Put evaluated runs side by side: a table and a picture."""

    # Each LABEL=RUN,RUN,… names the runs of a method, of other seeds for example, which `evaluate` has evaluated alike.
    groups: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="LABEL=RUN,...")]
    # Where to: FILE.md or FILE.png; the table and the picture are written beside each other.
    out: Path = Path("comparison.md")
    # Scores by their short names (FD, Cls_R, ECE, AUROC-log_density, PGD-8, …), with commas between; None for all in
    # the table and the main ones in the picture.
    scores: str | None = None

    def execute(self) -> None:
        """Reads, compares, writes and tells."""
        if self.out.suffix not in ENDINGS:
            raise InputError(f"--out must end in {' or '.join(ENDINGS)}, got {self.out}; both are written")
        groups = read_groups(self.groups)
        scores = compared(groups)
        shown = scores if self.scores is None else select(scores, self.scores)
        pictured = shown if self.scores is not None else [score for score in scores if score.key in PICTURED]
        text = comparison_text(groups, shown)
        table, picture = (self.out.with_suffix(ending) for ending in ENDINGS)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(table) as file:
            file.write(text.encode(errors="backslashreplace"))
        save_comparison(panels_of(pictured), picture)
        say(text)
        say(f"table:   {table}\npicture: {picture}")


def read_groups(texts: Sequence[str]) -> dict[str, dict[str, Evaluation]]:
    """The evaluations that texts such as "STIC=runs/a,runs/b" name: by label, then by folder."""
    groups: dict[str, dict[str, Evaluation]] = {}
    for text in texts:
        label, equals, folders = text.partition("=")
        label = readable(label)
        runs = [folder.strip() for folder in folders.split(",") if folder.strip()]
        if not equals or not label.strip() or not runs:
            raise InputError(f"runs to compare are named as LABEL=RUN,RUN, got {text!r}; write for example stic=runs/0")
        if label.strip() in groups:
            raise InputError(f"the label {label.strip()!r} stands twice; name all of its runs at once, LABEL=RUN,RUN")
        records: dict[str, Evaluation] = {}
        for folder in runs:
            record = folder_of(folder).evaluation()
            if folder in records or record is None:
                what = "stands twice" if folder in records else "has not been evaluated"
                evaluate = f"stic-fast evaluate {shlex.quote(folder)}"
                raise InputError(f"{folder} {what}; name each run once, after {evaluate}")
            records[folder] = record
        groups[label.strip()] = records
    return groups


def select(scores: Sequence[ComparedScore], asked: str) -> list[ComparedScore]:
    """Those of the scores that a text such as "FD,Cls_R" asks for, in its order."""
    keys = list(dict.fromkeys(score.key for score in scores))
    wanted = [key.strip() for key in asked.split(",") if key.strip()]
    unknown = [key for key in wanted if key not in keys]
    if unknown or not wanted:
        what = f"no run has a score {unknown[0]!r}" if unknown else "--scores names none"
        raise InputError(f"{what}; the scores are {', '.join(keys)}")
    return [score for key in wanted for score in scores if score.key == key]


def panels_of(scores: Sequence[ComparedScore]) -> list[Panel]:
    """A panel per key: where a score was taken at two counts, the one at which real images have a value too."""
    by_key: dict[str, ComparedScore] = {}
    for score in scores:
        if score.key not in by_key or score.real is not None:
            by_key[score.key] = score
    return [Panel(score.name, score.values, score.better, score.real) for score in by_key.values()]
