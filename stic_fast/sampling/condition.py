# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a chain is conditioned on: a point of the vicinal distribution, λ of one real image and 1 − λ of another.

A hard condition, one class and one real image of it, is the case λ = 1. Both the target label and the reference of
the Gram term follow from it, so the chain's two terms pull towards the same vicinity (equation 3 with equation 4).

The paper holds a chain against one real image. With R > 1 references of the same class the Gram term compares with the
mean of their Gram matrices, which no single image has: the chain takes the class's texture and copies less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from stic_fast.errors import InputError
from stic_fast.ops import noise
from stic_fast.ops.vrm_batch import beta_quantile
from stic_fast.pixels import to_unit


@dataclass(frozen=True)
class Condition:
    """λ·(rows `first`) + (1 − λ)·(rows `second`) of a set of real images, R references for each chain."""

    first: Tensor
    """int64 (chains, R), rows of the image set; a chain's rows share a class."""
    second: Tensor
    """int64 (chains, R), likewise."""
    weight: Tensor
    """λ, float32 (chains,)."""

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, chains: slice | Tensor) -> Condition:
        return Condition(self.first[chains], self.second[chains], self.weight[chains])

    def replaced(self, chains: Tensor, by: Condition) -> Condition:
        """This condition with another in the place of these chains, int64 (len(by),)."""
        return Condition(
            self.first.index_copy(0, chains, by.first),
            self.second.index_copy(0, chains, by.second),
            self.weight.index_copy(0, chains, by.weight),
        )

    def beside(self, other: Condition) -> Condition:
        """This condition's chains and then another's."""
        return Condition(
            torch.cat([self.first, other.first]),
            torch.cat([self.second, other.second]),
            torch.cat([self.weight, other.weight]),
        )

    def targets(self, labels: Tensor, num_classes: int) -> Tensor:
        """The soft labels λ·e_first + (1 − λ)·e_second, float32 (chains, num_classes)."""
        first, second = (one_hot(labels[rows[:, 0]], num_classes).float() for rows in (self.first, self.second))
        return torch.lerp(second, first, self.weight[:, None])

    def references(self, images: Tensor) -> Tensor:
        """The images λ·x_first + (1 − λ)·x_second, float32 (chains, R, channels, height, width) in [−1, 1]."""
        weight = self.weight.view(-1, *[1] * images.dim())
        return torch.lerp(to_unit(images[self.second]), to_unit(images[self.first]), weight)


def draw_hard(
    labels: Tensor, classes: Tensor, chain_ids: Tensor, *, references: int = 1, seed: int, step: int = 0
) -> Condition:
    """Real images of the asked class, drawn uniformly and independently, `references` per chain.

    Args:
        labels: int64 (images,), the image set's labels.
        classes: int64 (chains,), the class of each chain.
        references: R.
        chain_ids, seed, step: address of the draw, on the mixup stream.

    Raises:
        InputError: a class without any image, or references below 1.

    >>> draw_hard(torch.tensor([0, 1, 1]), torch.tensor([1, 0]), torch.arange(2), seed=0).weight
    tensor([1., 1.])
    """
    draws = _draws(labels, chain_ids, references, references, seed, step)
    rows = _rows_of_class(labels, classes, draws)
    return Condition(rows, rows, torch.ones(len(rows), device=labels.device))


def draw_soft(
    labels: Tensor, chain_ids: Tensor, *, alpha: float, references: int = 1, seed: int, step: int = 0
) -> Condition:
    """A mixup of two real images per chain, rows uniform and λ ~ Beta(α, α), as `vrm_batch` mixes training images.

    Further references are of the same two classes.

    >>> soft = draw_soft(torch.tensor([0, 1, 1]), torch.arange(5), alpha=1.0, seed=0)
    >>> bool(((soft.weight >= 0) & (soft.weight <= 1)).all())
    True
    """
    draws = _draws(labels, chain_ids, references, 1 + 2 * references, seed, step)
    rows = []
    for side in (draws[:, 1 : 1 + references], draws[:, 1 + references :]):
        anchor = (side[:, :1] * len(labels)).long().clamp_(max=len(labels) - 1)
        rows.append(torch.cat((anchor, _rows_of_class(labels, labels[anchor[:, 0]], side[:, 1:])), dim=1))
    return Condition(rows[0], rows[1], beta_quantile(draws[:, 0], alpha))


def interpolate(
    labels: Tensor,
    start: int,
    end: int,
    chains: int,
    weights: Sequence[float],
    *,
    references: int = 1,
    seed: int,
    chain_ids: Tensor | None = None,
) -> Condition:
    """Per chain a path from real images of class `start` to ones of class `end`: len(weights) conditions in a row.

    Args:
        weights: the share of `end`, 0 .. 1, along the path.
        references: R.
        seed, chain_ids: address of the draws, one for each path's start and then one for each one's end; 0 on if None.

    Returns:
        Condition of chains·len(weights) chains, path by path.
    """
    ids = torch.arange(2 * chains, device=labels.device) if chain_ids is None else chain_ids
    classes = torch.tensor([start, end], device=labels.device).repeat_interleave(chains)
    rows = draw_hard(labels, classes, ids, references=references, seed=seed).first
    share = torch.tensor(weights, device=labels.device, dtype=torch.float32).repeat(chains)
    first, second = (half.repeat_interleave(len(weights), dim=0) for half in (rows[:chains], rows[chains:]))
    return Condition(first, second, 1 - share)


def _draws(labels: Tensor, chain_ids: Tensor, references: int, count: int, seed: int, step: int) -> Tensor:
    if references < 1:
        raise InputError(f"a chain needs at least one reference image, got references={references}; give 1 or more")
    stream = noise.Stream.MIXUP
    return noise.uniform(
        (len(chain_ids), count), seed=seed, step=step, chain_ids=chain_ids, stream=stream, device=labels.device
    )


def _rows_of_class(labels: Tensor, classes: Tensor, draws: Tensor) -> Tensor:
    """Uniform rows (chains, R) among those of each chain's class."""
    order = torch.argsort(labels, stable=True)
    counts = torch.bincount(labels, minlength=int(classes.max()) + 1 if len(classes) else 0)
    empty = classes[(classes < 0) | (counts[classes.clamp(min=0)] == 0)]
    if len(empty):
        raise InputError(f"the image set has no image of class {int(empty[0])}; ask for one of its classes")
    starts, members = torch.cumsum(counts, 0) - counts, counts[classes][:, None]
    within = (draws * members).long().minimum(members - 1)
    return order[starts[classes][:, None] + within]
