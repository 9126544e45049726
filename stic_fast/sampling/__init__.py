# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Chains: objectives, the Gram regulariser, the GRMALA and MALA samplers, conditions, and the pool of fakes."""

from __future__ import annotations

from stic_fast.pixels import to_bytes, to_unit
from stic_fast.sampling.canvas import Canvas, canvas
from stic_fast.sampling.chain_pool import ChainPool
from stic_fast.sampling.condition import Condition, draw_hard, draw_soft, interpolate
from stic_fast.sampling.draw import continue_chains, draw_images
from stic_fast.sampling.gram_regulariser import GramRegulariser
from stic_fast.sampling.grmala import GRMALA, ChainRecord, ChainResult
from stic_fast.sampling.mala import MALA, MALAResult
from stic_fast.sampling.objective import LatentGaussian, LogJoint, LogMarginal, LogPosterior, Objective
from stic_fast.sampling.recipe import Recipe

__all__ = [
    "GRMALA",
    "MALA",
    "Canvas",
    "ChainPool",
    "ChainRecord",
    "ChainResult",
    "Condition",
    "GramRegulariser",
    "LatentGaussian",
    "LogJoint",
    "LogMarginal",
    "LogPosterior",
    "MALAResult",
    "Objective",
    "Recipe",
    "canvas",
    "continue_chains",
    "draw_hard",
    "draw_images",
    "draw_soft",
    "interpolate",
    "to_bytes",
    "to_unit",
]
