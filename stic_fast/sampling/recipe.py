# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How a method draws images: the chain, what it climbs, where it starts and what its Gram term compares with."""

from __future__ import annotations

from dataclasses import dataclass, field

from stic_fast.ops.gram_loss import GramScale
from stic_fast.sampling.canvas import Canvas
from stic_fast.sampling.grmala import GRMALA
from stic_fast.sampling.objective import LogPosterior, Objective


@dataclass(frozen=True)
class Recipe:
    """Everything but the classifier, the real images and the seed.

    >>> Recipe(GRMALA(steps=20)).references
    1
    """

    sampler: GRMALA
    """The chain; with eps2 = 0 it has no Gram term."""
    objective: Objective = field(default_factory=LogPosterior)
    """What it climbs."""
    start: Canvas = "uniform"
    """What it starts from."""
    references: int = 1
    """Real images that its Gram term compares with."""
    gram_layers: tuple[str, ...] | None = None
    """Layers that its Gram term compares; the classifier's own if None."""
    normalize: GramScale = "log"
    """Scale of the Gram loss, see `stic_fast.gram_loss`."""
