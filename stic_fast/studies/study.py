# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a study is, and what it finds: one picture, and the numbers in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from stic_fast.training import Progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class StudyResult:
    """A study's result."""

    figure: Figure
    """Made without pyplot."""
    record: dict[str, Any]
    """All numbers in the picture, of types that JSON knows; a number that is not finite becomes null there."""


class Study(Protocol):
    """One question about a trained run: a frozen dataclass of options that carries itself out."""

    @property
    def run(self) -> Path:
        """Folder of the run."""

    @property
    def seed(self) -> int:
        """Of all noise."""

    def compute(self, progress: Progress) -> StudyResult:
        """Draws, measures and pictures.

        Raises:
            InputError: a run or an option that cannot be used.
        """
