# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What an evaluation writes down of drawn images: every score beside that of real images and of noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from stic_fast.evaluation.drawn_images import DrawnImages
from stic_fast.evaluation.features import ReadsImages, read_images
from stic_fast.evaluation.image_scores import ReferenceImages, Score, image_scores, scores_of_reading
from stic_fast.evaluation.nearest import nearest_distances
from stic_fast.evaluation.outliers import uniform_noise
from stic_fast.evaluation.records import image_rows, subset, sweep_rows


def image_record(
    judge: ReadsImages,
    drawn: DrawnImages,
    train_images: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    *,
    seed: int,
    batch_size: int,
    learnt: Mapping[str, float],
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """The scores of n drawn images, of n real test images, or of all where there are fewer, and of n images of noise.

    Where there are fewer real ones, the scores that depend on the count are also taken of as many drawn images, chosen
    by the seed: "drawn_at_n_real" and "real" are what can be compared.

    Args:
        judge: never the classifier that drew.
        drawn: n images, none missing.
        train_images: uint8, what the classifier learnt from.
        test_images: uint8, labels int64; held out.
        learnt: Cls_G of "drawn" and of "real".
        say: told what happens to the cache, see `cache.cached`.

    Returns:
        n, n_real, rows, sweep (manifold scores over k of each set) and nearest (mean distance to a training image).
    """
    n, labels = drawn.count, drawn.labels()
    settings: dict[str, Any] = {"num_classes": drawn.num_classes, "seed": seed}
    reference = ReferenceImages.cached(judge, train_images, most=n, seed=seed, batch_size=batch_size, say=say)
    reading = read_images(judge, (images for images, _ in drawn), batch_size=batch_size, keep_features=True)
    real, real_labels = subset(test_images, test_labels, n, seed)
    noise = uniform_noise(n, test_images.shape[1:], seed=seed)
    scores, sweep = scores_of_reading(reading, reference, labels, **settings)
    real_scores, real_sweep = image_scores(judge, reference, real, real_labels, batch_size=batch_size, **settings)
    noise_scores, _ = image_scores(judge, reference, noise, labels, batch_size=batch_size, **settings)
    at_n_real: dict[str, Score] = {}
    sweeps = {"drawn": sweep_rows(sweep)}
    if len(real) < n:
        rows, few_labels = subset(torch.arange(n), labels, len(real), seed)
        at_n_real, few_sweep = scores_of_reading(reading.at(rows), reference, few_labels, **settings)
        sweeps["drawn_at_n_real"] = sweep_rows(few_sweep)
    scores["Cls_G"], real_scores["Cls_G"] = Score(learnt["drawn"]), Score(learnt["real"])
    distances = torch.cat([nearest_distances(images, train_images) for images, _ in drawn])
    return {
        "n": n,
        "n_real": len(real),
        "rows": image_rows(scores, real_scores, noise_scores, judge=judge.name, count=n, at_n_real=at_n_real),
        "sweep": {**sweeps, "real": sweep_rows(real_sweep)},
        "nearest": {"drawn": float(distances.mean()), "real": float(nearest_distances(real, train_images).mean())},
    }
