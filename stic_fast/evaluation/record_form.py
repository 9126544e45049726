# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The form of evaluation.json, as `stic-fast evaluate` writes it, and whether a record has it."""

from __future__ import annotations

import types
from typing import Any, Literal, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

from stic_fast.evaluation.out_of_distribution import SCORE_NAMES

Better = Literal["higher", "lower"]
LARGEST = 1e300
"""Numbers are smaller, so that they can be drawn."""
ECE_OF = {"reliability": "ECE", "reliability_after": "ECE-T"}
"""The diagrams of a classifier, and the score in the title of each."""


class Heading(TypedDict):
    """What every record has."""

    version: str
    command: str
    method: str
    data: dict[str, tuple[str, int]]
    seed: int
    checkpoint: str
    seconds: dict[str, float]


class ImageRow(TypedDict):
    """A score of drawn images."""

    key: str
    name: str
    better: Better | None
    what: str
    drawn: float | None
    spread: float | None
    drawn_at_n_real: float | None
    real: float | None
    noise: float | None


class SweepRow(TypedDict):
    """The manifold scores at one number of neighbours."""

    k: float
    precision: float
    recall: float
    density: float
    coverage: float


class JudgeAbout(TypedDict):
    """Who judged."""

    name: str
    iterations: int
    accuracy: float | None


class Images(TypedDict):
    """Drawn images."""

    judge: JudgeAbout
    steps: int
    n: int
    n_real: int
    rows: list[ImageRow]
    sweep: dict[str, list[SweepRow]]
    nearest: dict[Literal["drawn", "real"], float]


class Row(TypedDict):
    """A score."""

    key: str
    name: str
    value: float | None
    better: Better | None
    what: str


class Bins(TypedDict):
    """A reliability diagram."""

    edges: list[float]
    counts: list[float]
    accuracy: list[float | None]
    confidence: list[float | None]


class ClassifierPart(TypedDict):
    """The classifier on real test images."""

    n: int
    rows: list[Row]
    reliability: Bins | None
    reliability_after: Bins | None


class AreaRow(TypedDict):
    """An area under the receiver operating characteristic."""

    score: str
    outliers: str
    auroc: float | None


class Outliers(TypedDict):
    """The classifier's scores of outliers."""

    inside: str
    n: int
    rows: list[AreaRow]


class AttackRow(Row):
    """A score under attack."""

    n: int


class Masking(TypedDict):
    """Whether the accuracies under attack can be believed."""

    masked: bool
    verdict: str


class Attacks(TypedDict):
    """The classifier under attack."""

    n: int
    rows: list[AttackRow]
    masking: Masking


class _Cw(TypedDict, total=False):
    """What is known of the L2 attack as a whole."""

    n: int
    note: str


class _Noted(TypedDict, total=False):
    """What any part may say."""

    note: str
    cw: _Cw


PARTS: dict[str, type] = {"images": Images, "classifier": ClassifierPart, "outliers": Outliers, "attacks": Attacks}


def check_record(record: dict[str, Any]) -> None:
    """Refuses a record that lacks something, or has it in another form.

    Raises:
        ValueError: naming what.

    >>> check_record({"seed": 0})
    Traceback (most recent call last):
    ...
    ValueError: it lacks version
    """
    _check(record, Heading, "")
    for name, form in PARTS.items():
        if name not in record:
            continue
        part = record[name]
        _check(part, _Noted, name)
        if "rows" in part or "note" not in part:  # a part that could not be measured has a note alone
            _check(part, form, name)
    images, classifier, outliers = (record.get(name, {}) for name in ("images", "classifier", "outliers"))
    if "rows" in images:
        for name in ("drawn", "real", *["drawn_at_n_real"] * (images["n_real"] < images["n"])):
            _require(name in images["sweep"], f"images.sweep.{name}")
        for name in ("drawn", "real"):
            _require(name in images["nearest"], f"images.nearest.{name}")
    values = {row["key"]: row["value"] for row in classifier.get("rows", ())}
    for name, score in ECE_OF.items():
        bins = classifier.get(name)
        if bins is not None:
            _require(values.get(score) is not None, f"the classifier's {score}")
            sizes = {len(bins["edges"]) - 1, len(bins["counts"]), len(bins["accuracy"]), len(bins["confidence"])}
            _require(len(sizes) == 1, f"some bins of classifier.{name}")
    areas = {(row["score"], row["outliers"]) for row in outliers.get("rows", ())}
    for score in {score for score, _ in areas}:
        _require(score in SCORE_NAMES, f"a known name for the score {score!r}")
        for name in {name for _, name in areas}:
            _require((score, name) in areas, f"the AUROC of {score} against {name}")


def _require(there: bool, what: str) -> None:
    if not there:
        raise ValueError(f"it lacks {what}")


def _check(value: Any, form: Any, where: str) -> None:
    origin, options = get_origin(form), get_args(form)
    if is_typeddict(form):
        _expect(isinstance(value, dict), where, "an object")
        for name, inner in get_type_hints(form).items():
            place = f"{where}.{name}" if where else name
            _require(name in value or name not in form.__required_keys__, place)
            if name in value:
                _check(value[name], inner, place)
    elif origin in (types.UnionType, Union):
        if value is not None:
            _check(value, options[0], where)
    elif origin is Literal:
        _expect(value in options, where, f"one of {', '.join(options)}")
    elif origin is list:
        _expect(isinstance(value, list), where, "a list")
        for number, each in enumerate(value):
            _check(each, options[0], f"{where}[{number}]")
    elif origin is tuple:
        _expect(isinstance(value, list) and len(value) == len(options), where, f"a list of {len(options)}")
        for number, (each, inner) in enumerate(zip(value, options, strict=True)):
            _check(each, inner, f"{where}[{number}]")
    elif origin is dict:
        _expect(isinstance(value, dict), where, "an object")
        for name, each in value.items():
            _check(name, options[0], f"a name in {where}")
            _check(each, options[1], f"{where}.{name}")
    elif form is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
        _expect(fits, where, "a number")
    elif form is int:
        _expect(type(value) is int and 0 <= value < 2**64, where, "a whole number, not negative")
    elif form is str:
        _expect(isinstance(value, str) and value.isprintable(), where, "a text in one line")
    else:
        _expect(isinstance(value, form), where, f"of type {form.__name__}")


def _expect(fits: bool, where: str, what: str) -> None:
    if not fits:
        raise ValueError(f"its {where} must be {what}")
