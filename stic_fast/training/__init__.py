# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Training: one engine, a small module per method, and runs on disk."""

from __future__ import annotations

from stic_fast.training.config import (
    AugmentationConfig,
    NetworkConfig,
    OptimiserConfig,
    PoolConfig,
    SticConfig,
)
from stic_fast.training.engine import Engine, Loss, Method
from stic_fast.training.progress import Progress
from stic_fast.training.run_folder import RunFolder
from stic_fast.training.runs import TrainedRun, build_network, open_run, resume, train
from stic_fast.training.stic import FRESH_CHAINS, Stic

__all__ = [
    "FRESH_CHAINS",
    "AugmentationConfig",
    "Engine",
    "Loss",
    "Method",
    "NetworkConfig",
    "OptimiserConfig",
    "PoolConfig",
    "Progress",
    "RunFolder",
    "Stic",
    "SticConfig",
    "TrainedRun",
    "build_network",
    "open_run",
    "resume",
    "train",
]
