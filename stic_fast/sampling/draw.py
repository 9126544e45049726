# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Chains through the stages of a recipe, and from fresh ones to finished images."""

from __future__ import annotations

import torch
from torch import Tensor

from stic_fast.models import Classifier
from stic_fast.pixels import to_bytes
from stic_fast.sampling.condition import Condition
from stic_fast.sampling.gram_regulariser import GramRegulariser
from stic_fast.sampling.recipe import Recipe
from stic_fast.sampling.sampler import ChainRecord, OnStep


def continue_chains(
    model: Classifier,
    recipe: Recipe,
    x: Tensor,
    condition: Condition,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int,
    chain_ids: Tensor,
    first_step: int = 0,
    trace_every: int = 0,
    on_step: OnStep | None = None,
) -> tuple[Tensor, list[ChainRecord]]:
    """Runs a batch of chains through the stages of a recipe, with their conditions as targets and references.

    They run in the precision of their sampler, within a training iteration under autocast too.

    Args:
        model: the network of stages that name none.
        x: float (chains, *shape), where they are in the recipe's space.
        condition: what each chain is asked for, in rows of `images`.
        images: uint8 (images, channels, height, width), the real images referred to; labels: int64 (images,).
        chain_ids: int64 (chains,), with seed and first_step the address of the noise.
        trace_every: trace every so many steps.
        on_step: called after each step.

    Returns:
        The new states and the trace.
    """
    space, trace = recipe.space, list[ChainRecord]()
    with torch.autocast(x.device.type, enabled=False):
        for stage in recipe.stages:
            network, gram = stage.network_or(model), None
            layers = stage.compared(network)
            if layers:
                references = condition.references(images)
                gram = GramRegulariser.from_images(
                    network,
                    space.encode(references.flatten(0, 1)),
                    layers=layers,
                    normalize=stage.normalize,
                    per_chain=references.shape[1],
                )
            result = space.bound(stage.sampler).run(
                network,
                x,
                condition.targets(labels, network.num_classes),
                seed=seed,
                gram=gram,
                objective=stage.objective,
                steps=stage.sizes,
                space=space,
                first_step=first_step,
                chain_ids=chain_ids,
                trace_every=trace_every,
                on_step=on_step,
                stop=stage.stop,
            )
            x, first_step = result.x, first_step + len(stage.sizes)
            trace += result.trace
    return x, trace


def draw_images(
    model: Classifier,
    recipe: Recipe,
    condition: Condition,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int,
    chain_ids: Tensor | None = None,
    batch_size: int = 250,
    on_step: OnStep | None = None,
    starts: Tensor | None = None,
) -> Tensor:
    """Images drawn by fresh chains, uint8 (chains, channels, height, width), in batches of any size the same.

    Other arguments as for `continue_chains`.

    Args:
        starts: images that chains start at, float (chains, channels, height, width) in [−1, 1]; None for the start of
            the recipe's space, noise.

    >>> from stic_fast.models import WideResNet
    >>> from stic_fast.sampling import GRMALA, Recipe, draw_hard
    >>> model = WideResNet(depth=10, width=1, num_classes=2, in_channels=1)
    >>> images, labels = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 1, 1])
    >>> condition = draw_hard(labels, torch.tensor([0, 1, 1]), torch.arange(3), seed=0)
    >>> draw_images(model, Recipe(GRMALA(steps=2)), condition, images, labels, seed=0).shape
    torch.Size([3, 1, 8, 8])
    """
    ids = torch.arange(len(condition), device=images.device) if chain_ids is None else chain_ids
    recipe = recipe.of_images(images.shape[1:])
    drawn = []
    for rows in torch.split(torch.arange(len(condition), device=ids.device), batch_size):
        if starts is None:
            x = recipe.space.start(ids[rows], seed=seed)
        else:
            x = recipe.space.start_at(starts[rows], ids[rows], seed=seed)
        x, _ = continue_chains(
            model, recipe, x, condition[rows], images, labels, seed=seed, chain_ids=ids[rows], on_step=on_step
        )
        drawn.append(to_bytes(recipe.space.decode(x)))
    return torch.cat(drawn)
