# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Numbers as a reader wants them: three digits, a unit, and how far the runs lay apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.results import Ratio
from benchmarks.row_names import GPU


def digits(value: float) -> str:
    """Three of them, as far as the point allows.

    >>> digits(0.12345), digits(23.456), digits(1234.5)
    ('0.12', '23.5', '1234')
    """
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def duration(seconds: float | None) -> str:
    """
    >>> duration(0.0123456), duration(4.2e-6), duration(None)
    ('12.3 ms', '4.20 µs', '')
    """
    if seconds is None:
        return ""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{digits(seconds / scale)} {unit}"
    return f"{digits(seconds * 1e6)} µs"


def each(seconds: float) -> str:
    """Time of one element.

    >>> each(1.234e-9), each(2.5e-12)
    ('1.23 ns', '2.50 ps')
    """
    return f"{digits(seconds * 1e9)} ns" if seconds >= 1e-10 else f"{digits(seconds * 1e12)} ps"


def times(ratio: Ratio | None) -> str:
    """The ratio, with its range where runs differ.

    >>> times(Ratio(23.456, 23.456, 23.456)), times(Ratio(2.0, 1.9, 2.15)), times(None)
    ('23.5x', '2.00x (1.90–2.15)', '')
    """
    if ratio is None:
        return ""
    spread = f" ({digits(ratio.least)}–{digits(ratio.greatest)})" if ratio.least < ratio.greatest else ""
    return f"{digits(ratio.median)}x{spread}"


def megabytes(count: float) -> str:
    """
    >>> megabytes(38_535_168)
    '38.5 MB'
    """
    return f"{digits(count / 1e6)} MB"


def counted(number: int, noun: str) -> str:
    """
    >>> counted(1, "thread"), counted(2, "thread")
    ('1 thread', '2 threads')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def workers(threads: int) -> str:
    """What a row was measured on.

    >>> workers(2), workers(GPU)
    ('2 threads', 'GPU')
    """
    return "GPU" if threads == GPU else counted(threads, "thread")


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers.

    >>> print(markdown(["op", "time"], [["gram", "3 ms"]]))
    | op | time |
    | --- | ---: |
    | gram | 3 ms |
    """
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows))
