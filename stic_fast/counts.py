# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Numbers that must lie within a range, which stands beside them as part of their type: `passes: Count = 10`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, NamedTuple, get_args, get_type_hints

from stic_fast.errors import InputError
from stic_fast.ops.checks import MAX_SEED

MOST = 10_000_000  # of anything that is counted; beyond it a number is a slip of the finger


class Range(NamedTuple):
    """The numbers from the least to the most, both included."""

    least: float
    most: float

    def check(self, name: str, value: object, *, why: str = "") -> None:
        """Refuses what is no number within.

        Args:
            why: what sets the most, in words.

        Raises:
            InputError: naming it and the range.

        >>> Range(0, 1).check("flip_probability", 0.5)
        """
        if not isinstance(value, int | float) or not self.least <= value <= self.most:
            bounds = f"from {_written(self.least)} to {_written(self.most)}{f', {why}' if why else ''}"
            raise InputError(f"{name} must be {bounds}, got {value!r}; give a number within")


Count = Annotated[int, Range(1, MOST)]
CountOrZero = Annotated[int, Range(0, MOST)]
Seed = Annotated[int, Range(0, MAX_SEED - 1)]
Probability = Annotated[float, Range(0, 1)]
NotNegative = Annotated[float, Range(0, 3e38)]  # what float32 can hold
Positive = Annotated[float, Range(1e-12, 1e6)]


LATER = MappingProxyType({"later": True})
"""Metadata of a field of settings that runs of earlier versions do not name; its default is what those versions did."""


class Options:
    """The base of a command's options, dataclasses: refuses numbers out of their ranges as one is made."""

    prefix: ClassVar[str] = "--"
    """Of an option's name in messages."""

    def __post_init__(self) -> None:
        check_ranges(self, self.prefix)


def check_count(name: str, value: int, *, least: int = 1, most: int = MOST, why: str = "") -> None:
    """Refuses a number out of a range that depends on others.

    Args:
        why: what sets the most, in words.

    Raises:
        InputError: naming it and the range.

    >>> check_count("steps", 5)
    """
    Range(least, most).check(name, value, why=why)


def check_ranges(settings: Any, prefix: str = "") -> None:
    """Refuses a dataclass with a number, its own or of a dataclass in it, that is out of the range beside its type.

    Of a tuple every number is meant, and None is in every range.

    Args:
        prefix: of the names in messages; with "--" they are written as options.

    Raises:
        InputError: naming the setting and its range.

    >>> @dataclasses.dataclass
    ... class Settings:
    ...     passes: Annotated[int, Range(1, 10)] = 11
    >>> check_ranges(Settings())
    Traceback (most recent call last):
    ...
    stic_fast.errors.InputError: passes must be from 1 to 10, got 11; give a number within
    """
    hints = get_type_hints(type(settings), include_extras=True)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        name = prefix + (field.name.replace("_", "-") if prefix == "--" else field.name)
        if dataclasses.is_dataclass(value):
            check_ranges(value, f"{name}.")
            continue
        for within in ranges_of(hints[field.name]):
            for number in value if isinstance(value, tuple) else [value]:
                if number is not None:
                    within.check(name, number)


def ranges_of(hint: Any) -> Iterator[Range]:
    """The ranges in a type.

    >>> list(ranges_of(tuple[Probability, ...] | None))
    [Range(least=0, most=1)]
    """
    for part in get_args(hint):
        if isinstance(part, Range):
            yield part
        else:
            yield from ranges_of(part)


def _written(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
