# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Gram loss of an image too large for its features to be held at once: tile by tile, with the same gradient.

A Gram matrix is a mean over places, so it is that of the tiles', each by its share w of all places:

    G = Σ w·G(F_tile),    ∂L/∂F_tile = w·⟨∂L/∂G, ∂G(F_tile)/∂F_tile⟩

A first walk over the tiles sums G, which tells L and ∂L/∂G; a second sums the gradient. Each tile is read with as much
of what lies around it as its features reach.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stic_fast.ops.gram import gram
from stic_fast.ops.gram_loss_blas import scaled

Tiles = Iterable[list[Tensor]]
"""For one tile after the other the features of all layers, each (1, channels, height, width)."""


@dataclass(frozen=True)
class Cut:
    """A tile along one axis of an image, in pixels."""

    read: slice
    """What its features are taken of."""
    first: int
    """Of what is read, where the tile begins."""
    last: int | None
    """Of what is read, where it ends; None for the end."""

    def kept(self, scale: int) -> slice:
        """The tile's own features, of a layer with one for so many pixels."""
        return slice(self.first // scale, None if self.last is None else self.last // scale)


def cuts(length: int, side: int, before: int, after: int, *, wrapped: bool = False) -> Iterator[Cut]:
    """Tiles of `side` pixels and a last one of what is left, read with so many around; scales must divide all three.

    Args:
        wrapped: whether an image has been given `before` and `after` pixels of its other end; `length` is its own.

    >>> [(cut.read.start, cut.read.stop, cut.first, cut.last) for cut in cuts(21, 8, 4, 4)]
    [(0, 12, 0, 8), (4, 20, 4, 12), (12, 21, 4, None)]
    """
    starts = [start for start in range(0, length, side) if start == 0 or length - start >= after]
    for start, end in itertools.pairwise([*starts, length]):
        if wrapped:
            yield Cut(slice(start, end + before + after), before, before + end - start)
        else:
            begin = max(0, start - before)
            yield Cut(slice(begin, min(length, end + after)), start - begin, None if end == length else end - begin)


def gram_of(tiles: Tiles) -> list[Tensor]:
    """Each layer's Gram matrix of the whole image, (1, channels, channels).

    >>> features = torch.rand(1, 2, 4, 6)
    >>> (halves,) = gram_of([[features[..., :2]], [features[..., 2:]]])
    >>> torch.allclose(halves, gram(features))
    True
    """
    return _walk(tiles)[0]


def _walk(tiles: Tiles) -> tuple[list[Tensor], list[int]]:
    """Each layer's Gram matrix, and its places."""
    found = [[(gram(feature), feature.shape[2:].numel()) for feature in features] for features in tiles]
    matrices, places = [], []
    for layer in zip(*found, strict=True):
        places.append(sum(count for _, count in layer))
        matrices.append(torch.stack([count / places[-1] * matrix for matrix, count in layer]).sum(0))
    return matrices, places


def tiled_gram_loss(x: Tensor, tiles: Callable[[Tensor], Tiles], targets: Sequence[Tensor]) -> Tensor:
    """Σ log(1 + ‖G(F) − A‖²/‖A‖²) over layers, as `gram_loss` has it, of an image's features in tiles.

    Args:
        x: (1, C, H, W).
        tiles: gives its features, differentiable in x.
        targets: A, (1, channels, channels), of each layer.

    Returns:
        A scalar, differentiable once in x.
    """
    loss: Tensor = _TiledGramLoss.apply(x, tiles, targets)  # type: ignore[no-untyped-call]
    return loss


class _TiledGramLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, tiles: Callable[[Tensor], Tiles], targets: Sequence[Tensor]) -> Tensor:
        matrices, places = _walk(tiles(x))
        terms, slopes = [], []
        for matrix, target, count in zip(matrices, targets, places, strict=True):
            away, channels = matrix - target, matrix.shape[1]
            term, slope = scaled(away.square().sum(), target.square().sum(), channels, count, "log")
            terms.append(term)
            slopes.append(2 * slope * away)
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():
            for features in tiles(leaf):
                shares = [
                    feature.shape[2:].numel() / count * (slope * gram(feature)).sum()
                    for slope, feature, count in zip(slopes, features, places, strict=True)
                ]
                torch.stack(shares).sum().backward()  # type: ignore[no-untyped-call]
        ctx.save_for_backward(leaf.grad)
        return torch.stack(terms).sum()

    @staticmethod
    def backward(ctx: Any, *slope: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return slope[0] * gradient, None, None
