# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The format number and the version in what is saved, and the one rule for reading what another version saved.

Each kind of file has a number, which goes up by one when the form of its content changes. A file without a number is of
the first form, 1. What is older is brought up to date a number at a time; what is newer is refused, for only its own
version knows what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stic_fast import __version__
from stic_fast.errors import InputError
from stic_fast.stored import damaged

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Format:
    """The form of one kind of file.

    >>> scores = Format(upgrades=(lambda old: {"accuracy": 1 - old["error"]},))
    >>> scores.number, scores.current({"error": 0.25}, Path("scores.json"), "measure anew")
    (2, {'accuracy': 0.75})
    """

    oldest: int = 1
    """The first number that is still read."""
    upgrades: tuple[Upgrade, ...] = ()
    """From each older number to the next. Nothing is known of what they are given but that it is an object."""

    @property
    def number(self) -> int:
        """Of what this version writes."""
        return self.oldest + len(self.upgrades)

    def stamp(self) -> dict[str, Any]:
        """What is written with the content.

        >>> sorted(Format().stamp())
        ['format', 'version']
        """
        return {"format": self.number, "version": __version__}

    def current(
        self, content: dict[str, Any], path: Path, hint: str, stamp: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """A content that was read, in the form of now.

        Args:
            path: where it stands.
            hint: what to do about a file that cannot be used, the end of the sentence.
            stamp: what was written with it; None if that stands in the content itself.

        Raises:
            InputError: it is of a newer form, of one older than `oldest`, or of no number.
        """
        stamp = content if stamp is None else stamp
        number, version = stamp.get("format", 1), stamp.get("version")
        if type(number) is not int or number < 1:
            raise damaged(path, f"its format is {number!r:.20} and no number from 1", hint)
        if number > self.number:
            writer = f"stic_fast {version:.20}" if isinstance(version, str) else "another stic_fast"
            raise InputError(
                f"{path} was written by {writer} in form {number}, and this is stic_fast {__version__}, which reads "
                f"forms up to {self.number}; install that version or a later one"
            )
        if number < self.oldest:
            raise InputError(f"{path} is of an older version of stic_fast, which this one does not read; {hint}")
        for upgrade in self.upgrades[number - self.oldest :]:
            content = upgrade(content)
        return content
