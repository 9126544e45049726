# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What an evaluation writes down, in numbers and words that JSON can hold: images, classifier, outliers, attacks.

Every score is a row with a short key, by which it is asked for, and what it is called in full. A number that does not
exist is None, and a note says why.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.evaluation.calibration import PAPER_BINS, negative_log_likelihood, reliability
from stic_fast.evaluation.features import metric_name
from stic_fast.evaluation.fixed_classifier import Model
from stic_fast.evaluation.image_scores import COUNT_DEPENDENT, MEANINGS, Score
from stic_fast.evaluation.judge import predict_logits, top_k_accuracy
from stic_fast.evaluation.manifold import ManifoldScores
from stic_fast.evaluation.out_of_distribution import auroc, ood_scores
from stic_fast.evaluation.record_form import check_record
from stic_fast.evaluation.temperature import FOLDS, tempered
from stic_fast.stored import damaged, read_json

RECORD = "evaluation.json"
FORMAT = 2
"""Raised when the record changes, so that no program misreads an older one."""
BINS = ("edges", "counts", "accuracy", "confidence")
CLASSIFIER_SCORES: dict[str, dict[str, str | None]] = {
    "accuracy": {
        "name": "accuracy",
        "better": "higher",
        "what": "share of real test images that the classifier reads rightly",
    },
    "NLL": {
        "name": "NLL",
        "better": "lower",
        "what": "mean −log p(y|x) of the right class, in nats, the fake class left out",
    },
    "ECE": {
        "name": f"ECE@{PAPER_BINS}",
        "better": "lower",
        "what": f"expected calibration error over {PAPER_BINS} bins of confidence",
    },
    "temperature": {
        "name": "temperature",
        "better": None,
        "what": "what logits must be divided by to be calibrated; above 1, the classifier is surer than it should be",
    },
    "NLL-T": {
        "name": "NLL after temperature scaling",
        "better": "lower",
        "what": f"of logits over a temperature; each of {FOLDS} parts of the test images takes that of the others",
    },
    "ECE-T": {
        "name": f"ECE@{PAPER_BINS} after temperature scaling",
        "better": "lower",
        "what": "of the same",
    },
}


def image_rows(
    drawn: Mapping[str, Score],
    real: Mapping[str, Score],
    noise: Mapping[str, Score],
    *,
    judge: str,
    count: int,
    at_n_real: Mapping[str, Score] | None = None,
) -> list[dict[str, Any]]:
    """A row per score of the drawn images, beside real test images and noise in their place.

    Args:
        judge, count: in the scores' names: who read the images, and how many.
        at_n_real: scores of only as many drawn images as there are real ones, where these are fewer; those that depend
            on the count are kept.

    >>> rows = image_rows({"FD": Score(2.0)}, {"FD": Score(0.5)}, {"FD": Score(90.0)}, judge="cnn", count=1000)
    >>> rows[0]["name"], rows[0]["drawn"], rows[0]["real"], rows[0]["noise"], rows[0]["better"]
    ('FD-cnn@1k', 2.0, 0.5, 90.0, 'lower')
    """
    at_n_real = {key: score for key, score in (at_n_real or {}).items() if key in COUNT_DEPENDENT}
    rows = []
    for key, score in drawn.items():
        row = {"key": key, "name": metric_name(key, judge, count), **MEANINGS[key]._asdict()}
        row |= {"drawn": number(score.value), "spread": number(score.spread)}
        for name, scores in (("drawn_at_n_real", at_n_real), ("real", real), ("noise", noise)):
            row[name] = number(scores[key].value) if key in scores else None
        rows.append(row)
    return rows


def sweep_rows(sweep: Sequence[ManifoldScores]) -> list[dict[str, float]]:
    """The manifold scores at every k."""
    return [{name: getattr(at, name) for name in ("k", "precision", "recall", "density", "coverage")} for at in sweep]


