# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A comparison of runs in Markdown: scores down, labels across, and the AUROC of every set of outliers."""

from __future__ import annotations

from collections.abc import Sequence

from stic_fast.evaluation.comparison import ComparedScore, Groups, areas_of, mean_of, notes_of, settings_of
from stic_fast.evaluation.image_table import ARROWS
from stic_fast.evaluation.out_of_distribution import SCORE_NAMES

MISSING = "—"


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
    rows = []
    for score in scores:
        best = score.best()
        cells = [_cell(score.values[label], most[label], bold=label in best) for label in labels]
        rows.append([score.name + ARROWS[score.better], *cells, _short(score.real), _short(score.noise)])
    headers = ["score", *labels, "real", "noise"]
    kept = [i for i in range(len(headers)) if i <= len(labels) or any(row[i] != MISSING for row in rows)]
    return _table([headers[i] for i in kept], [[row[i] for i in kept] for row in rows])


def area_table(groups: Groups) -> str:
    """A row per score and label, a column per set of outliers: the mean over the label's runs."""
    found: dict[str, dict[str, list[dict[str, float | None]]]] = {}
    for label, records in groups.items():
        for record in records.values():
            for score, areas in areas_of(record).items():
                found.setdefault(score, {}).setdefault(label, []).append(areas)
    sets = list(dict.fromkeys(name for by_label in found.values() for runs in by_label.values() for name in runs[0]))
    rows = []
    for score, by_label in found.items():
        for label, runs in by_label.items():
            means = [mean_of([areas[name] for areas in runs]) for name in sets]
            rows.append([SCORE_NAMES[score], label, *(MISSING if mean is None else f"{mean:.3f}" for mean in means)])
    return _table(["score", "", *sets], rows)


def _about(groups: Groups) -> str:
    counts = {label: len(records) for label, records in groups.items()}
    several = len(set(counts.values())) > 1
    runs = (
        ", ".join(f"{label} {count}" for label, count in counts.items()) if several else f"{max(counts.values())} each"
    )
    settings: dict[str, object] = {}
    for records in groups.values():
        for record in records.values():
            settings |= settings_of(record)
    made = "; ".join(f"{option} {value}" for option, value in settings.items())
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
    some = f", {len(values)} of {most}" if len(values) < most else ""
    if len(values) > 1:
        return f"{text} ({min(values):.{places}f} to {max(values):.{places}f}{some})".replace("-", "−")
    return (text + (f" ({some[2:]})" if some else "")).replace("-", "−")


def _short(value: float | None) -> str:
    return MISSING if value is None else f"{value:.{_places(value)}f}".replace("-", "−")


def _places(value: float) -> int:
    """Decimal places for three digits that count, four at most.

    >>> [_places(value) for value in (82.7, 2.06, 0.97, 0.012)]
    [1, 2, 3, 4]
    """
    size = abs(value)
    return next((places for places, least in enumerate((100, 10, 1, 0.1)) if size >= least), 4)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    texts = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    texts[1] = "|" + "---|" * len(headers)
    return "\n".join(texts)
