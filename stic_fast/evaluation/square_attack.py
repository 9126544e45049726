# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""An attack that asks for no gradient: the Square attack, a random search with squares of extreme values.

Andriushchenko et al., ECCV 2020, algorithms 1 and 2. What gradient masking hides from PGD it cannot hide from this.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.evaluation.attacks import AttackResult, attack_images, in_pixels, margins
from stic_fast.evaluation.fixed_classifier import FixedClassifier, Model
from stic_fast.evaluation.noise_seed import noise_seed
from stic_fast.ops import noise

# Of the authors' code: the share of its image that a square covers at first, and when, of 10,000 queries, it halves.
FIRST_AREA = 0.8
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
HALVING_SCALE = 10_000


def square_attack(
    model: Model,
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    epsilon: float,
    seed: int,
    queries: int = 500,
    image_ids: Tensor | None = None,
    batch_size: int = 256,
    keep_images: bool = False,
) -> AttackResult:
    """L∞ Square attack: keep a random square of x ± ε, one sign per channel, wherever it raises the margin.

    It starts from vertical stripes of x ± ε; the squares shrink on the authors' schedule, scaled to `queries`.

    Args:
        queries: forward passes for each image; the authors take thousands.
        others: as for `stic_fast.evaluation.attacks.pgd`.

    Raises:
        InputError: as `pgd`, or queries < 1.

    >>> model = lambda x: torch.stack([-x.mean((1, 2, 3)), x.mean((1, 2, 3))], dim=1)  # black or white, by the mean
    >>> images = torch.tensor([0, 117, 138, 255], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    >>> attacked = square_attack(model, images, torch.tensor([0, 0, 1, 1]), 2, epsilon=32 / 255, seed=0)
    >>> attacked.name, attacked.survived.tolist()
    ('Square-500 at 32/255', [True, False, False, True])
    """
    check_count("queries", queries)
    key, radius = noise_seed(seed, "square"), 2 * epsilon

    @torch.no_grad()
    def attack(classifier: FixedClassifier, x: Tensor, y: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        best, stands = x.clone(), torch.ones_like(y, dtype=torch.bool)
        height = torch.full((len(y),), -torch.inf, dtype=x.dtype, device=x.device)
        channels, high, wide = x.shape[1:]
        for query in range(queries):
            rows = stands.nonzero()[:, 0]
            if not len(rows):
                break
            at: dict[str, Any] = {"seed": key, "step": query, "chain_ids": ids[rows], "dtype": x.dtype}
            shape = (len(rows), channels, 1, wide) if query == 0 else (len(rows), 2 + channels)
            u = noise.uniform(shape, stream=noise.Stream.CHAIN_INIT, **at)
            if query == 0:
                tried = x[rows] + radius * _signs(u)
            else:
                inside = _square(u[:, :2], square_side(query, queries, high, wide), high, wide)
                tried = torch.where(inside, x[rows] + radius * _signs(u[:, 2:, None, None]), best[rows])
            tried = tried.clamp(-1, 1)
            logits = classifier.class_logits(tried)
            right, new_height = classifier.is_right(logits, y[rows]), margins(logits, y[rows])
            better = (new_height > height[rows]) | ~right
            taken = rows[better]
            best[taken], height[taken], stands[rows] = tried[better], new_height[better], right
        return stands, best

    name = f"Square-{queries} at {in_pixels(epsilon)}"
    batches: dict[str, Any] = {"image_ids": image_ids, "batch_size": batch_size, "keep_images": keep_images}
    return attack_images(name, attack, model, images, labels, num_classes, epsilon=epsilon, **batches)


def square_side(query: int, queries: int, height: int, width: int) -> int:
    """The side, in pixels, of the square tried at this query out of so many; 1 to the image's shorter side.

    >>> [square_side(query, 500, 32, 32) for query in (1, 3, 60, 450)]
    [20, 14, 5, 1]
    """
    scaled = query * HALVING_SCALE // queries
    area = FIRST_AREA * 0.5 ** sum(scaled > halving for halving in HALVINGS) * height * width
    return min(max(round(math.sqrt(area)), 1), height, width)


def _square(u: Tensor, side: int, height: int, width: int) -> Tensor:
    """bool (B, 1, H, W): a square of this side, its corner from uniforms (B, 2)."""
    top = (u[:, 0] * (height - side + 1)).long().clamp(max=height - side)[:, None]
    left = (u[:, 1] * (width - side + 1)).long().clamp(max=width - side)[:, None]
    down, across = torch.arange(height, device=u.device), torch.arange(width, device=u.device)
    in_rows = (down >= top) & (down < top + side)
    in_columns = (across >= left) & (across < left + side)
    return (in_rows[:, :, None] & in_columns[:, None, :]).unsqueeze(1)


def _signs(uniform: Tensor) -> Tensor:
    return torch.where(uniform < 0.5, -1.0, 1.0).to(uniform.dtype)
