# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""All scores of drawn images under one judge, each beside that of real test images and of noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from stic_fast.evaluation.features import JudgeNetwork, read_images
from stic_fast.evaluation.image_scores import ReferenceImages, Score, image_scores, scores_of_reading
from stic_fast.evaluation.nearest import nearest_distances
from stic_fast.evaluation.outliers import uniform_noise
from stic_fast.evaluation.record_form import ImageScores, JudgeAbout, Nearest, number
from stic_fast.evaluation.records import image_rows, subset


def image_record(
    judge: JudgeNetwork,
    images: Iterable[Tensor],
    labels: Tensor | None,
    train_images: Tensor,
    test_images: Tensor,
    test_labels: Tensor | None,
    *,
    num_classes: int,
    seed: int,
    batch_size: int,
    judge_iterations: int,
    learnt: Mapping[str, float],
    steps: int | None = None,
    note: str = "",
    say: Callable[[str], None] | None = None,
) -> ImageScores:
    """The scores of n drawn images, of n real test images, or of all where there are fewer, and of n images of noise.

    Where there are fewer real ones, the scores that depend on the count are also taken of as many drawn images, chosen
    by the seed: "drawn_at_n_real" and "real" are what can be compared.

    Args:
        judge: never the classifier that drew.
        images: uint8 (·, C, H, W), the drawn images in parts.
        labels: int64 (n,), the classes asked for; None leaves out the scores that need them.
        train_images: uint8, what the classifier learnt from.
        test_images: uint8, held out; test_labels int64, or None where they have none.
        num_classes: of the labels.
        judge_iterations, steps, note: written down beside the scores.
        learnt: Cls_G of "drawn" and of "real", or nothing.
        say: told what happens to the cache, see `cache.cached`.
    """
    distances: list[Tensor] = []

    def compared() -> Iterator[Tensor]:
        for part in images:
            distances.append(nearest_distances(part, train_images))
            yield part

    settings: dict[str, Any] = {"num_classes": num_classes, "seed": seed}
    reading = read_images(judge, compared(), batch_size=batch_size, keep_features=True)
    n = len(reading.logits)
    reference = ReferenceImages.cached(judge, train_images, most=n, seed=seed, batch_size=batch_size, say=say)
    chosen, _ = subset(torch.arange(len(test_images)), torch.arange(len(test_images)), n, seed)
    real, real_labels = test_images[chosen], None if test_labels is None else test_labels[chosen]
    noise = uniform_noise(n, test_images.shape[1:], seed=seed)
    scores, sweep = scores_of_reading(reading, reference, labels, **settings)
    real_scores, real_sweep = image_scores(judge, reference, real, real_labels, batch_size=batch_size, **settings)
    noise_scores, _ = image_scores(judge, reference, noise, labels, batch_size=batch_size, **settings)
    at_n_real: dict[str, Score] = {}
    sweeps = {"drawn": sweep}
    if len(real) < n:
        rows, _ = subset(torch.arange(n), torch.arange(n), len(real), seed)
        few_labels = None if labels is None else labels[rows]
        at_n_real, sweeps["drawn_at_n_real"] = scores_of_reading(reading.at(rows), reference, few_labels, **settings)
    for found, whose in ((scores, "drawn"), (real_scores, "real")):
        found |= {"Cls_G": Score(learnt[whose])} if whose in learnt else {}
    accuracy = number(real_scores["Cls_R"].value) if "Cls_R" in real_scores else None
    return ImageScores(
        judge=JudgeAbout(name=judge.name, iterations=judge_iterations, accuracy=accuracy),
        steps=steps,
        n=n,
        n_real=len(real),
        rows=image_rows(scores, real_scores, noise_scores, judge=judge.name, count=n, at_n_real=at_n_real),
        sweep={**sweeps, "real": real_sweep},
        nearest=Nearest(
            drawn=float(torch.cat(distances).mean()), real=float(nearest_distances(real, train_images).mean())
        ),
        note=note,
    )
