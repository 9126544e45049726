# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Every number that people give has a range, and out of it is refused by name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_type_hints

import pytest

from stic_fast.cli.demo import Demo
from stic_fast.cli.evaluate import Evaluate
from stic_fast.cli.interpolate import Interpolate
from stic_fast.cli.sample import Sample
from stic_fast.counts import Options, Range, check_count, check_ranges, ranges_of
from stic_fast.errors import InputError
from stic_fast.sampling import GRMALA, MALA
from stic_fast.studies import STUDIES
from stic_fast.training import METHODS
from stic_fast.training.config import check

COMMANDS = (Sample, Interpolate, Evaluate, Demo, *STUDIES.values())
SETTINGS = (*(method.settings for method in METHODS.values()), GRMALA, MALA, *COMMANDS)


def is_number(hint: Any) -> bool:
    """Whether a type is a number's, or has one in it."""
    return hint in (int, float) or any(map(is_number, get_args(hint)))


def numbers(kind: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """The numeric fields of a dataclass and of those in it, with their types."""
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if dataclasses.is_dataclass(hint):
            yield from numbers(hint, f"{before}{name}.")
        elif is_number(hint):
            yield before + name, hint


@pytest.mark.parametrize("kind", SETTINGS, ids=lambda kind: kind.__name__)
def test_every_number_has_a_range(kind: Any) -> None:
    fields = dict(numbers(kind))
    assert fields
    for name, hint in fields.items():
        assert list(ranges_of(hint)), f"{kind.__name__}.{name} has no range"


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
def test_options_check_themselves(kind: Any) -> None:
    assert issubclass(kind, Options) and kind.__post_init__ is Options.__post_init__


@pytest.mark.parametrize("method", list(METHODS))
def test_presets_lie_within(method: str) -> None:
    for settings in METHODS[method].presets.values():
        check(settings)


def replaced(settings: Any, path: str, value: Any) -> Any:
    """The dataclass with a setting, perhaps of a dataclass in it, changed past all checks."""
    name, _, rest = path.partition(".")
    own = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    own[name] = replaced(own[name], rest, value) if rest else value
    copy = object.__new__(type(settings))
    copy.__dict__.update(own)
    return copy


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("value", [10**30, -(10**30), 2**64, math.inf, -math.inf, math.nan, 1e300])
def test_every_setting_is_refused_by_name(method: str, value: float) -> None:
    settings = METHODS[method].settings()
    for path, hint in numbers(type(settings)):
        ranges = list(ranges_of(hint))
        if any(each.least <= value <= each.most for each in ranges):
            continue
        wrong = (value,) if "tuple" in str(hint) else value
        with pytest.raises(InputError, match=rf"^{path} must be from .* to .*, got .*; give a number within$"):
            check_ranges(replaced(settings, path, wrong))


@dataclasses.dataclass
class Example(Options):
    some_size: Annotated[float, Range(0, 1)] = 0.5
    several: tuple[Annotated[int, Range(1, 9)], ...] | None = None


def test_options_are_named_as_they_are_written() -> None:
    Example(1, (1, 9))
    with pytest.raises(InputError, match=r"^--some-size must be from 0 to 1, got 2; give a number within$"):
        Example(2)
    with pytest.raises(InputError, match="--several must be from 1 to 9, got 10"):
        Example(several=(1, 10))
    with pytest.raises(InputError, match="--some-size must be from 0 to 1, got 'half'"):
        Example("half")  # type: ignore[arg-type]


def test_a_range_that_depends_on_others() -> None:
    with pytest.raises(InputError, match=r"^chains must be from 1 to 4, as there are, got 5; give a number within$"):
        check_count("chains", 5, most=4, why="as there are")
