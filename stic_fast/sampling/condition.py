# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a chain is conditioned on: a point of the vicinal distribution, λ of one real image and 1 − λ of another.

A hard condition, one class and one real image of it, is the case λ = 1. Both the target label and the reference of
the Gram term follow from it, so the chain's two terms pull towards the same vicinity (equation 3 with equation 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.ops import noise
from stic_fast.ops.vrm_batch import beta_quantile
from stic_fast.pixels import to_unit


@dataclass(frozen=True)
class Condition:
    """λ·(row `first`) + (1 − λ)·(row `second`) of a set of real images, one per chain."""

    first: Tensor
    """int64 (chains,), rows of the image set."""
    second: Tensor
    """int64 (chains,)."""
    weight: Tensor
    """λ, float32 (chains,)."""

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: slice | Tensor) -> Condition:
        return Condition(self.first[rows], self.second[rows], self.weight[rows])

    def replaced(self, mask: Tensor, by: Condition) -> Condition:
        """This condition with the masked chains taken from another."""
        return Condition(
            torch.where(mask, by.first, self.first),
            torch.where(mask, by.second, self.second),
            torch.where(mask, by.weight, self.weight),
        )

    def targets(self, labels: Tensor, num_classes: int) -> Tensor:
        """The soft labels λ·e_first + (1 − λ)·e_second, float32 (chains, num_classes)."""
        one_hot = torch.nn.functional.one_hot(labels, num_classes).float()
        return torch.lerp(one_hot[self.second], one_hot[self.first], self.weight[:, None])

    def references(self, images: Tensor) -> Tensor:
        """The images λ·x_first + (1 − λ)·x_second that the Gram term compares with, float32 in [−1, 1]."""
        weight = self.weight.view(-1, *[1] * (images.dim() - 1))
        return torch.lerp(to_unit(images[self.second]), to_unit(images[self.first]), weight)


def draw_hard(labels: Tensor, classes: Tensor, chain_ids: Tensor, *, seed: int, step: int = 0) -> Condition:
    """One real image of the asked class per chain, drawn uniformly.

    Args:
        labels: int64 (images,), the image set's labels.
        classes: int64 (chains,), the class of each chain.
        chain_ids, seed, step: address of the draw, on the mixup stream.

    Raises:
        InputError: a class without any image.

    >>> draw_hard(torch.tensor([0, 1, 1]), torch.tensor([1, 0]), torch.arange(2), seed=0).weight
    tensor([1., 1.])
    """
    draws = noise.uniform(
        (len(chain_ids), 1), seed=seed, step=step, chain_ids=chain_ids, stream=noise.Stream.MIXUP, device=labels.device
    )
    rows = _row_of_class(labels, classes, draws[:, 0])
    return Condition(rows, rows, torch.ones(len(rows), device=labels.device))


def draw_soft(labels: Tensor, chain_ids: Tensor, *, alpha: float, seed: int, step: int = 0) -> Condition:
    """A mixup of two real images per chain, rows uniform and λ ~ Beta(α, α), as `vrm_batch` mixes training images.

    >>> soft = draw_soft(torch.tensor([0, 1, 1]), torch.arange(5), alpha=1.0, seed=0)
    >>> bool(((soft.weight >= 0) & (soft.weight <= 1)).all())
    True
    """
    draws = noise.uniform(
        (len(chain_ids), 3), seed=seed, step=step, chain_ids=chain_ids, stream=noise.Stream.MIXUP, device=labels.device
    )
    rows = (draws[:, :2] * len(labels)).long().clamp_(max=len(labels) - 1)
    return Condition(rows[:, 0], rows[:, 1], beta_quantile(draws[:, 2], alpha))


def interpolate(
    labels: Tensor, start: int, end: int, chains: int, weights: Sequence[float], *, seed: int, first_id: int = 0
) -> Condition:
    """Per chain a path from one real image of class `start` to one of class `end`: len(weights) conditions in a row.

    Args:
        weights: the share of `end`, 0 .. 1, along the path.
        first_id: id of the first draw.

    Returns:
        Condition of chains·len(weights) chains, path by path.
    """
    ids = torch.arange(2 * chains, device=labels.device) + first_id
    classes = torch.tensor([start, end], device=labels.device).repeat_interleave(chains)
    rows = draw_hard(labels, classes, ids, seed=seed).first
    share = torch.tensor(weights, device=labels.device, dtype=torch.float32).repeat(chains)
    return Condition(
        rows[:chains].repeat_interleave(len(weights)), rows[chains:].repeat_interleave(len(weights)), 1 - share
    )


def _row_of_class(labels: Tensor, classes: Tensor, draw: Tensor) -> Tensor:
    """A uniform row among those of each chain's class."""
    order = torch.argsort(labels, stable=True)
    counts = torch.bincount(labels, minlength=int(classes.max()) + 1 if len(classes) else 0)
    empty = classes[(classes < 0) | (counts[classes.clamp(min=0)] == 0)]
    if len(empty):
        raise InputError(f"the image set has no image of class {int(empty[0])}; ask for one of its classes")
    starts = torch.cumsum(counts, 0) - counts
    within = (draw * counts[classes]).long().minimum(counts[classes] - 1)
    return order[starts[classes] + within]
