# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The parts of an evaluation, as they are measured: rows of scores of drawn images, the classifier, and outliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import torch
from torch import Tensor

from stic_fast.evaluation.calibration import PAPER_BINS, negative_log_likelihood, reliability
from stic_fast.evaluation.features import metric_name
from stic_fast.evaluation.fixed_classifier import Model
from stic_fast.evaluation.image_scores import COUNT_DEPENDENT, MEANINGS, Score
from stic_fast.evaluation.judge import predict_logits, top_k_accuracy
from stic_fast.evaluation.manifold import ManifoldScores
from stic_fast.evaluation.out_of_distribution import auroc, ood_scores
from stic_fast.evaluation.record_form import (
    Better,
    Bins,
    ClassifierScores,
    ImageRow,
    OutlierRow,
    OutlierScores,
    ScoreRow,
    number,
)
from stic_fast.evaluation.temperature import FOLDS, tempered

CLASSIFIER_SCORES: dict[str, tuple[str, Better | None, str]] = {
    "accuracy": ("accuracy", "higher", "share of real test images that the classifier reads rightly"),
    "NLL": ("NLL", "lower", "mean −log p(y|x) of the right class, in nats, the fake class left out"),
    "ECE": (f"ECE@{PAPER_BINS}", "lower", f"expected calibration error over {PAPER_BINS} bins of confidence"),
    "temperature": (
        "temperature",
        None,
        "what logits must be divided by to be calibrated; above 1, the classifier is surer than it should be",
    ),
    "NLL-T": (
        "NLL after temperature scaling",
        "lower",
        f"of logits over a temperature; each of {FOLDS} parts of the test images takes that of the others",
    ),
    "ECE-T": (f"ECE@{PAPER_BINS} after temperature scaling", "lower", "of the same"),
}
"""What each is called, which way it is better, and what it is."""


def image_rows(
    drawn: Mapping[str, Score],
    real: Mapping[str, Score],
    noise: Mapping[str, Score],
    *,
    judge: str,
    count: int,
    at_n_real: Mapping[str, Score] | None = None,
) -> tuple[ImageRow, ...]:
    """A row per score of the drawn images, beside real test images and noise in their place.

    Args:
        judge, count: in the scores' names: who read the images, and how many.
        at_n_real: scores of only as many drawn images as there are real ones, where these are fewer; those that depend
            on the count are kept.

    >>> (row,) = image_rows({"FD": Score(2.0)}, {"FD": Score(0.5)}, {"FD": Score(90.0)}, judge="cnn", count=1000)
    >>> row.name, row.drawn, row.real, row.noise, row.better
    ('FD-cnn@1k', 2.0, 0.5, 90.0, 'lower')
    """
    at_n_real = {key: score for key, score in (at_n_real or {}).items() if key in COUNT_DEPENDENT}

    def value(scores: Mapping[str, Score], key: str) -> float | None:
        return number(scores[key].value) if key in scores else None

    return tuple(
        ImageRow(
            key=key,
            name=metric_name(key, judge, count),
            better=MEANINGS[key].better,
            what=MEANINGS[key].what,
            drawn=number(score.value),
            spread=number(score.spread),
            drawn_at_n_real=value(at_n_real, key),
            real=value(real, key),
            noise=value(noise, key),
        )
        for key, score in drawn.items()
    )


def sweep_rows(sweep: Sequence[ManifoldScores]) -> list[dict[str, float]]:
    """The manifold scores at every k."""
    return [{name: getattr(at, name) for name in ("k", "precision", "recall", "density", "coverage")} for at in sweep]


def classifier_record(
    model: Model, images: Tensor, labels: Tensor, num_classes: int, batch_size: int, *, seed: int = 0
) -> ClassifierScores:
    """Accuracy, NLL, ECE and the bins behind it, on real test images, as they are and after temperature scaling.

    Logits that are not finite count as a wrong answer. Nothing else can be said of a model that gives such: all but
    the accuracy is then None, and a note says so. Nor can a temperature be fitted for a single image.

    Args:
        seed: of the folds that temperatures are fitted on.
    """
    logits = predict_logits(model, images, batch_size=batch_size)[:, :num_classes]
    values: dict[str, float | None] = {"accuracy": top_k_accuracy(logits, labels, k=1)}
    plain = scaled = None
    note = divergence_note(logits)
    if not note:
        plain = reliability(logits, labels, num_classes)
        values |= {"NLL": negative_log_likelihood(logits, labels, num_classes), "ECE": plain.ece}
    if not note and len(images) > 1:
        after = tempered(logits, labels, num_classes, seed=seed, folds=min(FOLDS, len(images)))
        scaled = reliability(after.logits, labels, num_classes)
        values["temperature"] = median(after.temperatures)
        values |= {"NLL-T": negative_log_likelihood(after.logits, labels, num_classes), "ECE-T": scaled.ece}
    rows = tuple(
        ScoreRow(key=key, value=values.get(key), name=name, better=better, what=what)
        for key, (name, better, what) in CLASSIFIER_SCORES.items()
    )
    return ClassifierScores(
        n=len(images),
        rows=rows,
        reliability=None if plain is None else Bins.of(plain),
        reliability_after=None if scaled is None else Bins.of(scaled),
        note=note,
    )


def outlier_record(
    model: Model, images: Tensor, outliers: Mapping[str, Tensor], num_classes: int, batch_size: int, inside: str
) -> tuple[OutlierScores, dict[str, dict[str, Tensor]]]:
    """AUROC of every score against every set of outliers, and the scores: by score, then by set.

    Images with a score that is not finite, which a diverged model gives, cannot be put into an order with the others:
    there is no AUROC of their sets, and a note says so.
    """
    sets = {inside: images, **outliers}
    found = {name: ood_scores(model, each, num_classes, batch_size=batch_size) for name, each in sets.items()}
    by_score = {score: {name: found[name][score] for name in sets} for score in found[inside]}
    broken = {name: int((~torch.stack(list(each.values())).isfinite()).any(0).sum()) for name, each in found.items()}
    rows = tuple(
        OutlierRow(
            score=score,
            outliers=name,
            auroc=None if broken[inside] or broken[name] else auroc(values[inside], values[name]),
        )
        for score, values in by_score.items()
        for name in outliers
    )
    told = ", ".join(f"{count} of {len(sets[name])} of {name}" for name, count in broken.items() if count)
    note = f"images whose scores are not finite: {told}; the run diverged" if told else ""
    return OutlierScores(inside=inside, n=len(images), note=note, rows=rows), by_score


def divergence_note(logits: Tensor, what: str = "test images") -> str:
    """What is to be said of logits (N, C) where some are not finite; nothing where all are.

    >>> divergence_note(torch.tensor([[0.0, 1.0], [torch.nan, 0.0]]))
    '1 of 2 test images have logits that are not finite: the run diverged'
    """
    broken = int((~logits.isfinite()).any(dim=1).sum())
    return f"{broken} of {len(logits)} {what} have logits that are not finite: the run diverged" if broken else ""


def subset(images: Tensor, labels: Tensor, most: int, seed: int) -> tuple[Tensor, Tensor]:
    """At most so many of the images, drawn by the seed, in their order.

    >>> subset(torch.arange(9), torch.arange(9), 3, seed=0)[0].tolist() == sorted(torch.randperm(
    ...     9, generator=torch.Generator().manual_seed(0))[:3].tolist())
    True
    """
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:most].sort().values
    return images[rows], labels[rows]
