# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The scores of textures as a typed record, and as a table: drawn ones beside another crop of the source and noise."""

from __future__ import annotations

import itertools
from typing import Literal

from stic_fast.evaluation.image_table import ARROWS, aligned, shown
from stic_fast.evaluation.record_form import Better, Record, Whole

TextureKind = Literal["drawn", "other crop", "source", "noise"]
MEANINGS: dict[str, tuple[str, Better | None]] = {
    "frechet": ("FD-{network}", "lower"),
    "gram": ("Gram-{network}", "lower"),
    "nearest": ("nearest", None),
    "copies": ("copies", "lower"),
    "diversity": ("diversity", None),
}
"""By the key of a score: its heading, and which way is better."""


class LayerDistances(Record):
    """What a layer says, from 0 (the same) to 1 (nothing in common)."""

    layer: str
    frechet: float
    gram: float


class TextureRow(Record):
    """The scores of one texture."""

    kind: TextureKind
    name: str
    frechet: float  # the mean over the layers, as the next
    gram: float
    nearest: float  # mean distance of a patch to the source's nearest, in units of its contrast
    copies: float  # share of the patches
    diversity: float | None  # from the other draws, where there are some; 1 as between two crops of the source
    layers: tuple[LayerDistances, ...]


class TextureScores(Record):
    """Textures held against their source: drawn ones, another crop of the source, the source itself, and noise."""

    network: str
    layers: tuple[str, ...]
    source: str
    window: tuple[Whole, Whole]  # height and width of the pieces whose features are compared
    patch: Whole  # side of the patches that are looked for in the source
    rows: tuple[TextureRow, ...]

    def __str__(self) -> str:
        return aligned([self.headings(), *map(self.cells, self.rows)])

    def headings(self) -> list[str]:
        """Those of the columns; diversity is there where more than one texture was drawn."""
        texts = (MEANINGS[key] for key in self._keys())
        return ["texture", *(text.format(network=self.network) + ARROWS[better] for text, better in texts)]

    def cells(self, row: TextureRow) -> list[str]:
        """A row under the headings."""
        return [
            self._short(row.name) if row.kind == "drawn" else row.name,
            *(shown(getattr(row, key), ".3g") for key in self._keys()),
        ]

    def _short(self, name: str) -> str:
        """A path without the folders that all have in common."""
        folders = zip(*(row.name.split("/")[:-1] for row in self.rows if row.kind == "drawn"), strict=False)
        shared = sum(1 for _ in itertools.takewhile(lambda each: len(set(each)) == 1, folders))
        return "/".join(name.split("/")[shared:])

    def _keys(self) -> list[str]:
        return [key for key in MEANINGS if key != "diversity" or any(row.diversity is not None for row in self.rows)]
