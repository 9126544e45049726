# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Evaluations of several runs side by side: only where they were made alike, with every spread in sight.

A run's evaluation is the record that `stic-fast evaluate` writes. Runs that belong together, such as the seeds of a
method, share a label.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from stic_fast.errors import InputError
from stic_fast.evaluation.features import metric_name
from stic_fast.evaluation.image_scores import COUNT_DEPENDENT
from stic_fast.evaluation.out_of_distribution import SCORE_NAMES

Record = Mapping[str, Any]
Groups = Mapping[str, Mapping[str, Record]]  # records by label, then by the run's name


class Value(NamedTuple):
    """A score of one run."""

    key: str
    """By which it is asked for, such as FD; a score may come twice, of all drawn images and of as many as there are
    real ones."""
    name: str
    better: Literal["higher", "lower"] | None
    value: float | None
    real: float | None = None
    """Of real test images, as many as were drawn, in place of the drawn ones."""
    noise: float | None = None


@dataclass(frozen=True)
class ComparedScore:
    """A score of all runs. Values are by label, one for each run that has it."""

    key: str
    name: str
    better: Literal["higher", "lower"] | None
    values: Mapping[str, tuple[float, ...]]
    real: float | None
    noise: float | None

    def mean(self, label: str) -> float | None:
        """Of the label's runs, None where there is no value."""
        values = self.values[label]
        return math.fsum(values) / len(values) if values else None

    def best(self) -> list[str]:
        """The labels with the best mean; none where there is no better, or where all are as good."""
        means = {label: mean for label in self.values if (mean := self.mean(label)) is not None}
        if self.better is None or len(set(means.values())) < 2:
            return []
        wanted = (max if self.better == "higher" else min)(means.values())
        return [label for label, mean in means.items() if mean == wanted]


def compared(groups: Groups) -> list[ComparedScore]:
    """Every score that any of the runs has, in the order of a record.

    Raises:
        InputError: no runs, or two that were evaluated differently; it names the difference.
    """
    runs = [(name, record) for records in groups.values() for name, record in records.items()]
    if not runs:
        raise InputError("there are no runs to compare; name some as LABEL=RUN,RUN")
    _check_alike(runs)
    found: dict[tuple[str, str], dict[str, list[Value]]] = {}
    for label, records in groups.items():
        for record in records.values():
            for value in values_of(record):
                found.setdefault((value.key, value.name), {}).setdefault(label, []).append(value)
    return [_compared_score(list(groups), by_label) for by_label in found.values()]


def values_of(record: Record) -> Iterator[Value]:
    """The scores of one evaluation; of outliers the mean over their sets, as AUROC-SCORE.

    >>> record = {"classifier": {"rows": [{"key": "ECE", "name": "ECE@20", "value": 0.1, "better": "lower"}]}}
    >>> list(values_of(record))
    [Value(key='ECE', name='ECE@20', better='lower', value=0.1, real=None, noise=None)]
    """
    images = record.get("images", {})
    for row in images.get("rows", ()):
        comparable = images["n_real"] == images["n"] or row["key"] not in COUNT_DEPENDENT
        real = row["real"] if comparable else None
        yield Value(row["key"], row["name"], row["better"], row["drawn"], real, row["noise"])
        if not comparable:
            name = metric_name(row["key"], images["judge"]["name"], images["n_real"])
            yield Value(row["key"], name, row["better"], row["drawn_at_n_real"], row["real"])
    if "nearest" in images:
        name = "distance to the nearest training image"
        yield Value("distance", name, None, images["nearest"]["drawn"], images["nearest"]["real"])
    for row in record.get("classifier", {}).get("rows", ()):
        yield Value(row["key"], row["name"], row["better"], row["value"])
    for score, areas in areas_of(record).items():
        known = [area for area in areas.values() if area is not None]
        mean = math.fsum(known) / len(known) if len(known) == len(areas) else None
        yield Value(f"AUROC-{score}", f"AUROC {SCORE_NAMES[score]}, mean of {len(areas)} sets", "higher", mean)
    for row in record.get("attacks", {}).get("rows", ()):
        yield Value(row["key"], row["name"], row["better"], row["value"])


def areas_of(record: Record) -> dict[str, dict[str, float | None]]:
    """AUROC by score, then by set of outliers."""
    areas: dict[str, dict[str, float | None]] = {}
    for row in record.get("outliers", {}).get("rows", ()):
        areas.setdefault(row["score"], {})[row["outliers"]] = row["auroc"]
    return areas


def notes_of(record: Record) -> list[str]:
    """What the evaluation warns of: divergence, and PGD accuracies that gradient masking makes."""
    notes = [
        f"{part}: {record[part]['note']}"
        for part in ("images", "classifier", "outliers", "attacks")
        if "note" in record.get(part, {})
    ]
    if record.get("attacks", {}).get("masking", {}).get("masked"):
        notes.append("attacks: gradient masking, so its accuracy under PGD is no robustness")
    return notes


def settings_of(record: Record) -> dict[str, Any]:
    """What two evaluations must share to be compared, as the options that set it.

    >>> settings_of({"seed": 0, "data": {"train": ["digits train", 1438], "test": ["digits test", 359]}})
    {'--seed': 0, 'images': 'digits train (1438), digits test (359)'}
    """
    images, attacks, outliers = (record.get(part, {}) for part in ("images", "attacks", "outliers"))
    data = ", ".join(f"{name} ({count})" for name, count in record["data"].values())
    settings: dict[str, Any] = {"--seed": record["seed"], "images": data}
    if "rows" in images:
        judge = images["judge"]
        settings |= {"--judge": judge["name"], "--n": images["n"]}
        if judge["name"] == "cnn":
            settings["--judge-iterations"] = judge["iterations"]
    if outliers:
        sets = dict.fromkeys(row["outliers"] for row in outliers["rows"])
        settings["outliers"] = f"{', '.join(sets)} ({outliers['n']} each)"
    if attacks:
        settings["--attacked"] = attacks["n"]
    if "n" in attacks.get("cw", {}):
        settings["--cw"] = attacks["cw"]["n"]
    return settings


def _check_alike(runs: Sequence[tuple[str, Record]]) -> None:
    first: dict[str, tuple[str, Any]] = {}
    for name, record in runs:
        for option, value in settings_of(record).items():
            other, wanted = first.setdefault(option, (name, value))
            if value != wanted:
                raise InputError(
                    f"{other} was evaluated with {option} {wanted}, {name} with {option} {value}, so their scores "
                    "cannot be compared; evaluate both alike"
                )


def _compared_score(labels: Sequence[str], by_label: Mapping[str, Sequence[Value]]) -> ComparedScore:
    everyone = [value for values in by_label.values() for value in values]
    first = everyone[0]
    values = {
        label: tuple(value.value for value in by_label.get(label, ()) if value.value is not None) for label in labels
    }
    return ComparedScore(
        first.key,
        first.name,
        first.better,
        values,
        _mean([value.real for value in everyone]),
        _mean([value.noise for value in everyone]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
