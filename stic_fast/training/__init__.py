# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Training: one engine, a small module per method, and runs on disk."""

from __future__ import annotations

from stic_fast.training.averaging import AverageConfig
from stic_fast.training.config import AugmentationConfig, NetworkConfig, OptimiserConfig, RunConfig
from stic_fast.training.engine import Engine
from stic_fast.training.gmmc import Gmmc, GmmcConfig
from stic_fast.training.icn import Icn, IcnConfig
from stic_fast.training.igm import Igm, IgmConfig
from stic_fast.training.image_sampler import ImageSampler
from stic_fast.training.inn import Inn, InnConfig
from stic_fast.training.jem import Jem, JemConfig
from stic_fast.training.method import Loss, Method
from stic_fast.training.methods import METHODS, register_method
from stic_fast.training.pretrained import folder_of
from stic_fast.training.progress import Progress
from stic_fast.training.replay import ReplayConfig
from stic_fast.training.run_folder import RunFolder
from stic_fast.training.runs import TrainedRun, build_network, open_run, resume, train
from stic_fast.training.score_stic import ScoreStic, ScoreSticConfig
from stic_fast.training.softmax import Softmax, SoftmaxConfig
from stic_fast.training.stic import PoolConfig, Stic, SticConfig, VicinityConfig
from stic_fast.training.winn import Winn, WinnConfig

__all__ = [
    "METHODS",
    "AugmentationConfig",
    "AverageConfig",
    "Engine",
    "Gmmc",
    "GmmcConfig",
    "Icn",
    "IcnConfig",
    "Igm",
    "IgmConfig",
    "ImageSampler",
    "Inn",
    "InnConfig",
    "Jem",
    "JemConfig",
    "Loss",
    "Method",
    "NetworkConfig",
    "OptimiserConfig",
    "PoolConfig",
    "Progress",
    "ReplayConfig",
    "RunConfig",
    "RunFolder",
    "ScoreStic",
    "ScoreSticConfig",
    "Softmax",
    "SoftmaxConfig",
    "Stic",
    "SticConfig",
    "TrainedRun",
    "VicinityConfig",
    "Winn",
    "WinnConfig",
    "build_network",
    "folder_of",
    "open_run",
    "register_method",
    "resume",
    "train",
]
