# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What is printed: names of files, classes and runs are shown as they are written, and command no terminal."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

LONGEST = 4_000  # letters of a sentence; a name can be longer than anybody reads


def printable(text: str) -> str:
    """The text with what is no letter or sign written out: control and direction characters, undecodable bytes.

    >>> print(printable("runs/\\x1b[31mred"))
    runs/\\x1b[31mred
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode("ascii")
        for letter in text
    )


def say(text: str, *, to: TextIO | None = None) -> None:
    """Prints text, on stdout or elsewhere, its lines kept."""
    print("\n".join(map(printable, text.split("\n"))), file=to or sys.stdout, flush=True)


def one_sentence(text: str) -> str:
    """The text on one line, cut in its middle where it is endless.

    >>> one_sentence("no such\\nfile")
    'no such file'
    """
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"


def console(*, stderr: bool = False) -> Console:
    """A rich console that reads no markup and no emoji in names."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def table(*columns: str, **options: Any) -> Table:
    """A table for `console`, its cells written as `say` writes text."""
    if isinstance(options.get("title"), str):
        options["title"] = printable(options["title"])
    return _Table(*map(printable, columns), **options)


class _Table(Table):
    def add_row(self, *cells: Any, **options: Any) -> None:
        super().add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in cells), **options)
