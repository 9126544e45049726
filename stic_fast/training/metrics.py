# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The log of a run, metrics.jsonl: a record a line, each of a pass, an iteration and a kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from stic_fast.counts import MOST
from stic_fast.digests import DIFFERS, SUMS
from stic_fast.errors import InputError
from stic_fast.stored import damaged, parse_object, read_bytes, reason

METRICS = "metrics.jsonl"
HINT = f"restore it, or delete its line in {SUMS} to keep it as it is; the checkpoints are not concerned"
HINT_LINE = f"mend or delete that line, and the file's own line in {SUMS}; the checkpoints are not concerned"
LARGEST = 2**63
"""Whole numbers in a record are smaller, and so can be drawn."""


class Line(NamedTuple):
    """One record, and its text."""

    text: str
    record: dict[str, Any]
    where: str
    """What it is called in errors."""

    def holding(self, *names: str) -> dict[str, Any]:
        """The record, which holds these numbers."""
        for name in names:
            if not isinstance(self.record.get(name), int | float):
                raise InputError(f"{self.where} is damaged (it lacks the number {name!r}); {HINT_LINE}")
        return self.record


def lines_of(records: list[dict[str, Any]]) -> list[Line]:
    """The lines that hold these records."""
    return [Line(json.dumps(record), record, METRICS) for record in records]


def read_lines(file: Path) -> list[Line]:
    """All records of a log; none where there is none yet.

    Older versions appended to the file, so a last line that a kill cut short is left out where nothing says otherwise.

    Raises:
        InputError: a record is damaged, or the file is not as it was written; it names file and line.
    """
    try:
        content, whole = read_bytes(file, HINT)
    except FileNotFoundError:
        return []
    lines = []
    texts = content.split(b"\n")
    for number, text in enumerate(texts, start=1):
        last = number == len(texts)
        if last and not text:
            continue
        where = f"line {number} of {file}"
        try:
            lines.append(Line(text.decode(), _record(text), where))
        except (ValueError, RecursionError) as error:
            if last and whole:
                continue
            raise InputError(f"{where} is damaged ({reason(error)}); {HINT_LINE}") from error
    if not whole:
        raise damaged(file, DIFFERS, HINT)
    return lines


def _record(text: bytes) -> dict[str, Any]:
    record = parse_object(text)
    for name in ("pass", "iteration"):
        value, most = record.get(name), MOST if name == "pass" else LARGEST
        if type(value) is not int or not 0 <= value < most:
            raise ValueError(f"its {name!r} is no number of one")
    if not isinstance(record.get("kind"), str):
        raise ValueError("it lacks its 'kind'")
    if any(isinstance(value, int) and abs(value) >= LARGEST for value in record.values()):
        raise ValueError("it holds a number that is too large")
    return record
