# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""From a configuration to a trained classifier, and from a run's folder back to one."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from stic_fast.data import Splits, load
from stic_fast.errors import InputError
from stic_fast.models import Classifier, WideResNet
from stic_fast.training.config import SticConfig, check, from_plain, to_plain
from stic_fast.training.engine import Engine, load_weights
from stic_fast.training.progress import Progress
from stic_fast.training.run_folder import RunFolder
from stic_fast.training.stic import Stic


@dataclass(frozen=True)
class TrainedRun:
    """A classifier with everything that was configured around it."""

    folder: RunFolder
    config: SticConfig
    splits: Splits
    model: Classifier


def train(config: SticConfig, path: str | os.PathLike[str], *, progress: Progress | None = None) -> TrainedRun:
    """Trains STIC into a new run folder.

    Raises:
        InputError: settings, data or folder that cannot be used.
    """
    check(config)
    splits = load(config.data)
    model = build_network(config, splits)
    folder = RunFolder.create(path, "stic", to_plain(config))
    return _continue(folder, config, splits, model, progress)


def resume(path: str | os.PathLike[str], *, progress: Progress | None = None) -> TrainedRun:
    """Continues a run as it was configured; a finished one returns at once.

    Raises:
        InputError: no run there, damaged files, data that changed.
    """
    folder, config = _open(path)
    splits = load(config.data)
    return _continue(folder, config, splits, build_network(config, splits), progress)


def open_run(path: str | os.PathLike[str]) -> TrainedRun:
    """The classifier of a run's newest checkpoint, with its data.

    Raises:
        InputError: no run there, no checkpoint yet, damaged files, weights of another model.
    """
    folder, config = _open(path)
    checkpoint = folder.newest_checkpoint()
    splits = load(config.data)
    model = build_network(config, splits)
    load_weights(model, checkpoint.load_weights(), str(checkpoint.path))
    return TrainedRun(folder, config, splits, model.to(device()))


def build_network(config: SticConfig, splits: Splits) -> WideResNet:
    """The network of a configuration, its weights drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return WideResNet(
            depth=config.network.depth,
            width=config.network.width,
            strides=config.network.strides,
            num_classes=splits.train.num_classes,
            in_channels=splits.train.image_shape[0],
            gram_layers=config.network.gram_layers or None,
        )


def device() -> torch.device:
    """Where runs train and draw: the first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _open(path: str | os.PathLike[str]) -> tuple[RunFolder, SticConfig]:
    folder = RunFolder(path)
    method, plain = folder.read_config()
    if method != "stic":
        raise InputError(f"{folder.path} is a run of method {method!r}, which this version does not know; update it")
    config = from_plain(SticConfig, plain, str(folder.path / "config.json"))
    check(config)
    return folder, config


def _continue(
    folder: RunFolder, config: SticConfig, splits: Splits, model: Classifier, progress: Progress | None
) -> TrainedRun:
    model, splits = model.to(device()), splits.to(device())
    method = Stic(model, splits, config)
    Engine(model, method, config, folder, progress).train()
    return TrainedRun(folder, config, splits, model)
