# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Chains: spaces, objectives, steps and stages, the GRMALA and MALA samplers, conditions, and the pool of chains."""

from __future__ import annotations

from stic_fast.pixels import to_bytes, to_unit
from stic_fast.sampling.adam import Adam
from stic_fast.sampling.annealed import AnnealedGRMALA
from stic_fast.sampling.canvas import Canvas, canvas
from stic_fast.sampling.chain_pool import ChainPool
from stic_fast.sampling.class_score import ClassScore, Guidance
from stic_fast.sampling.condition import Condition, draw_hard, draw_soft, interpolate
from stic_fast.sampling.draw import continue_chains, draw_images
from stic_fast.sampling.execution import Execution
from stic_fast.sampling.gram_regulariser import GramRegulariser
from stic_fast.sampling.grmala import GRMALA, ChainResult
from stic_fast.sampling.known_pixels import KnownPixels
from stic_fast.sampling.mala import MALA, MALAResult
from stic_fast.sampling.near_images import NearImages
from stic_fast.sampling.objective import (
    Climb,
    LatentGaussian,
    LogJoint,
    LogMarginal,
    LogOdds,
    LogPosterior,
    Network,
    Objective,
    Time,
)
from stic_fast.sampling.patches import PatchSpace
from stic_fast.sampling.recipe import Recipe, Stage
from stic_fast.sampling.sampler import ChainRecord, ChainState, Sampler, Stop
from stic_fast.sampling.space import FeatureSpace, NoiseSpace, PixelSpace, Space
from stic_fast.sampling.steps import Steps

__all__ = [
    "GRMALA",
    "MALA",
    "Adam",
    "AnnealedGRMALA",
    "Canvas",
    "ChainPool",
    "ChainRecord",
    "ChainResult",
    "ChainState",
    "ClassScore",
    "Climb",
    "Condition",
    "Execution",
    "FeatureSpace",
    "GramRegulariser",
    "Guidance",
    "KnownPixels",
    "LatentGaussian",
    "LogJoint",
    "LogMarginal",
    "LogOdds",
    "LogPosterior",
    "MALAResult",
    "NearImages",
    "Network",
    "NoiseSpace",
    "Objective",
    "PatchSpace",
    "PixelSpace",
    "Recipe",
    "Sampler",
    "Space",
    "Stage",
    "Steps",
    "Stop",
    "Time",
    "canvas",
    "continue_chains",
    "draw_hard",
    "draw_images",
    "draw_soft",
    "interpolate",
    "to_bytes",
    "to_unit",
]
