# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Where studies change how a run draws: its recipe with one thing changed, and chains that start or mix elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.noise_addresses import NEIGHBOURS, PATHS, SAMPLES
from stic_fast.ops import noise
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.sampling import (
    GRMALA,
    AnnealedGRMALA,
    Canvas,
    ClassScore,
    Guidance,
    NoiseSpace,
    PixelSpace,
    Recipe,
    continue_chains,
    draw_hard,
    interpolate,
)
from stic_fast.training import ImageSampler, Progress, TrainedRun

CANVASES: tuple[Canvas, ...] = get_args(Canvas)
MOST_ANCHORS = 100
"""Neighbour k of anchor a has the number k·MOST_ANCHORS + a among the chains of neighbours."""


def steps_of(sampler: ImageSampler) -> int:
    """Of each chain."""
    return sampler.resolved.steps


def step_sizes_of(run: TrainedRun) -> tuple[float, float]:
    """ε1 and ε2 of the run's own recipe."""
    sampler = _of_one_level(run)
    return sampler.eps1, sampler.eps2


def _of_one_level(run: TrainedRun) -> GRMALA:
    """The sampler of the run's own recipe, whose steps are all alike."""
    sampler: object = run.config.sampler
    if not isinstance(sampler, GRMALA):
        raise InputError(f"{run.folder.path} draws through noise levels; this study is of runs whose chains have none")
    return sampler


def with_step_sizes(run: TrainedRun, eps1: float, eps2: float) -> Recipe:
    """The run's recipe with other step sizes."""
    return run.recipe.with_samplers(eps1=eps1, eps2=eps2)


def gram_layers_of(run: TrainedRun) -> tuple[str, ...]:
    """The layers in the Gram term of the run's own recipe."""
    return run.recipe.stages[0].compared(run.model)


def with_gram_layers(run: TrainedRun, layers: tuple[str, ...]) -> Recipe:
    """The run's recipe with other layers in its Gram term; without any it has no such term."""
    recipe = run.recipe if layers else run.recipe.with_samplers(eps2=0.0)
    return replace(recipe, stages=tuple(replace(stage, gram_layers=layers) for stage in recipe.stages))


def annealed_chain_of(run: TrainedRun) -> tuple[AnnealedGRMALA, Guidance]:
    """The sampler and the guidance of a run that draws through noise levels."""
    sampler, objective = run.recipe.stages[0].sampler, run.recipe.stages[0].objective
    if not (isinstance(sampler, AnnealedGRMALA) and isinstance(objective, ClassScore)):
        raise InputError(f"{run.folder.path} does not draw through noise levels; study a run whose chains do")
    return sampler, objective.guidance


def with_annealed_chain(run: TrainedRun, sampler: AnnealedGRMALA, guidance: Guidance) -> Recipe:
    """The run's recipe with another sampler and another guidance."""
    (stage,) = run.recipe.stages
    stage = replace(stage, sampler=sampler, objective=ClassScore(guidance))
    return replace(run.recipe, stages=(stage,), space=NoiseSpace(sigma=sampler.sigma_max))


def canvas_of(run: TrainedRun) -> Canvas:
    """What the chains of the run's own recipe start from."""
    space = run.recipe.space
    if not isinstance(space, PixelSpace):
        raise InputError(f"{run.folder.address} draws in a space without a canvas; study a run that draws pixels")
    return space.canvas


def with_canvas(run: TrainedRun, start: Canvas) -> Recipe:
    """The run's recipe from another canvas."""
    return replace(run.recipe, space=PixelSpace(canvas=start))


def mixed_pixels(run: TrainedRun, ends: tuple[int, int], paths: int, shares: Sequence[float], seed: int) -> Tensor:
    """Paths between the real images that the run's own paths from class to class refer to, pixel by pixel.

    Returns:
        uint8 (paths·len(shares), C, H, W), path by path.
    """
    train = run.splits.train
    ids = PATHS.ids(2 * paths, device=train.labels.device)
    references = run.recipe.references
    condition = interpolate(train.labels, *ends, paths, shares, references=references, seed=seed, chain_ids=ids)
    return to_bytes(condition.references(train.images)[:, 0])


def around(
    sampler: ImageSampler,
    anchors: Tensor,
    numbers: Tensor,
    *,
    neighbours: int,
    radii: Sequence[float],
    progress: Progress,
) -> tuple[Tensor, Tensor]:
    """Where chains around drawn images start and what they draw, by radius, at last from fresh canvases.

    All chains of an anchor have its condition. A neighbour has one id, so one direction away from the anchor and one
    noise along the chain, at every radius: only the radius tells its images apart.

    Args:
        anchors: uint8 (A, C, H, W), drawn by the sampler.
        numbers: theirs, as `ImageSampler.of_numbers` has it, int64 (A,).
        neighbours: chains around each anchor.
        radii: standard deviations of the noise that is added to an anchor, pixels being from −1 to 1.

    Returns:
        Starts and ends, uint8 (len(radii) + 1, A, neighbours, C, H, W).
    """
    run, recipe, seed = sampler.run, sampler.resolved, sampler.seed
    device = next(run.model.parameters()).device
    referred, numbers = sampler.images, numbers.to(device)
    classes, references = numbers % run.model.num_classes, recipe.references
    condition = draw_hard(referred.labels, classes, SAMPLES.of(numbers), references=references, seed=seed)
    rows = torch.arange(len(numbers), device=device).repeat_interleave(neighbours)
    ids = NEIGHBOURS.of(torch.arange(neighbours, device=device).repeat(len(numbers)) * MOST_ANCHORS + rows)
    starts = starts_around(to_unit(anchors.to(device))[rows], radii, ids, recipe, _of_one_level(run).clamp, seed)
    ends = []
    batches = -(-len(ids) // sampler.batch_size)
    with progress.task("drawing neighbours", len(starts) * batches * recipe.steps) as advance:
        for start in starts:
            for batch in torch.split(torch.arange(len(ids), device=device), sampler.batch_size):
                end, _ = continue_chains(
                    run.model,
                    recipe,
                    start[batch],
                    condition[rows[batch]],
                    referred.images,
                    referred.labels,
                    seed=seed,
                    chain_ids=ids[batch],
                    on_step=advance,
                )
                ends.append(end)
    shape = len(starts), len(numbers), neighbours, *anchors.shape[1:]
    before, after = (to_bytes(torch.cat(states)).cpu().view(shape) for states in (starts, ends))
    return before, after


def starts_around(
    centre: Tensor, radii: Sequence[float], ids: Tensor, recipe: Recipe, clamp: tuple[float, float] | None, seed: int
) -> list[Tensor]:
    """For each radius anchor + radius·noise, float32 (chains, channels, height, width), then canvases."""
    where: dict[str, Any] = {"seed": seed, "chain_ids": ids, "stream": noise.Stream.CHAIN_INIT, "device": ids.device}
    away = noise.normal(centre.shape, **where)
    low, high = clamp or (-math.inf, math.inf)
    near = [(centre + radius * away).clamp(low, high) for radius in radii]
    return [*near, recipe.of_images(centre.shape[1:]).space.start(ids, seed=seed)]