def classifier_record(
    model: Model, images: Tensor, labels: Tensor, num_classes: int, batch_size: int, *, seed: int = 0
) -> dict[str, Any]:
    """Accuracy, NLL, ECE and the bins behind it, on real test images, as they are and after temperature scaling.

    Logits that are not finite count as a wrong answer. Nothing else can be said of a model that gives such: all but
    the accuracy is then None, and a note says so. Nor can a temperature be fitted for a single image.

    Args:
        seed: of the folds that temperatures are fitted on.
    """
    logits = predict_logits(model, images, batch_size=batch_size)[:, :num_classes]
    values: dict[str, float | None] = dict.fromkeys(CLASSIFIER_SCORES)
    values["accuracy"] = top_k_accuracy(logits, labels, k=1)
    diagrams: dict[str, Any] = {"reliability": None, "reliability_after": None}
    note = divergence_note(logits)
    if not note:
        diagrams["reliability"], values["NLL"], values["ECE"] = _calibration(logits, labels, num_classes)
    if not note and len(images) > 1:
        after = tempered(logits, labels, num_classes, seed=seed, folds=min(FOLDS, len(images)))
        values["temperature"] = median(after.temperatures)
        diagrams["reliability_after"], values["NLL-T"], values["ECE-T"] = _calibration(
            after.logits, labels, num_classes
        )
    rows = [{"key": key, "value": value, **CLASSIFIER_SCORES[key]} for key, value in values.items()]
    return {"n": len(images), **({"note": note} if note else {}), "rows": rows, **diagrams}


def _calibration(logits: Tensor, labels: Tensor, num_classes: int) -> tuple[dict[str, Any], float, float]:
    """The bins of a reliability diagram, NLL and ECE."""
    bins = reliability(logits, labels, num_classes)
    plain = {name: [number(value) for value in getattr(bins, name).tolist()] for name in BINS}
    return plain, negative_log_likelihood(logits, labels, num_classes), bins.ece


def outlier_record(
    model: Model, images: Tensor, outliers: Mapping[str, Tensor], num_classes: int, batch_size: int, inside: str
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """AUROC of every score against every set of outliers, and the scores: by score, then by set.

    Images with a score that is not finite, which a diverged model gives, cannot be put into an order with the others:
    there is no AUROC of their sets, and a note says so.
    """
    sets = {inside: images, **outliers}
    found = {name: ood_scores(model, each, num_classes, batch_size=batch_size) for name, each in sets.items()}
    by_score = {score: {name: found[name][score] for name in sets} for score in found[inside]}
    broken = {name: int((~torch.stack(list(each.values())).isfinite()).any(0).sum()) for name, each in found.items()}
    rows = [
        {
            "score": score,
            "outliers": name,
            "auroc": None if broken[inside] or broken[name] else auroc(values[inside], values[name]),
        }
        for score, values in by_score.items()
        for name in outliers
    ]
    told = ", ".join(f"{count} of {len(sets[name])} of {name}" for name, count in broken.items() if count)
    note = {"note": f"images whose scores are not finite: {told}; the run diverged"} if told else {}
    return {"inside": inside, "n": len(images), **note, "rows": rows}, by_score


def divergence_note(logits: Tensor, what: str = "test images") -> str:
    """What is to be said of logits (N, C) where some are not finite; nothing where all are.

    >>> divergence_note(torch.tensor([[0.0, 1.0], [torch.nan, 0.0]]))
    '1 of 2 test images have logits that are not finite: the run diverged'
    """
    broken = int((~logits.isfinite()).any(dim=1).sum())
    return f"{broken} of {len(logits)} {what} have logits that are not finite: the run diverged" if broken else ""


def read_record(folder: Path) -> dict[str, Any] | None:
    """The evaluation of a run, or None where there is none yet.

    Raises:
        InputError: it is damaged, or was written by an older version.
    """
    file = folder / RECORD
    hint = f"write it anew with stic-fast evaluate {shlex.quote(str(folder))}"
    try:
        record = read_json(file, hint)
    except FileNotFoundError:
        return None
    if record.get("format") != FORMAT:
        raise InputError(f"{file} is of another version of stic_fast; {hint}")
    try:
        check_record(record)
    except ValueError as error:
        raise damaged(file, str(error), hint) from error
    return record


def number(value: float | None) -> float | None:
    """The number, or None for what JSON cannot hold.

    >>> number(0.5), number(float("nan")), number(None)
    (0.5, None, None)
    """
    return None if value is None or not math.isfinite(value) else value


def subset(images: Tensor, labels: Tensor, most: int, seed: int) -> tuple[Tensor, Tensor]:
    """At most so many of the images, drawn by the seed, in their order.

    >>> subset(torch.arange(9), torch.arange(9), 3, seed=0)[0].tolist() == sorted(torch.randperm(
    ...     9, generator=torch.Generator().manual_seed(0))[:3].tolist())
    True
    """
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:most].sort().values
    return images[rows], labels[rows]
