# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Counts that must lie within a range."""

from __future__ import annotations

from stic_fast.errors import InputError

MOST = 10_000_000  # of anything that is counted; beyond it a number is a slip of the finger


def check_count(name: str, value: int, *, least: int = 1, most: int = MOST) -> None:
    """Refuses a number out of its range.

    Raises:
        InputError: naming it and the range.

    >>> check_count("steps", 5)
    """
    if not least <= value <= most:
        raise InputError(f"{name} must be from {least} to {most}, got {value}; give a number within")
