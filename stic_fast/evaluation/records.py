# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What an evaluation writes down, in numbers and words that JSON can hold: images, classifier, outliers, attacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from stic_fast.evaluation.attacks import PAPER_EPSILONS, pgd
from stic_fast.evaluation.calibration import negative_log_likelihood, reliability
from stic_fast.evaluation.fixed_classifier import Model
from stic_fast.evaluation.gradient_masking import check_gradient_masking
from stic_fast.evaluation.image_scores import MEANINGS, Score
from stic_fast.evaluation.judge import predict_logits, top_k_accuracy
from stic_fast.evaluation.manifold import ManifoldScores
from stic_fast.evaluation.out_of_distribution import auroc, ood_scores

CHECKED_EPSILON = 8 / 255
"""Radius at which PGD is held against attacks that gradient masking cannot stop."""


def image_rows(
    drawn: Mapping[str, Score], real: Mapping[str, Score], noise: Mapping[str, Score], names: Mapping[str, str]
) -> list[dict[str, Any]]:
    """A row per score of the drawn images, beside real test images and noise in their place.

    >>> rows = image_rows({"FD": Score(2.0)}, {"FD": Score(0.5)}, {"FD": Score(90.0)}, {"FD": "FD-cnn@1k"})
    >>> rows[0]["name"], rows[0]["drawn"], rows[0]["real"], rows[0]["noise"], rows[0]["better"]
    ('FD-cnn@1k', 2.0, 0.5, 90.0, 'lower')
    """
    return [
        {
            "name": names[key],
            "what": MEANINGS[key].what,
            "better": MEANINGS[key].better,
            "drawn": score.value,
            "spread": score.spread,
            "real": real[key].value if key in real else None,
            "noise": noise[key].value if key in noise else None,
        }
        for key, score in drawn.items()
    ]


def sweep_rows(sweep: Sequence[ManifoldScores]) -> list[dict[str, float]]:
    """The manifold scores at every k."""
    return [{name: getattr(at, name) for name in ("k", "precision", "recall", "density", "coverage")} for at in sweep]


def classifier_record(
    model: Model, images: Tensor, labels: Tensor, num_classes: int, batch_size: int
) -> dict[str, Any]:
    """Accuracy, NLL, ECE and the bins behind it, on real test images."""
    logits = predict_logits(model, images, batch_size=batch_size)
    bins = reliability(logits, labels, num_classes)
    count = len(bins.counts)
    return {
        "n": len(images),
        "rows": [
            {
                "name": "accuracy",
                "value": top_k_accuracy(logits[:, :num_classes], labels, k=1),
                "better": "higher",
                "what": "share of real test images that the classifier reads rightly",
            },
            {
                "name": "NLL",
                "value": negative_log_likelihood(logits, labels, num_classes),
                "better": "lower",
                "what": "mean −log p(y|x) of the right class, in nats, the fake class left out",
            },
            {
                "name": f"ECE@{count}",
                "value": bins.ece,
                "better": "lower",
                "what": f"expected calibration error over {count} bins of confidence",
            },
        ],
        "reliability": {
            name: [None if value != value else value for value in getattr(bins, name).tolist()]
            for name in ("edges", "counts", "accuracy", "confidence")
        },
    }


def outlier_record(
    model: Model, images: Tensor, outliers: Mapping[str, Tensor], num_classes: int, batch_size: int, inside: str
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """AUROC of every score against every set of outliers, and the scores: by score, then by set."""
    sets = {inside: images, **outliers}
    found = {name: ood_scores(model, each, num_classes, batch_size=batch_size) for name, each in sets.items()}
    by_score = {score: {name: found[name][score] for name in sets} for score in found[inside]}
    rows = [
        {"score": score, "outliers": name, "auroc": auroc(values[inside], values[name])}
        for score, values in by_score.items()
        for name in outliers
    ]
    return {"inside": inside, "n": len(images), "rows": rows}, by_score


def attack_record(
    model: Model, images: Tensor, labels: Tensor, num_classes: int, *, seed: int, batch_size: int
) -> dict[str, Any]:
    """Accuracy under L∞ PGD-40 at the papers' radii, and whether gradient masking makes it."""
    settings: dict[str, Any] = {"seed": seed, "batch_size": batch_size}
    results = [pgd(model, images, labels, num_classes, epsilon=epsilon, **settings) for epsilon in PAPER_EPSILONS]
    check = check_gradient_masking(model, images, labels, num_classes, epsilon=CHECKED_EPSILON, **settings)
    return {
        "n": len(images),
        "rows": [{"attack": result.name, "accuracy": result.accuracy} for result in results],
        "masking": {"masked": check.masked, "verdict": check.verdict, "accuracy": check.accuracy},
    }


def chosen(images: Tensor, labels: Tensor, most: int, seed: int) -> tuple[Tensor, Tensor]:
    """At most so many of the images, drawn by the seed, in their order.

    >>> chosen(torch.arange(9), torch.arange(9), 3, seed=0)[0].tolist() == sorted(torch.randperm(
    ...     9, generator=torch.Generator().manual_seed(0))[:3].tolist())
    True
    """
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:most].sort().values
    return images[rows], labels[rows]
