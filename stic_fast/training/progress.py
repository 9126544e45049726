# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What long work tells whoever watches; silent unless a display is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stic_fast.plots.curves import Panels
from stic_fast.training.run_folder import RunFolder


class Progress:
    """The silent display. The command line subclasses it to show bars."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Callable[..., None]]:
        """A piece of work of `total` steps; call what it yields after each, with whatever there is to tell."""
        yield lambda *_: None

    def say(self, message: str) -> None:
        """One line of news."""

    def pass_done(self, run: RunFolder, curves: Panels) -> None:
        """A pass has ended and is on disk; `curves` are those of the run's method."""
