# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The settings of a training run, and their plain form for config.json."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from stic_fast.errors import InputError
from stic_fast.ops.checks import MAX_SEED
from stic_fast.ops.gram_loss import Normalize
from stic_fast.sampling import GRMALA, Canvas


@dataclass(frozen=True)
class NetworkConfig:
    """The norm-free WideResNet."""

    # Layers; 6n + 4 for n blocks in each of three groups.
    depth: int = 28
    # Multiplier of the groups' 16, 32 and 64 channels.
    width: int = 10
    # Of the first block in each group.
    strides: tuple[int, int, int] = (1, 2, 2)
    # Compared by the Gram term; empty for the eight (or fewer) 3×3 convolutions of the last group, conv21–conv28.
    gram_layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam, its decay, and what keeps it from diverging."""

    # Learning rate.
    lr: float = 1e-4
    # Factor on the learning rate after every `decay_every` iterations.
    decay: float = 0.3
    # Iterations between decays.
    decay_every: int = 10_000
    # Largest norm of the gradient; None for no clipping.
    clip_norm: float | None = None
    # Of the network's passes; weights stay fp32.
    precision: Literal["fp32", "bf16"] = "fp32"


@dataclass(frozen=True)
class AugmentationConfig:
    """What happens to images on their way into the network, fakes included where it makes sense."""

    # Standard deviation of the instance noise on real, mixed and fake images, in units of [−1, 1].
    noise_std: float = 0.3
    # Of λ ~ Beta(α, α), for mixed images and soft fakes.
    mixup_alpha: float = 1.0
    # Of a left-right flip of real and mixed images.
    flip_probability: float = 0.0
    # Largest shift of real and mixed images, in pixels.
    max_shift: int = 0


@dataclass(frozen=True)
class PoolConfig:
    """The fakes: chains drawn from the classifier of the pass before."""

    # Chains, half of them hard and half soft (all hard without VRM).
    chains: int = 10_000
    # Chains drawn anew in every iteration of a pass, still from the classifier of the pass before; with 0 the pool that
    # is drawn as the pass begins serves all of it, which follows the same law at a fraction of the cost.
    refresh: int = 0
    # Probability that a chain restarts at the beginning of a pass.
    restart_probability: float = 0.5
    # What chains start from.
    start: Canvas = "uniform"
    # Chains per forward pass.
    batch_size: int = 250
    # The chain of a pass.
    sampler: GRMALA = field(default_factory=lambda: GRMALA(steps=40))


@dataclass(frozen=True)
class SticConfig:
    """A STIC training run (Algorithm 1, equation 5). The defaults are the paper's."""

    # Images: digits, cifar10:PATH, npz:PATH, folder:PATH or idx:PATH.
    data: str = "digits"
    # Of all randomness.
    seed: int = 0
    # Passes τ = 1 … T of recurrent self-analysis.
    passes: int = 10
    # Iterations of a pass.
    iterations: int = 5_000
    # N = K: images of each of the four kinds in an iteration.
    batch_size: int = 50
    # Vicinal risk minimisation; off leaves out mixed images and soft fakes, the paper's STIC-ERM.
    vrm: Literal["on", "off"] = "on"
    # The norm-free WideResNet.
    network: NetworkConfig = field(default_factory=NetworkConfig)
    # Adam, its decay, and what keeps it from diverging.
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    # What happens to images on their way into the network.
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    # The fakes: chains drawn from the classifier of the pass before.
    pool: PoolConfig = field(default_factory=PoolConfig)
    # Real images a chain's Gram term compares with: one in the paper; several keep small images from being copied.
    references: int = 1
    # Scale of the Gram loss: log keeps chains stable where the Gram term dominates.
    normalize: Normalize = "log"
    # The chain of finished samples.
    sampler: GRMALA = field(default_factory=lambda: GRMALA(steps=100))
    # Iterations between log records.
    log_every: int = 10
    # Iterations between checkpoints within a pass; every pass ends with one.
    checkpoint_every: int = 1_000


