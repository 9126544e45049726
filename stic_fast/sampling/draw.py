# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Draws finished images: conditions to canvases to chains to bytes, in batches of any size with the same result."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from stic_fast.models import Classifier
from stic_fast.pixels import to_bytes
from stic_fast.sampling.canvas import canvas
from stic_fast.sampling.condition import Condition
from stic_fast.sampling.gram_regulariser import GramRegulariser
from stic_fast.sampling.grmala import ChainRecord
from stic_fast.sampling.recipe import Recipe


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
    batch_size: int = 250,
    trace_every: int = 0,
    on_step: Callable[[], None] | None = None,
) -> tuple[Tensor, list[ChainRecord]]:
    """Runs chains with their conditions as targets and references, batch by batch.

    They run in the precision of their sampler, within a training iteration under autocast too.

    Args:
        recipe: the sampler, its objective, and the scale of its Gram term.
        x: float (chains, channels, height, width), where they are.
        condition: what each chain is asked for, in rows of `images`.
        images: uint8 (images, channels, height, width), the real images referred to; labels: int64 (images,).
        chain_ids: int64 (chains,), with seed and first_step the address of the noise.
        batch_size: chains per forward pass.
        trace_every: trace the first batch at every so many steps.
        on_step: called after each step of each batch.

    Returns:
        The new states and the trace.
    """
    states, trace = [], []
    layers = model.gram_layers if recipe.gram_layers is None else recipe.gram_layers
    for begin in range(0, len(x), batch_size):
        rows = slice(begin, begin + batch_size)
        gram = None
        with torch.autocast(x.device.type, enabled=False):
            if recipe.sampler.eps2 and layers:
                references = condition[rows].references(images)
                gram = GramRegulariser.from_images(model, references, layers=layers, normalize=recipe.normalize)
            result = recipe.sampler.run(
                model,
                x[rows],
                condition[rows].targets(labels, model.num_classes),
                seed=seed,
                gram=gram,
                objective=recipe.objective,
                first_step=first_step,
                chain_ids=chain_ids[rows],
                trace_every=trace_every if begin == 0 else 0,
                on_step=on_step,
            )
        states.append(result.x)
        trace.extend(result.trace)
    return torch.cat(states) if states else x, trace


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
    on_step: Callable[[], None] | None = None,
) -> Tensor:
    """Images drawn by fresh chains, uint8 (chains, channels, height, width). Arguments as for `continue_chains`.

    >>> from stic_fast.models import WideResNet
    >>> from stic_fast.sampling import GRMALA, Recipe, draw_hard
    >>> model = WideResNet(depth=10, width=1, num_classes=2, in_channels=1)
    >>> images, labels = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 1, 1])
    >>> condition = draw_hard(labels, torch.tensor([0, 1, 1]), torch.arange(3), seed=0)
    >>> draw_images(model, Recipe(GRMALA(steps=2)), condition, images, labels, seed=0).shape
    torch.Size([3, 1, 8, 8])
    """
    ids = torch.arange(len(condition), device=images.device) if chain_ids is None else chain_ids
    x = canvas(recipe.start, images.shape[1:], ids, seed=seed)
    x, _ = continue_chains(
        model,
        recipe,
        x,
        condition,
        images,
        labels,
        seed=seed,
        chain_ids=ids,
        batch_size=batch_size,
        on_step=on_step,
    )
    return to_bytes(x)
