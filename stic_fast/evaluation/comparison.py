# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Evaluations of several runs side by side, in Markdown: only where they were made alike, with every spread in sight.

Runs that belong together, such as the seeds of a method, share a label.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from stic_fast.errors import InputError
from stic_fast.evaluation.features import metric_name
from stic_fast.evaluation.image_scores import COUNT_DEPENDENT
from stic_fast.evaluation.image_table import ARROWS
from stic_fast.evaluation.out_of_distribution import SCORE_NAMES
from stic_fast.evaluation.record_form import Better, Evaluation

MISSING = "—"
Groups = Mapping[str, Mapping[str, Evaluation]]  # by label, then by the run's name


class Value(NamedTuple):
    """A score of one run."""

    key: str
    """By which it is asked for, such as FD; a score may come twice, of all drawn images and of as many as there are
    real ones."""
    name: str
    better: Better | None
    value: float | None
    real: float | None = None  # of real test images, as many as were drawn, in place of the drawn ones
    noise: float | None = None


@dataclass(frozen=True)
class ComparedScore:
    """A score of all runs. Values are by label, one for each run that has it."""

    key: str
    name: str
    better: Better | None
    values: Mapping[str, tuple[float, ...]]
    real: float | None
    noise: float | None

    def mean(self, label: str) -> float | None:
        """Of the label's runs, None where there is no value."""
        return mean_of(self.values[label])

    def best(self) -> list[str]:
        """The labels with the best mean; none where there is no better, or where all are as good."""
        means = {label: mean for label in self.values if (mean := self.mean(label)) is not None}
        if self.better is None or len(set(means.values())) < 2:
            return []
        wanted = (max if self.better == "higher" else min)(means.values())
        return [label for label, mean in means.items() if mean == wanted]


def compared(groups: Groups) -> list[ComparedScore]:
    """Every score that any of the runs has, in a record's order; InputError where they were evaluated differently."""
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


def values_of(record: Evaluation) -> Iterator[Value]:
    """The scores of one evaluation; of outliers the mean over their sets, as AUROC-SCORE."""
    if images := record.images:
        for row in images.rows:
            comparable = images.n_real == images.n or row.key not in COUNT_DEPENDENT
            yield Value(row.key, row.name, row.better, row.drawn, row.real if comparable else None, row.noise)
            if not comparable:
                name = metric_name(row.key, images.judge.name, images.n_real)
                yield Value(row.key, name, row.better, row.drawn_at_n_real, row.real)
        name = "distance to the nearest training image"
        yield Value("distance", name, None, images.nearest.drawn, images.nearest.real)
    if record.classifier:
        yield from (Value(row.key, row.name, row.better, row.value) for row in record.classifier.rows)
    for score, areas in areas_of(record).items():
        name = f"AUROC {SCORE_NAMES[score]}, mean of {len(areas)} sets"
        yield Value(f"AUROC-{score}", name, "higher", None if None in areas.values() else mean_of(areas.values()))
    if record.attacks:
        yield from (Value(row.key, row.name, row.better, row.value) for row in record.attacks.rows)


