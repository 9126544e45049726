# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Records that lack something, or have it in another form, are told where; those of `evaluate` are not."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import pytest

from stic_fast.evaluation.record_form import evaluation_of, written

BINS = {"edges": [0.0, 0.5, 1.0], "counts": [0, 9], "accuracy": [None, 0.5], "confidence": [None, 0.75]}
SWEEP = [{"k": 1, "precision": 0.5, "recall": 0.5, "density": 1.0, "coverage": 0.25}]
SCORE = {"key": "ECE", "name": "ECE@20", "value": 0.1, "better": "lower", "what": "of the bins"}
WHOLE: dict[str, Any] = {
    "format": 2,
    "version": "0.1.0",
    "command": "stic-fast evaluate run",
    "method": "stic",
    "data": {"train": ["digits train", 9], "test": ["digits test", 8]},
    "seed": 2**64 - 1,
    "checkpoint": "pass_001",
    "seconds": {"all": 2.5},
    "images": {
        "judge": {"name": "cnn", "iterations": 3, "accuracy": None},
        "steps": 2,
        "n": 9,
        "n_real": 8,
        "rows": [
            {
                **{"key": "FD", "name": "FD-cnn@9", "better": "lower", "what": "distance"},
                **{"drawn": 2.0, "spread": None, "drawn_at_n_real": 3.0, "real": 1, "noise": 80.0},
            }
        ],
        "sweep": {"drawn": SWEEP, "real": [], "drawn_at_n_real": SWEEP},
        "nearest": {"drawn": 2.0, "real": 2.5},
    },
    "classifier": {
        "n": 8,
        "rows": [SCORE, {**SCORE, "key": "ECE-T"}],
        "reliability": BINS,
        "reliability_after": BINS,
    },
    "outliers": {
        "inside": "digits test",
        "n": 8,
        "rows": [
            {"score": score, "outliers": name, "auroc": 0.5} for score in ("gradient", "log_density") for name in "ab"
        ],
    },
    "attacks": {
        "n": 3,
        "rows": [{**SCORE, "key": "PGD-8", "n": 3}],
        "masking": {"masked": False, "verdict": "No sign.", "accuracy": 0.5},
        "cw": {"note": "left out"},
    },
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in a record."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    record = copy.deepcopy(WHOLE)
    inner: Any = record
    for key in path[:-1]:
        inner = inner[key]
    if value is changed:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return record


def test_a_whole_record_is_read_and_written_as_it_was() -> None:
    record = evaluation_of(WHOLE)
    assert written(record) == plain_tuples(WHOLE)
    assert record.images is not None and record.images.rows[0].drawn == 2.0
    short = evaluation_of({name: value for name, value in WHOLE.items() if name not in ("images", "outliers")})
    assert list(short.parts()) == ["classifier", "attacks"] and short.images is None
    assert evaluation_of({**WHOLE, "more": {"of": ["a", "later", "version"]}}) == record


def test_a_part_may_say_why_it_could_not_be_measured() -> None:
    plain = {**WHOLE, "images": {"note": "no images could be drawn"}, "attacks": {"note": "diverged", "n": 3}}
    record = evaluation_of(plain)
    assert record.images is None and record.attacks is None and record.classifier is not None
    assert list(record.parts()) == ["images", "classifier", "outliers", "attacks"]
    assert record.parts()["images"].note == "no images could be drawn" and record.parts()["attacks"].n == 3
    assert written(record) == plain_tuples(plain)


def plain_tuples(value: Any) -> Any:
    """Lists as tuples, which is how a record has them."""
    if isinstance(value, dict):
        return {name: plain_tuples(each) for name, each in value.items()}
    return tuple(map(plain_tuples, value)) if isinstance(value, list) else value


ANY = {("format",)}
"""Nobody reads it here."""
OPTIONAL = {("images",), ("classifier",), ("outliers",), ("attacks",), ("attacks", "cw"), ("attacks", "cw", "note")}
OPTIONAL |= {("seconds", "all"), ("data", "train"), ("data", "test")}
OPTIONAL |= {("attacks", "masking", "accuracy")}


@pytest.mark.parametrize("path", [path for path in places(WHOLE) if path not in ANY], ids=str)
def test_what_is_missing_or_of_another_type_is_told(path: tuple[Any, ...]) -> None:
    if isinstance(path[-1], str) and path not in OPTIONAL:
        with pytest.raises(ValueError, match=str(path[-1])):
            evaluation_of(changed(path, changed))
    for value in ([[]], {"x": object}, object, math.nan, math.inf, 10**400, -(10**400), "\x1b[31m", "\ud800"):
        if path != ("attacks", "cw") or not isinstance(value, dict):  # whose members are all optional
            with pytest.raises(ValueError, match=str(path[0])):
                evaluation_of(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("seed",), -1, "seed"),
        (("images", "n"), True, r"images\.n"),
        (("images", "rows", 0, "better"), "bigger", r"images\.rows\[0\]\.better"),
        (("images", "nearest"), {"drawn": 1.0}, "real.*images.nearest"),
        (("images", "sweep"), {"drawn": [], "real": []}, "sweep.drawn_at_n_real"),
        (("classifier", "reliability", "counts"), [9], "bins.*classifier.reliability"),
        (("outliers", "rows", 0, "score"), "beauty", "outliers"),
        (("outliers", "rows", 0, "outliers"), "c", "AUROC of"),
        (("data", "train"), ["digits train"], "data"),
        (("data", "a\x1bb"), ["digits", 1], "a name in data"),
        (("attacks",), {}, "attacks"),
        (("attacks", "masking"), {"masked": True}, "verdict"),
    ],
)
def test_what_does_not_fit_together_is_told(path: tuple[Any, ...], value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        evaluation_of(changed(path, value))
    assert "\n" not in str(refusal.value)