ADDED = frozenset({"layout", "capture"})
"""Settings that runs of earlier versions do not name; their defaults are what those versions did."""

Config = TypeVar("Config")


def to_plain(config: Any) -> dict[str, Any]:
    """The configuration as nested dictionaries of plain values."""
    return dataclasses.asdict(config)


def from_plain(kind: type[Config], plain: Mapping[str, Any], where: str = "config.json") -> Config:
    """The configuration from its plain form.

    Raises:
        InputError: a setting is missing, unknown, or of another type; the message names it.

    >>> from_plain(SticConfig, to_plain(SticConfig(passes=3))).passes
    3
    """
    hints = get_type_hints(kind)
    for name in plain:
        if name not in hints:
            raise InputError(f"{where} has the unknown setting {name!r}; it was written by another version or by hand")
    values = {}
    for name, hint in hints.items():
        if name not in plain and name in ADDED:
            continue
        if name not in plain:
            raise InputError(f"{where} lacks the setting {name!r}; restore the file as the run wrote it")
        values[name] = _value(hint, plain[name], f"{where}: {name}")
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise InputError(f"{where} must be an object, got {value!r}; restore the file as the run wrote it")
        return from_plain(hint, value, where)  # type: ignore[arg-type]
    origin, options = get_origin(hint), get_args(hint)
    if origin is Literal:
        fits = value in options
    elif origin is tuple:
        fits = isinstance(value, list | tuple) and (options[-1] is Ellipsis or len(value) == len(options))
        value = tuple(_value(options[0], entry, where) for entry in value) if fits else value
    elif origin in (types.UnionType, Union):
        kinds = [option for option in options if option is not type(None)]
        return None if value is None else _value(kinds[0], value, where)
    elif hint is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        fits = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
    if not fits:
        wanted = hint.__name__ if isinstance(hint, type) and not options else str(hint).replace("typing.", "")
        raise InputError(f"{where} cannot be {value!r}; it must be {wanted}")
    return value


def check(config: SticConfig) -> None:
    """Refuses settings that cannot work.

    Raises:
        InputError: naming the setting and its range.

    >>> check(SticConfig())
    """
    least = {
        "passes": (config.passes, 1),
        "iterations": (config.iterations, 1),
        "batch_size": (config.batch_size, 1),
        "references": (config.references, 1),
        "log_every": (config.log_every, 1),
        "checkpoint_every": (config.checkpoint_every, 1),
        "pool.chains": (config.pool.chains, 2),
        "pool.refresh": (config.pool.refresh, 0),
        "pool.batch_size": (config.pool.batch_size, 1),
        "seed": (config.seed, 0),
        "augmentation.noise_std": (config.augmentation.noise_std, 0),
        "augmentation.max_shift": (config.augmentation.max_shift, 0),
        "optimiser.decay_every": (config.optimiser.decay_every, 1),
    }
    for name, (value, bound) in least.items():
        if not bound <= value < math.inf:
            raise InputError(f"{name} must be at least {bound} and finite, got {value}; give such a number")
    if config.seed >= MAX_SEED:
        raise InputError(f"seed must be below 2**64, got {config.seed}; lower it")
    positive = {
        "optimiser.lr": config.optimiser.lr,
        "optimiser.decay": config.optimiser.decay,
        "optimiser.clip_norm": config.optimiser.clip_norm,
        "augmentation.mixup_alpha": config.augmentation.mixup_alpha,
    }
    for name, size in positive.items():
        if size is not None and not 0 < size < math.inf:
            raise InputError(f"{name} must be positive and finite, got {size}; give such a number")
    probabilities = {
        "pool.restart_probability": config.pool.restart_probability,
        "augmentation.flip_probability": config.augmentation.flip_probability,
    }
    for name, probability in probabilities.items():
        if not 0 <= probability <= 1:
            raise InputError(f"{name} must be between 0 and 1, got {probability}; give a probability")
