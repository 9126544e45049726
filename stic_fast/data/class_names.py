# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Classes as people write them: by name or by number."""

from __future__ import annotations

from collections.abc import Sequence

from stic_fast.errors import InputError
from stic_fast.readable import readable


def is_name(asked: str, class_names: Sequence[str]) -> bool:
    """Whether a text is a class's name, in any form of Unicode."""
    return _plain(asked) in map(_plain, class_names)


def _plain(name: str) -> str:
    return readable(name).strip()


def find_class(asked: str, class_names: Sequence[str]) -> int:
    """The class that a text names, in any form of Unicode; a name wins over a number.

    Raises:
        InputError: there is no such class; the message lists those there are.

    >>> find_class(" cat", ["dog", "cat"]), find_class("0", ["dog", "cat"])
    (1, 0)
    """
    numbers = {str(number): number for number in range(len(class_names))}
    known = {**numbers, **{_plain(name): number for number, name in enumerate(class_names)}}
    asked = _plain(asked)
    if asked not in known:
        shown = [name if name == str(number) else f"{number} {name}" for number, name in enumerate(class_names[:20])]
        listed = ", ".join([*shown, *["…"] * (len(class_names) > 20)])
        raise InputError(f"there is no class {asked!r}; the classes are {listed}")
    return known[asked]
