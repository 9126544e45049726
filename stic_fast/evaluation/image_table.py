# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores of images as the columns and rows of a table: drawn images beside real ones and noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stic_fast.evaluation.record_form import ImageRow, ImageScores

ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}


def image_table(scores: ImageScores) -> str:
    """The scores in lines of text, and the note, if any, under them."""
    rows = [["score", *columns(scores).values()]]
    rows += [[row.name + ARROWS[row.better], *cells(scores, row)] for row in scores.rows]
    return "\n".join([aligned(rows), *[scores.note] * bool(scores.note)])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of texts in columns: the first begins at one place, the others end there.

    >>> print(aligned([["score", "drawn"], ["IS", "9.5"]]))
    score  drawn
    IS       9.5
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)


def columns(scores: ImageScores) -> dict[str, str]:
    """The columns and their headings. Where there are fewer real images, as few drawn ones stand beside them."""
    if scores.n_real == scores.n:
        return {"drawn": "drawn", "real": "real", "noise": "noise"}
    at = f"@{scores.n_real}"
    return {"drawn": "drawn", "drawn_at_n_real": f"drawn{at}", "real": f"real{at}", "noise": "noise"}


def cells(scores: ImageScores, row: ImageRow) -> list[str]:
    """A row of that table: four digits, and what spread is known of the drawn ones."""
    texts = {column: shown(getattr(row, column)) for column in columns(scores)}
    if row.spread is not None:
        texts["drawn"] += f" ± {row.spread:.3g}"
    return list(texts.values())


def shown(value: float | None, form: str = ".4g") -> str:
    """The number as tables have it, a dash where there is none.

    >>> shown(0.123456), shown(None)
    ('0.1235', '–')
    """
    return "–" if value is None else f"{value:{form}}"
