# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Progress on a terminal: bars with the time left on stderr, news on stdout; without a terminal only the news."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from stic_fast.cli.terminal import console, printable, say
from stic_fast.plots import training_curves
from stic_fast.plots.curves import Panels
from stic_fast.training import Progress, RunFolder


class RichProgress(Progress):
    """The command line's display; it also keeps a run's curves.png up to date.

    >>> with RichProgress().task("images", 2) as advance:  # silent where stderr is not a terminal
    ...     advance()
    """

    def __init__(self) -> None:
        self.console = console(stderr=True)
        self.shows_bars = sys.stderr.isatty() and not self.console.is_dumb_terminal

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Callable[..., None]]:
        """A bar for a piece of work, gone when it is done."""
        if not self.shows_bars:
            yield lambda *_: None
            return
        done = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        left = TextColumn("left"), TimeRemainingColumn()
        with Bars(*done, *left, console=self.console, transient=True) as bars:
            row = bars.add_task(printable(description), total=total)
            yield lambda *_: bars.advance(row)

    def say(self, message: str) -> None:
        """One line on stdout."""
        say(message)

    def pass_done(self, run: RunFolder, curves: Panels) -> None:
        """Draws the run's curves so far."""
        training_curves(run.read_metrics(), curves, run.picture("curves.png"))