def areas_of(record: Evaluation) -> dict[str, dict[str, float | None]]:
    """AUROC by score, then by set of outliers."""
    return record.outliers.areas() if record.outliers else {}


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of those that there are.

    >>> mean_of([1.0, None, 2.0]), mean_of([None])
    (1.5, None)
    """
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def notes_of(record: Evaluation) -> list[str]:
    """What the evaluation warns of: divergence, and PGD accuracies that gradient masking makes."""
    notes = [f"{name}: {part.note}" for name, part in record.parts().items() if part.note]
    if record.attacks and record.attacks.masking.masked:
        notes.append("attacks: gradient masking, so its accuracy under PGD is no robustness")
    return notes


def settings_of(record: Evaluation) -> dict[str, Any]:
    """What two evaluations must share to be compared, as the options that set it."""
    data = ", ".join(f"{name} ({count})" for name, count in record.data.values())
    settings: dict[str, Any] = {"--seed": record.seed, "images": data}
    if images := record.images:
        settings |= {"--judge": images.judge.name, "--n": images.n}
        if images.judge.name == "cnn":
            settings["--judge-iterations"] = images.judge.iterations
    if outliers := record.outliers:
        sets = dict.fromkeys(row.outliers for row in outliers.rows)
        settings["outliers"] = f"{', '.join(sets)} ({outliers.n} each)"
    if attacks := record.parts().get("attacks"):
        settings["--attacked"] = attacks.n
    if record.attacks and record.attacks.cw and record.attacks.cw.n is not None:
        settings["--cw"] = record.attacks.cw.n
    return settings


def comparison_text(groups: Groups, scores: Sequence[ComparedScore]) -> str:
    """The whole comparison, the beginning of a page: how it was made, the tables, and what to beware of.

    Args:
        groups: the records, as for `compared`.
        scores: those to be shown, of `compared(groups)`.
    """
    parts = [_about(groups), score_table(scores)]
    if any(score.key.startswith("AUROC") for score in scores):
        parts += ["AUROC against every set of outliers, means of the runs:", area_table(groups)]
    notes = [
        f"- {label}, {name}: {note}"
        for label, records in groups.items()
        for name, record in records.items()
        for note in notes_of(record)
    ]
    if notes:
        parts.append("\n".join(["Beware:", "", *notes]))
    return "\n\n".join(parts) + "\n"


def score_table(scores: Sequence[ComparedScore]) -> str:
    """A row per score: for each label the mean of its runs and in brackets the smallest and the largest.

    >>> score = ComparedScore("FD", "FD-cnn@1k", "lower", {"STIC": (2.0, 3.0), "JEM": ()}, 0.15, None)
    >>> print(score_table([score]))
    | score | STIC | JEM | real |
    |---|---|---|---|
    | FD-cnn@1k ↓ | 2.50 (2.00 to 3.00) | — | 0.150 |
    """
    labels = list(scores[0].values) if scores else []
    most = {label: max(len(score.values[label]) for score in scores) for label in labels}
    rows = [["score", *labels, "real", "noise"]]
    for score in scores:
        best = score.best()
        cells = [_cell(score.values[label], most[label], bold=label in best) for label in labels]
        rows.append([score.name + ARROWS[score.better], *cells, _short(score.real), _short(score.noise)])
    columns = [each for i, each in enumerate(zip(*rows, strict=True)) if i <= len(labels) or {*each[1:]} - {MISSING}]
    return _table(list(zip(*columns, strict=True)))


def area_table(groups: Groups) -> str:
    """A row per score and label, a column per set of outliers: the mean over the label's runs."""
    found: dict[str, dict[str, list[dict[str, float | None]]]] = {}
    for label, records in groups.items():
        for record in records.values():
            for score, areas in areas_of(record).items():
                found.setdefault(score, {}).setdefault(label, []).append(areas)
    sets = list(dict.fromkeys(name for by_label in found.values() for runs in by_label.values() for name in runs[0]))
    rows = [["score", "", *sets]]
    for score, by_label in found.items():
        for label, runs in by_label.items():
            means = [mean_of([areas[name] for areas in runs]) for name in sets]
            rows.append([SCORE_NAMES[score], label, *(MISSING if mean is None else f"{mean:.3f}" for mean in means)])
    return _table(rows)


def _check_alike(runs: Sequence[tuple[str, Evaluation]]) -> None:
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
    everyone = [each for found in by_label.values() for each in found]
    key, name, better, *_ = everyone[0]
    values = {
        label: tuple(each.value for each in by_label.get(label, ()) if each.value is not None) for label in labels
    }
    real, noise = mean_of(each.real for each in everyone), mean_of(each.noise for each in everyone)
    return ComparedScore(key, name, better, values, real, noise)


def _about(groups: Groups) -> str:
    counts = {label: len(records) for label, records in groups.items()}
    alike = len(set(counts.values())) == 1
    runs = f"{max(counts.values())} each" if alike else ", ".join(f"{label} {n}" for label, n in counts.items())
    options = [settings_of(record) for records in groups.values() for record in records.values()]
    made = "; ".join(f"{option} {value}" for option, value in ChainMap(*reversed(options)).items())
    return (
        f"Means of the runs ({runs}), in brackets the smallest and the largest; the best mean of a row is bold. "
        f"Evaluated with {made}."
    )


def _cell(values: Sequence[float], most: int, *, bold: bool) -> str:
    mean = mean_of(values)
    if mean is None:
        return MISSING
    places = _places(mean)
    text = f"**{mean:.{places}f}**" if bold else f"{mean:.{places}f}"
    about = [f"{min(values):.{places}f} to {max(values):.{places}f}"] if len(values) > 1 else []
    about += [f"{len(values)} of {most}"] if len(values) < most else []
    return (f"{text} ({', '.join(about)})" if about else text).replace("-", "−")


def _short(value: float | None) -> str:
    return MISSING if value is None else f"{value:.{_places(value)}f}".replace("-", "−")


def _places(value: float) -> int:
    """Decimal places for three digits that count, four at most.

    >>> [_places(value) for value in (82.7, 2.06, 0.97, 0.012)]
    [1, 2, 3, 4]
    """
    size = abs(value)
    return next((places for places, least in enumerate((100, 10, 1, 0.1)) if size >= least), 4)


def _table(rows: Sequence[Sequence[str]]) -> str:
    texts = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([texts[0], "|" + "---|" * len(rows[0]), *texts[1:]])
