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
from stic_fast.sampling import GRMALA


@dataclass(frozen=True)
class NetworkConfig:
    """The network, norm-free."""

    # A WideResNet, or a plain convolutional network of two 3×3 convolutions in each of three groups.
    architecture: Literal["wide_resnet", "convnet"] = "wide_resnet"
    # Layers of a WideResNet; 6n + 4 for n blocks in each group.
    depth: int = 28
    # Multiplier of the groups' 16, 32 and 64 channels.
    width: int = 10
    # Of the first block or convolution in each group.
    strides: tuple[int, int, int] = (1, 2, 2)
    # Compared by the Gram term; empty for all 3×3 convolutions of the last group, conv21–conv28 of a WideResNet of 28.
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
    # Iterations to decay at instead; empty for every `decay_every`.
    decay_at: tuple[int, ...] = ()
    # Largest norm of the gradient; None for no clipping.
    clip_norm: float | None = None
    # What a run that diverges does: on, go back to its last good state with half the learning rate; off, stop.
    guard: Literal["on", "off"] = "on"
    # A loss beyond this, of either sign, has diverged as one that is not finite has.
    largest_loss: float = 1_000.0

    def rate(self, iteration: int) -> float:
        """The learning rate of an iteration, counted from 0.

        >>> OptimiserConfig(lr=1.0, decay=0.5, decay_every=10).rate(25)
        0.25
        >>> OptimiserConfig(lr=1.0, decay=0.5, decay_at=(3, 90)).rate(25)
        0.5
        """
        done = sum(at <= iteration for at in self.decay_at) if self.decay_at else iteration // self.decay_every
        return self.lr * self.decay**done

    # Of the network's passes; weights stay fp32.
    precision: Literal["fp32", "bf16"] = "fp32"


@dataclass(frozen=True)
class AugmentationConfig:
    """What happens to images on their way into the network, fakes included where it makes sense."""

    # Standard deviation of the instance noise on real, mixed and fake images, in units of [−1, 1].
    noise_std: float = 0.3
    # Of a left-right flip of real and mixed images.
    flip_probability: float = 0.0
    # Largest shift of real and mixed images, in pixels.
    max_shift: int = 0


@dataclass(frozen=True)
class RunConfig:
    """What every training run is configured by; a method adds its own."""

    # Images: digits, cifar10:PATH, npz:PATH, folder:PATH or idx:PATH.
    data: str = "digits"
    # Of all randomness.
    seed: int = 0
    # Passes; each ends with an evaluation, a grid of samples and a checkpoint.
    passes: int = 10
    # Iterations of a pass.
    iterations: int = 5_000
    # Real images in an iteration, and as many of every other kind.
    batch_size: int = 50
    # The network, norm-free.
    network: NetworkConfig = field(default_factory=NetworkConfig)
    # Adam, its decay, and what keeps it from diverging.
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    # What happens to images on their way into the network.
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    # The chain of finished samples.
    sampler: GRMALA = field(default_factory=lambda: GRMALA(steps=100))
    # Iterations between log records.
    log_every: int = 10
    # Iterations between checkpoints within a pass; every pass ends with one.
    checkpoint_every: int = 1_000

    def ranges(self) -> Ranges:
        """The settings whose numbers must lie in a range; a method adds its own."""
        augmentation, optimiser = self.augmentation, self.optimiser
        return Ranges(
            least={
                "passes": (self.passes, 1),
                "iterations": (self.iterations, 1),
                "batch_size": (self.batch_size, 1),
                "log_every": (self.log_every, 1),
                "checkpoint_every": (self.checkpoint_every, 1),
                "seed": (self.seed, 0),
                "augmentation.noise_std": (augmentation.noise_std, 0),
                "augmentation.max_shift": (augmentation.max_shift, 0),
                "optimiser.decay_every": (optimiser.decay_every, 1),
            },
            positive={
                "optimiser.lr": optimiser.lr,
                "optimiser.decay": optimiser.decay,
                "optimiser.clip_norm": optimiser.clip_norm,
                "optimiser.largest_loss": optimiser.largest_loss,
            },
            probability={"augmentation.flip_probability": augmentation.flip_probability},
        )


@dataclass(frozen=True)
class Ranges:
    """Settings by name, with the ranges that they must lie in."""

    least: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Values and the least that they may be."""
    positive: Mapping[str, float | None] = field(default_factory=dict)
    probability: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: Ranges) -> Ranges:
        return Ranges(
            {**self.least, **other.least},
            {**self.positive, **other.positive},
            {**self.probability, **other.probability},
        )


ADDED = frozenset({"architecture", "refresh", "layout", "capture", "guard", "largest_loss", "decay_at"})
"""Settings that runs of earlier versions do not name; their defaults are what those versions did."""

Config = TypeVar("Config")


def to_plain(config: Any) -> dict[str, Any]:
    """The configuration as nested dictionaries of plain values."""
    return dataclasses.asdict(config)


def from_plain(kind: type[Config], plain: Mapping[str, Any], where: str = "config.json") -> Config:
    """The configuration from its plain form.

    Raises:
        InputError: a setting is missing, unknown, or of another type; the message names it.

    >>> from_plain(RunConfig, to_plain(RunConfig(passes=3))).passes
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


def check(config: RunConfig) -> None:
    """Refuses settings that cannot work.

    Raises:
        InputError: naming the setting and its range or type.

    >>> check(RunConfig())
    """
    from_plain(type(config), to_plain(config), "the configuration")
    ranges = config.ranges()
    for name, (value, bound) in ranges.least.items():
        if not bound <= value < math.inf:
            raise InputError(f"{name} must be at least {bound} and finite, got {value}; give such a number")
    if config.seed >= MAX_SEED:
        raise InputError(f"seed must be below 2**64, got {config.seed}; lower it")
    for name, size in ranges.positive.items():
        if size is not None and not 0 < size < math.inf:
            raise InputError(f"{name} must be positive and finite, got {size}; give such a number")
    for name, probability in ranges.probability.items():
        if not 0 <= probability <= 1:
            raise InputError(f"{name} must be between 0 and 1, got {probability}; give a probability")
