# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The passes of a run whose weights are at hand, and what was logged as they ended."""

from __future__ import annotations

from stic_fast.counts import check_count
from stic_fast.errors import InputError
from stic_fast.training import RunFolder


def pass_ends(folder: RunFolder, most: int, *, first: int = 0) -> list[int]:
    """Passes that have ended, at most so many, spread evenly with both ends among them.

    Args:
        first: pass to begin with; 0 is before training.

    Raises:
        InputError: none has, or `most` is below 2.
    """
    check_count("--passes", most, least=2)
    ends = [point.pass_number for point in folder.checkpoints() if point.iteration is None]
    ends = [number for number in ends if number >= first]
    if not ends:
        raise InputError(f"{folder.path} has no checkpoint at the end of a pass yet; train it on")
    return spread_evenly(ends, most)


def spread_evenly(numbers: list[int], most: int) -> list[int]:
    """At most so many of the numbers, the first and the last among them.

    >>> spread_evenly([0, 1, 2, 3, 4, 5, 6], 4), spread_evenly([3, 8], 4)
    ([0, 2, 4, 6], [3, 8])
    """
    if len(numbers) <= most:
        return numbers
    gaps = most - 1
    return [numbers[(place * (len(numbers) - 1) + gaps // 2) // gaps] for place in range(most)]


def logged_accuracies(folder: RunFolder) -> dict[int, float]:
    """The classifier's test accuracy by pass, as training logged it; the last record of a pass counts."""
    return {record["pass"]: record["test_accuracy"] for record in folder.logged("evaluation", "test_accuracy")}
