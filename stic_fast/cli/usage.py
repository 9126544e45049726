# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Usage errors as one sentence, made from the box of text that tyro prints."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

from stic_fast.errors import InputError

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_INNER = re.compile(r"(__tyro[\w-]*__\.)+(settings\.)?")  # how tyro names what nested commands hold
_RULE = re.compile(r"[─\-╭╮╰╯ ]+")


@contextmanager
def usage_errors_in_a_sentence() -> Iterator[None]:
    """Around the parsing of arguments: an exit with code 2 becomes an InputError with the printed text.

    >>> import sys
    >>> with usage_errors_in_a_sentence():
    ...     print("Missing value for --n.", file=sys.stderr)
    ...     sys.exit(2)
    Traceback (most recent call last):
    ...
    stic_fast.errors.InputError: missing value for --n
    """
    printed = io.StringIO()
    try:
        with redirect_stderr(printed):
            yield
    except SystemExit as stop:
        if stop.code != 2:
            raise
        raise InputError(as_sentence(printed.getvalue())) from None


def as_sentence(box: str) -> str:
    """The sections of a box, the first in full and of the others two lines each, with semicolons between.

    >>> print(as_sentence('''
    ... ╭─ Unrecognized options ───────────────────╮
    ... │ Unrecognized options: --lr, 3            │
    ... │ ──────────────────────────────────────── │
    ... │ Perhaps you meant:                       │
    ... │     --optimiser.lr FLOAT                 │
    ... │         Learning rate. (default: 0.0001) │
    ... ╰──────────────────────────────────────────╯'''))
    unrecognized options: --lr, 3; perhaps you meant: --optimiser.lr FLOAT
    """
    sections: list[list[str]] = [[]]
    for line in _INNER.sub("", _COLOUR.sub("", box)).splitlines():
        text = line.strip("│ ")
        if text.startswith("╭") or (text and _RULE.fullmatch(text)):
            sections.append([])
        elif text:
            sections[-1].append(text)
    first, *others = [section for section in sections if section] or [["the arguments cannot be used"]]
    clauses = [" ".join(lines).rstrip(".:") for lines in (first, *(section[:2] for section in others))]
    return "; ".join(clause[:1].lower() + clause[1:] for clause in clauses)
