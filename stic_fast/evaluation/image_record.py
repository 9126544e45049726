# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""All scores of drawn images under one judge, each beside that of real test images and of noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stic_fast.evaluation.features import metric_name
from stic_fast.evaluation.image_scores import COUNT_DEPENDENT, MEANINGS, Score
from stic_fast.evaluation.judging import Display, Judging
from stic_fast.evaluation.nearest import nearest_distances
from stic_fast.evaluation.record_form import ImageRow, ImageScores, JudgeAbout, Nearest, number
from stic_fast.evaluation.records import subset


def image_record(
    judging: Judging,
    images: Tensor,
    labels: Tensor | None,
    *,
    steps: int | None = None,
    note: str = "",
    progress: Display | None = None,
) -> ImageScores:
    """The scores of n drawn images, of n real test images, or of all where there are fewer, and of n images of noise.

    Where there are fewer real ones, the scores that depend on the count are also taken of as many drawn images, chosen
    by the seed: "drawn_at_n_real" and "real" are what can be compared.

    Args:
        judging: a judge, never the classifier that drew, for sets of n.
        images: uint8 (n, C, H, W), the drawn ones.
        labels: int64 (n,), the classes asked for; None leaves out the scores that need them.
        steps, note: written down beside the scores.
        progress: told how far the networks are that learn for Cls_G.
    """
    n, train_images = judging.n, judging.splits.train.images
    reading = judging.read(images)
    scores, sweep = judging.measured(reading, labels)
    real, real_labels = judging.real_images()
    real_scores, real_sweep = judging.measured(real, real_labels)
    noise_scores = judging.scores(judging.noise_images(), labels)
    at_n_real: dict[str, Score] = {}
    sweeps = {"drawn": sweep}
    if len(real) < n:
        rows, _ = subset(torch.arange(n), torch.arange(n), len(real), judging.seed)
        few_labels = None if labels is None else labels[rows]
        at_n_real, sweeps["drawn_at_n_real"] = judging.measured(reading.at(rows), few_labels)
    if labels is not None and judging.labelled:
        scores["Cls_G"] = Score(judging.cls_g(images, labels, progress))
        real_scores["Cls_G"] = Score(judging.cls_g_of_real(progress))
    name, accuracy = judging.judge.name, number(real_scores["Cls_R"].value) if "Cls_R" in real_scores else None
    return ImageScores(
        judge=JudgeAbout(name=name, iterations=judging.judge_iterations, accuracy=accuracy),
        n=n,
        n_real=len(real),
        rows=image_rows(scores, real_scores, noise_scores, judge=name, count=n, at_n_real=at_n_real),
        sweep={**sweeps, "real": real_sweep},
        nearest=Nearest(*(float(nearest_distances(each, train_images).mean()) for each in (images, real))),
        steps=steps,
        note=note,
    )


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
    few = {key: score for key, score in (at_n_real or {}).items() if key in COUNT_DEPENDENT}
    rows = []
    for key, score in drawn.items():
        columns = {"drawn": drawn, "drawn_at_n_real": few, "real": real, "noise": noise}
        values: dict[str, Any] = {
            name: number(each[key].value) if key in each else None for name, each in columns.items()
        }
        values |= {**MEANINGS[key]._asdict(), "name": metric_name(key, judge, count)}
        rows.append(ImageRow(key=key, spread=number(score.spread), **values))
    return tuple(rows)
