# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Counterfactuals of a classifier that knows a score: an image is given noise and led back as another class.

An image x with noise of deviation σ is the state of a chain at that level, and what the noise did not drown of x stays
in the image that the chain ends with. The more noise, the more changes; so the least is looked for:

    after ← end of the chain of class y from x + σ·N(0, I), at the lowest of `NOISES` with p(y | after) ≥ confidence

The chain is the run's own, which the classifier whose opinion is asked leads besides: ∇ log p(y|x, σ) has at least the
weight `LED`. On digits this brings images back as near again by a quarter, and they are no less likely by their score.
All images are rounded to bytes before they are read, so that what is said of them holds for what is saved.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from stic_fast.api.counterfactual import Counterfactual, check_confidence
from stic_fast.evaluation.judge import predict_logits
from stic_fast.noise_addresses import COUNTERFACTUALS
from stic_fast.pixels import to_unit
from stic_fast.sampling import ClassScore, Recipe, Stage
from stic_fast.training import ImageSampler, Progress

NOISES = tuple(2 ** (half / 2 - 1) for half in range(9))
"""The noise levels that are tried, 0.5 to 8 in units of [−1, 1]. Below them hardly an image becomes another class;
beyond them hardly anything is left of it."""
LED = 4.0
"""Least weight of ∇ log p(y|x, σ)."""


def led_back(
    sampler: ImageSampler, images: Tensor, to: int, *, noise: float | None, confidence: float, progress: Progress
) -> Counterfactual:
    """What becomes of images that are given noise and led back as class `to`.

    Args:
        sampler: the run, and how its chains run; they go through noise levels.
        images: uint8 (N, C, H, W) of the run's shape, on the CPU.
        to: a class of the run.
        noise: the level; None for the lowest of `NOISES` that does.
        confidence: see `Counterfactual`.

    Raises:
        InputError: a confidence or a noise level out of its range, chains that go through no noise levels, or more
            images than there is memory for.
        Diverged: chains left the finite numbers.
    """
    check_confidence(confidence)
    run, recipe = sampler.run, _led(sampler.resolved)
    before = probabilities = _read(sampler, images)
    noise_of = torch.zeros(len(images), dtype=torch.float64)
    after, device = images.clone(), next(run.model.parameters()).device
    for sigma in noises(recipe, noise):
        missing = (probabilities[:, to] < confidence).nonzero()[:, 0]
        if not len(missing):
            break
        # One id for all: what comes of an image does not depend on its place.
        ids = COUNTERFACTUALS.ids(1, device=device).expand(len(missing))
        starts = to_unit(images[missing].to(device))
        chains = replace(sampler, recipe=recipe.from_noise(sigma))
        ends = chains.of_chains(torch.full_like(ids, to), ids, progress, starts)
        found = _read(sampler, ends)
        better = found[:, to] > probabilities[missing, to]
        after[missing[better]], noise_of[missing[better]] = ends[better], sigma
        probabilities = probabilities.index_copy(0, missing[better], found[better])
    return Counterfactual(
        before=images,
        after=after,
        to=to,
        probabilities_before=before,
        probabilities_after=probabilities,
        confidence=confidence,
        class_names=run.class_names,
        noise=noise_of,
    )


def noises(recipe: Recipe, asked: float | None) -> tuple[float, ...]:
    """The noise levels to try, from low to high: the one asked for, or those of `NOISES` that chains go through.

    >>> from stic_fast.sampling import AnnealedGRMALA, NoiseSpace
    >>> noises(Recipe(AnnealedGRMALA(), NoiseSpace(sigma=1.0)), None)
    (0.5, 0.7071067811865476, 1.0)
    """
    if asked is not None:
        return (asked,)
    if recipe.noise_range is None:
        return ()
    lowest, highest = recipe.noise_range
    return tuple(sigma for sigma in NOISES if lowest < sigma <= highest) or (highest,)


def _led(recipe: Recipe) -> Recipe:
    """The recipe whose chains the classifier leads."""

    def led(stage: Stage) -> Stage:
        if not isinstance(stage.objective, ClassScore):
            return stage
        guidance = stage.objective.guidance
        guidance = replace(guidance, classifier=max(guidance.classifier, LED))
        return replace(stage, objective=replace(stage.objective, guidance=guidance))

    return recipe.with_stages(led)


def _read(sampler: ImageSampler, images: Tensor) -> Tensor:
    """p(y|x) over the real classes, float32 (N, classes)."""
    model = sampler.run.model
    return model.class_logits(predict_logits(model, images, batch_size=sampler.batch_size)).softmax(dim=1)
