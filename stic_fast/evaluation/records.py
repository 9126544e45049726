# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What an evaluation writes down of a classifier: on real test images, on outliers, and under attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.evaluation.attacks import PAPER_EPSILONS, in_pixels, pgd
from stic_fast.evaluation.calibration import FOLDS, PAPER_BINS, negative_log_likelihood, reliability, tempered
from stic_fast.evaluation.carlini_wagner import INSTALL_FOOLBOX, carlini_wagner, load_foolbox
from stic_fast.evaluation.fixed_classifier import Model
from stic_fast.evaluation.gradient_masking import check_gradient_masking
from stic_fast.evaluation.judge import predict_logits, top_k_accuracy
from stic_fast.evaluation.manifold import ManifoldScores
from stic_fast.evaluation.out_of_distribution import auroc, ood_scores
from stic_fast.evaluation.record_form import (
    AttackRow,
    AttackScores,
    Better,
    Bins,
    CarliniWagner,
    ClassifierScores,
    Masking,
    OutlierRow,
    OutlierScores,
    ScoreRow,
    Unmeasured,
    number,
)

CHECKED_EPSILON = 8 / 255
"""Radius at which PGD is held against attacks that gradient masking cannot stop."""
L2_RADIUS = 0.5
"""Radius at which the L2 accuracy is taken, the usual one for small images with pixels in [0, 1]."""
LEFT_OUT = f"L2 C&W left out: {INSTALL_FOOLBOX}"
_TEMPERATURE = "what logits must be divided by to be calibrated; above 1, the classifier is surer than it should be"
_AFTER = f"of logits over a temperature; each of {FOLDS} parts of the test images takes that of the others"
CLASSIFIER_SCORES: dict[str, tuple[str, Better | None, str]] = {
    "accuracy": ("accuracy", "higher", "share of real test images that the classifier reads rightly"),
    "NLL": ("NLL", "lower", "mean −log p(y|x) of the right class, in nats, the fake class left out"),
    "ECE": (f"ECE@{PAPER_BINS}", "lower", f"expected calibration error over {PAPER_BINS} bins of confidence"),
    "temperature": ("temperature", None, _TEMPERATURE),
    "NLL-T": ("NLL after temperature scaling", "lower", _AFTER),
    "ECE-T": (f"ECE@{PAPER_BINS} after temperature scaling", "lower", "of the same"),
}
"""What each is called, which way it is better, and what it is."""


def sweep_rows(sweep: Sequence[ManifoldScores]) -> list[dict[str, float]]:
    """The manifold scores at every k."""
    return [asdict(at) for at in sweep]


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
    bins, bins_after = (None if each is None else Bins.of(each) for each in (plain, scaled))
    return ClassifierScores(n=len(images), rows=rows, reliability=bins, reliability_after=bins_after, note=note)


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

    def area(score: str, name: str) -> float | None:
        return None if broken[inside] or broken[name] else auroc(found[inside][score], found[name][score])

    rows = tuple(OutlierRow(score, name, area(score, name)) for score in by_score for name in outliers)
    told = ", ".join(f"{count} of {len(sets[name])} of {name}" for name, count in broken.items() if count)
    note = f"images whose scores are not finite: {told}; the run diverged" if told else ""
    return OutlierScores(inside=inside, n=len(images), note=note, rows=rows), by_score


def attack_record(
    model: Model, images: Tensor, labels: Tensor, num_classes: int, *, seed: int, batch_size: int, cw: int
) -> AttackScores | Unmeasured:
    """Accuracy under L∞ PGD-40 at the papers' radii, whether gradient masking makes it, and how far C&W must go.

    Images whose logits are not finite count as lost, and a note says so; where all are, there is nothing to attack.

    Args:
        cw: how many of the images the L2 attack of Carlini & Wagner is tried on, at most; 0 leaves it out.
    """
    logits = predict_logits(model, images, batch_size=batch_size)[:, :num_classes]
    note = divergence_note(logits, "images to attack")
    if not logits.isfinite().all(dim=1).any():
        return Unmeasured(n=len(images), note=note)
    settings: dict[str, Any] = {"seed": seed, "batch_size": batch_size}
    attacked = (model, images, labels, num_classes)
    results = {epsilon: pgd(*attacked, epsilon=epsilon, **settings) for epsilon in PAPER_EPSILONS}
    base = results[CHECKED_EPSILON]
    check = check_gradient_masking(*attacked, epsilon=CHECKED_EPSILON, base=base, **settings)
    stays = "share of the images that stay rightly read where every pixel may change by"
    rows = [
        _row(f"PGD-{255 * epsilon:g}", result.name, result.accuracy, len(images), f"{stays} {in_pixels(epsilon)}")
        for epsilon, result in results.items()
    ]
    key, name = f"all-{255 * CHECKED_EPSILON:g}", f"all attacks at {in_pixels(CHECKED_EPSILON)}"
    what = "share that neither PGD, nor PGD on the margin, longer and from more starts, nor Square broke"
    rows.append(_row(key, name, check.accuracy, len(images), what))
    whole: CarliniWagner | None = None
    if cw:
        some, some_labels = subset(images, labels, cw, seed)
        whole, more = _carlini_wagner(model, some, some_labels, num_classes, batch_size)
        rows += more
    masking = Masking(masked=check.masked, verdict=check.verdict, accuracy=check.accuracy)
    return AttackScores(n=len(images), note=note, rows=tuple(rows), masking=masking, cw=whole)


def _carlini_wagner(
    model: Model, images: Tensor, labels: Tensor, num_classes: int, batch_size: int
) -> tuple[CarliniWagner, list[AttackRow]]:
    """What is known of the whole attack, and its scores."""
    try:
        load_foolbox()
    except InputError:
        return CarliniWagner(note=LEFT_OUT), []
    result = carlini_wagner(model, images, labels, num_classes, batch_size=batch_size)
    count, standing = len(images), int(result.distances.isinf().sum())
    note = f"C&W could not turn {standing} of {count} images: they count as infinitely far" if standing else ""
    median = "least ‖x' − x‖₂ that turns an image, pixels in [0, 1]; 0 for images read wrongly as they are"
    mean = "the same over the images that were read rightly and turned, as in GMMC's Table 7"
    at = f"share of the images that stay rightly read within ‖x' − x‖₂ ≤ {L2_RADIUS:g}"
    return CarliniWagner(n=count, note=note), [
        _row("CW-median", "L2 C&W, median distance", result.median_distance, count, median),
        _row("CW-mean", "L2 C&W, mean distance", result.mean_distance, count, mean),
        _row(f"CW-{L2_RADIUS:g}", f"L2 C&W at {L2_RADIUS:g}", result.accuracy_at(L2_RADIUS), count, at),
    ]


def _row(key: str, name: str, value: float, count: int, what: str) -> AttackRow:
    return AttackRow(key=key, name=name, value=number(value), n=count, better="higher", what=what)


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
