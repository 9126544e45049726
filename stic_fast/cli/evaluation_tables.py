# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The record of an evaluation as tables on a terminal; what went wrong stands there in red."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console

from stic_fast.cli.terminal import console, printable, table
from stic_fast.evaluation.image_table import cells, columns, shown
from stic_fast.evaluation.out_of_distribution import SCORE_NAMES
from stic_fast.evaluation.record_form import (
    AttackScores,
    ClassifierScores,
    Evaluation,
    ImageScores,
    OutlierScores,
)
from stic_fast.evaluation.texture_record import TextureScores


def tell(record: Evaluation) -> None:
    """Prints the parts that the record has."""
    terminal = console()  # names and notes have brackets of their own
    for name, part in record.parts().items():
        if part.note:
            terminal.print(printable(f"{name}: {part.note}"), style="bold red")
        if name not in record.unmeasured:
            TABLES[name](terminal, part)


def tell_images(scores: ImageScores) -> None:
    """Prints the scores of images alone."""
    terminal = console()
    _images(terminal, scores)
    if scores.note:
        terminal.print(printable(scores.note))


def tell_texture(scores: TextureScores) -> None:
    """Prints the scores of textures."""
    height, width = scores.window
    title = f"windows of {width}x{height} pixels, patches of {scores.patch}x{scores.patch}"
    rows = table(*scores.headings(), title=title)
    for row in scores.rows:
        rows.add_row(*scores.cells(row))
    console().print(rows)


def _images(terminal: Console, part: ImageScores) -> None:
    """Scores of n_real drawn images stand beside those of the real ones, where these are too few for the whole set."""
    rows = table("score", *columns(part).values(), title=f"{part.n} drawn images, {part.n_real} real ones")
    for row in part.rows:
        rows.add_row(row.name, *cells(part, row))
    terminal.print(rows)


def _classifier(terminal: Console, part: ClassifierScores) -> None:
    rows = table("classifier", "value", title=f"{part.n} real test images")
    for row in part.rows:
        rows.add_row(row.name, shown(row.value))
    terminal.print(rows)


def _outliers(terminal: Console, part: OutlierScores) -> None:
    areas = part.areas()
    rows = table("AUROC", *(SCORE_NAMES[score] for score in areas), title=f"{part.n} images of {part.inside}")
    for name in dict.fromkeys(row.outliers for row in part.rows):
        rows.add_row(name, *(shown(found[name], ".3f") for found in areas.values()))
    terminal.print(rows)


def _attacks(terminal: Console, part: AttackScores) -> None:
    rows = table("attack", "value", "images")
    for row in part.rows:
        rows.add_row(row.name, shown(row.value, ".3f"), str(row.n))
    terminal.print(rows)
    if part.cw and part.cw.note:
        terminal.print(printable(part.cw.note))
    terminal.print(printable(part.masking.verdict), style="bold red" if part.masking.masked else None)


TABLES: dict[str, Callable[[Console, Any], None]] = {
    "images": _images,
    "classifier": _classifier,
    "outliers": _outliers,
    "attacks": _attacks,
}
