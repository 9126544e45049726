# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""All scores of a set of images under one judge, drawn ones, real ones or noise alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from stic_fast.evaluation.checks import check_labels
from stic_fast.evaluation.features import FeatureStatistics, JudgeNetwork, Reading, read_images
from stic_fast.evaluation.frechet import frechet_distance, kernel_distance
from stic_fast.evaluation.inception_score import inception_score, modified_inception_score
from stic_fast.evaluation.judge import Judge, top_k_accuracy
from stic_fast.evaluation.kept import fingerprint, kept
from stic_fast.evaluation.manifold import ManifoldScores, manifold_scores

NEIGHBOURS = {"precision": 3, "recall": 3, "density": 5, "coverage": 5}
"""k of each score on the features' manifold, as its paper has it."""
COUNT_DEPENDENT = ("FD", "KD", "IS", "MIS", *NEIGHBOURS)
"""Scores to compare between sets of one size only: they move, or spread, with the number of images."""


class Meaning(NamedTuple):
    """How to read a score."""

    better: Literal["higher", "lower"]
    what: str


MEANINGS: Mapping[str, Meaning] = {
    "FD": Meaning("lower", "Fréchet distance of the judge's features to those of the training images"),
    "KD": Meaning("lower", "kernel distance (squared MMD, cubic kernel) of the same features"),
    "IS": Meaning("higher", "Inception Score on the judge's logits: sure about each image, different over all"),
    "MIS": Meaning("higher", "modified Inception Score: how differently the images of one class read"),
    "precision": Meaning("higher", "share of the images that lie among real ones, k = 3"),
    "recall": Meaning("higher", "share of real images that lie among these, k = 3"),
    "density": Meaning("higher", "how many real neighbourhoods hold an image, over k = 5"),
    "coverage": Meaning("higher", "share of real neighbourhoods that hold an image, k = 5"),
    "Cls_R": Meaning("higher", "share of the images that the judge reads as the class asked for"),
    "Cls_G": Meaning("higher", "accuracy on real test images of a network that learnt from these images alone (CAS)"),
    "Cls_R top-5": Meaning("higher", "share of the images whose class is among the judge's five most likely"),
}


class Score(NamedTuple):
    """A number, and where the literature gives one its spread: over ten splits for IS, over classes for MIS."""

    value: float
    spread: float | None = None


@dataclass(frozen=True)
class ReferenceImages:
    """What a judge reads of the real training images that sets of images are held against."""

    everything: Reading  # of all of them; the Fréchet distance takes these
    some: Tensor  # features (N, D) of as many as a set may have: the other distances compare sets of like size

    @classmethod
    def of(cls, judge: JudgeNetwork, images: Tensor, *, most: int, seed: int, batch_size: int = 256) -> ReferenceImages:
        """Reads uint8 images (N, C, H, W); `most` of them, drawn by the seed, keep their features."""
        reading = read_images(judge, images, batch_size=batch_size, keep_features=True)
        assert reading.features is not None
        chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:most]
        return cls(Reading(reading.logits, reading.statistics, None), reading.features[chosen])

    @classmethod
    def cached(
        cls,
        judge: JudgeNetwork,
        images: Tensor,
        *,
        most: int,
        seed: int,
        batch_size: int = 256,
        cache: Path | None = None,
        say: Callable[[str], None] | None = None,
    ) -> ReferenceImages:
        """As `of`, but what a `Judge` reads is kept beside it, so that a second run on the same data need not wait.

        Other judges, whose weights may lie out of reach in TorchScript, read anew. Arguments cache and say as for
        `kept.kept`.
        """
        if not isinstance(judge, Judge):
            return cls.of(judge, images, most=most, seed=seed, batch_size=batch_size)

        def read() -> dict[str, Tensor]:
            made = cls.of(judge, images, most=most, seed=seed, batch_size=batch_size)
            summary = {name: torch.as_tensor(value) for name, value in vars(made.everything.statistics).items()}
            return {"logits": made.everything.logits, "some": made.some, **summary}

        key = fingerprint({"most": most, "seed": seed}, images, *judge.state_dict().values())
        found = kept("reference", key, read, cache=cache, say=say)
        statistics = FeatureStatistics(int(found["count"]), found["mean"], found["scatter"])
        return cls(Reading(found["logits"], statistics, None), found["some"])


def scores_of_reading(
    reading: Reading, reference: ReferenceImages, labels: Tensor | None, *, num_classes: int, seed: int
) -> tuple[dict[str, Score], tuple[ManifoldScores, ...]]:
    """The scores of a set of images, by the names in `MEANINGS`, and the manifold scores at k = 1 … 10.

    Scores that need more images than there are, labels where there are none, or classes that the judge does not know,
    are left out; labels that do not fit the images are an InputError.

    Args:
        reading: what a judge, never the classifier that drew the images, read of them, with their features.
        labels: int64 (N,), the classes asked for, if any were.
        seed: of the order in which IS splits the images.

    >>> features, labels = torch.arange(12.0).view(6, 2), torch.arange(6) % 2
    >>> reading = Reading(torch.eye(2).repeat(3, 1), FeatureStatistics.of(features), features)
    >>> reference = ReferenceImages(reading, features)
    >>> scores, _ = scores_of_reading(reading.at(torch.arange(4)), reference, labels[:4], num_classes=2, seed=0)
    >>> scores["Cls_R"].value, scores["precision"].value
    (1.0, 1.0)
    """
    assert reading.features is not None, "the scores need the features"
    count, seen = len(reading.logits), reading.logits.shape[1]
    if labels is not None:
        check_labels(labels, count, num_classes)
    scores: dict[str, Score] = {}
    if count > 1:
        scores["FD"] = Score(frechet_distance(reference.everything.statistics, reading.statistics))
        scores["KD"] = Score(kernel_distance(reference.some, reading.features))
    generator = torch.Generator().manual_seed(seed)
    scores["IS"] = Score(*inception_score(reading.logits, splits=min(10, count), generator=generator))
    if labels is not None:
        mis = modified_inception_score(reading.logits, labels, num_classes=num_classes)
        scores["MIS"] = Score(mis.mean, mis.spread)
    most = min(len(reference.some), count) - 1
    sweep: tuple[ManifoldScores, ...] = ()
    if most >= 1:
        sweep = manifold_scores(reference.some, reading.features, range(1, min(10, most) + 1))
        at = {found.k: found for found in sweep}
        scores |= {name: Score(getattr(at[k], name)) for name, k in NEIGHBOURS.items() if k in at}
    if labels is not None and seen == num_classes:
        scores["Cls_R"] = Score(top_k_accuracy(reading.logits, labels, k=1))
        if num_classes > 5:
            scores["Cls_R top-5"] = Score(top_k_accuracy(reading.logits, labels, k=5))
    return scores, sweep
