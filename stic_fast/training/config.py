# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The settings of a training run, and their plain form for config.json."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from stic_fast.counts import LATER, Count, CountOrZero, Positive, Probability, Range, Seed, check_count, check_ranges
from stic_fast.data import ImageSet
from stic_fast.errors import InputError
from stic_fast.ops.checks import MAX_STEP
from stic_fast.sampling import GRMALA
from stic_fast.training.averaging import AverageConfig

NOISE = "beyond which noise has no number"
FOREIGN = "it was written by another version or by hand"
RESTORE = "restore the file as the run wrote it"


@dataclass(frozen=True)
class NetworkConfig:
    """The network, norm-free."""

    size: ClassVar[str] = "width"
    """The setting that its number of weights follows from most."""

    # A WideResNet, or a plain convolutional network of two 3×3 convolutions in each of three groups.
    architecture: Literal["wide_resnet", "convnet"] = field(default="wide_resnet", metadata=LATER)
    # Layers of a WideResNet; 6n + 4 for n blocks in each group.
    depth: Annotated[int, Range(10, 2_002)] = 28
    # Multiplier of the groups' 16, 32 and 64 channels.
    width: Annotated[int, Range(1, 1_000)] = 10
    # Of the first block or convolution in each group.
    strides: Annotated[tuple[int, int, int], Range(1, 64)] = (1, 2, 2)
    # Compared by the Gram term; empty for all 3×3 convolutions of the last group, conv21–conv28 of a WideResNet of 28.
    gram_layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoreNetworkConfig:
    """The network, norm-free."""

    # A U-shaped network that knows the score at every noise level, or the paper's WideResNet, which knows it at one.
    architecture: Literal["unet", "wide_resnet"] = field(default="unet", metadata=LATER)
    # Channels of a U-shaped network's levels, from half the images' size downwards, each of half the size of the one
    # before.
    channels: Annotated[tuple[int, ...], Range(1, 10_000)] = (64, 128, 256)
    # Layers of a WideResNet; 6n + 4 for n blocks in each group.
    depth: Annotated[int, Range(10, 2_002)] = field(default=28, metadata=LATER)
    # Multiplier of a WideResNet's 16, 32 and 64 channels.
    width: Annotated[int, Range(1, 1_000)] = field(default=10, metadata=LATER)
    # Standard deviation of the images, in units of [−1, 1].
    sigma_data: Positive = 0.5
    # The noise level that images are classified at, in training too; the one whose score a WideResNet knows.
    sigma_read: Positive = 0.02
    # Compared by the Gram term; empty for the two convolutions of a U-shaped network's innermost block, and all of a
    # WideResNet's last group.
    gram_layers: tuple[str, ...] = ()

    @property
    def size(self) -> str:
        """The setting that its number of weights follows from most."""
        return "channels" if self.architecture == "unet" else "width"


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The network that tells real patches from drawn ones."""

    size: ClassVar[str] = "channels"
    """The setting that its number of weights follows from most."""

    # Of its convolutions of 5×5 and stride 2; the paper's are 64, 128, 256 and 512.
    channels: Annotated[tuple[int, ...], Range(1, 10_000)] = (32, 64, 128, 256)
    # Reads what it is shown as a whole, with zeros around, as DCGAN does; off, to slide over it without zeros, each
    # place a patch of 62 pixels for four convolutions.
    whole: Literal["on", "off"] = "off"
    # The first convolution with stride 1 and a mean over 2×2 pixels after it, which leaves no weave in what is drawn.
    smooth: Literal["on", "off"] = "on"
    # After every convolution but the first, as the paper has it.
    batch_norm: Literal["on", "off"] = "off"
    # Compared by a Gram term; empty for all convolutions.
    gram_layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam, its decay, and what keeps it from diverging."""

    # Learning rate.
    lr: Annotated[float, Range(1e-12, 10)] = 1e-4
    # Factor on the learning rate after every `decay_every` iterations.
    decay: Annotated[float, Range(1e-12, 1)] = 0.3
    # Iterations between decays.
    decay_every: Count = 10_000
    # Iterations to decay at instead; empty for every `decay_every`.
    decay_at: Annotated[tuple[int, ...], Range(0, MAX_STEP)] = field(default=(), metadata=LATER)
    # Iterations after which the learning rate falls with the root of their number instead, at any length of training;
    # 0 for the decay above.
    root_after: CountOrZero = field(default=0, metadata=LATER)
    # Iterations over which the learning rate rises to begin with.
    warm_up: CountOrZero = field(default=0, metadata=LATER)
    # Share that Adam keeps of its mean of squared gradients.
    beta2: Annotated[float, Range(0, 1 - 1e-9)] = field(default=0.999, metadata=LATER)
    # Adam as one operation over all weights; off, as runs had it before, rounds otherwise.
    fused: Literal["on", "off"] = field(default="off", metadata=LATER)
    # Largest norm of the gradient; None for no clipping.
    clip_norm: Positive | None = None
    # What a run that diverges does: on, go back to its last good state with half the learning rate; off, stop.
    guard: Literal["on", "off"] = field(default="on", metadata=LATER)
    # A loss beyond this, of either sign, has diverged as one that is not finite has.
    largest_loss: Annotated[float, Range(1e-12, 1e30)] = field(default=1_000.0, metadata=LATER)

    def rate(self, iteration: int) -> float:
        """The learning rate of an iteration, counted from 0.

        >>> OptimiserConfig(lr=1.0, decay=0.5, decay_every=10).rate(25)
        0.25
        >>> OptimiserConfig(lr=1.0, decay=0.5, decay_at=(3, 90)).rate(25)
        0.5
        >>> OptimiserConfig(lr=1.0, root_after=100, warm_up=10).rate(400), OptimiserConfig(lr=1.0, warm_up=10).rate(4)
        (0.5, 0.5)
        """
        done = sum(at <= iteration for at in self.decay_at) if self.decay_at else iteration // self.decay_every
        factor = math.sqrt(self.root_after / max(iteration, self.root_after)) if self.root_after else self.decay**done
        return self.lr * factor * min(1.0, (iteration + 1) / max(self.warm_up, 1))

    # Of the network's passes: fp32, bf16, or auto, which is bf16 where the hardware multiplies it; weights stay fp32.
    precision: Literal["fp32", "bf16", "auto"] = "fp32"


@dataclass(frozen=True)
class AugmentationConfig:
    """What happens to images on their way into the network, fakes included where it makes sense."""

    # Standard deviation of the instance noise on real, mixed and fake images, in units of [−1, 1].
    noise_std: Annotated[float, Range(0, 100)] = 0.3
    # Of a left-right flip of real and mixed images.
    flip_probability: Probability = 0.0
    # Largest shift of real and mixed images, in pixels.
    max_shift: Annotated[int, Range(0, 2**15)] = 0


@dataclass(frozen=True)
class RunConfig:
    """What every training run is configured by; a method adds its own."""

    # Images: digits, cifar10:PATH, npz:PATH, folder:PATH, idx:PATH or image:PATH.
    data: str = "digits"
    # Of all randomness.
    seed: Seed = 0
    # Passes; each ends with an evaluation, a grid of samples and a checkpoint.
    passes: Count = 10
    # Iterations of a pass.
    iterations: Count = 5_000
    # Real images in an iteration, and as many of every other kind.
    batch_size: Count = 50
    # The network, norm-free.
    network: NetworkConfig = field(default_factory=NetworkConfig)
    # Adam, its decay, and what keeps it from diverging.
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    # A running average of the weights, by which a run is judged.
    average: AverageConfig = field(default_factory=AverageConfig, metadata=LATER)
    # What happens to images on their way into the network.
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    # The chain of finished samples.
    sampler: GRMALA = field(default_factory=lambda: GRMALA(steps=100))
    # Iterations between log records.
    log_every: Count = 10
    # Iterations between checkpoints within a pass; every pass ends with one.
    checkpoint_every: Count = 1_000

    def check_together(self) -> None:
        """Refuses settings that do not go together; a method adds its own.

        Raises:
            InputError: naming them.
        """
        check_count("passes times iterations", self.passes * self.iterations, most=MAX_STEP, why=NOISE)

    def check_against(self, train: ImageSet) -> None:
        """Refuses settings that the training images have no room for; a method adds its own.

        Raises:
            InputError: naming the setting and its range.
        """
        side = min(train.image_shape[1:])
        check_count(
            "augmentation.max_shift", self.augmentation.max_shift, least=0, most=side - 1, why="inside the images"
        )

    def at_once(self) -> AtOnce:
        """What an iteration holds in memory at once; a method says more."""
        return AtOnce(images=self.batch_size)


class AtOnce(NamedTuple):
    """How much a training holds in memory at once, apart from the network."""

    images: int
    """Images in one forward pass of an iteration, or patches."""
    patch: tuple[int, int] | None = None
    """Height and width of these patches; None for whole images."""
    chains: int = 0
    """Chains that are kept."""
    running: int = 0
    """Of these, how many run at once."""
    running_setting: str = "batch_size"
    """The setting that bounds them."""


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
    config: Config = _object(kind, plain, where, "")
    return config


def _object(kind: Any, plain: Any, where: str, before: str) -> Any:
    """A dataclass of settings whose names in full begin with `before`."""
    hints, known = get_type_hints(kind), {field.name: field for field in dataclasses.fields(kind)}
    if not isinstance(plain, Mapping):
        raise InputError(f"{where}: {before[:-1]} must be an object, got {plain!r}; {RESTORE}")
    if unknown := [before + name for name in plain if name not in known]:
        raise InputError(f"{where} has the unknown setting {unknown[0]!r}; {FOREIGN}")
    if missing := [before + name for name in known if name not in plain and not known[name].metadata.get("later")]:
        raise InputError(f"{where} lacks the setting {missing[0]!r}; {RESTORE}")
    values = {name: _value(hints[name], value, where, before + name) for name, value in plain.items()}
    try:
        return kind(**values)
    except InputError as error:  # of settings that check themselves
        raise InputError(f"{where}: {before}{error}") from error


def _value(hint: Any, value: Any, where: str, name: str) -> Any:
    origin, options = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _object(hint, value, where, f"{name}.")
    if origin in (types.UnionType, Union):
        kinds = [option for option in options if option is not type(None)]
        return None if value is None else _value(kinds[0], value, where, name)
    if origin is tuple and isinstance(value, list | tuple) and (options[-1] is ... or len(value) == len(options)):
        return tuple(_value(options[0], entry, where, name) for entry in value)
    if origin is Literal:
        fits = value in options
    else:  # what has options is a tuple, and the value is none
        fits = not options and isinstance(value, int | float if hint is float else hint)
    if not fits or isinstance(value, bool) != (hint is bool):
        wanted = str(hint).replace("typing.", "") if options else hint.__name__
        raise InputError(f"{where}: {name} cannot be {value!r}; it must be {wanted}")
    return value


def check(config: RunConfig) -> None:
    """Refuses settings that cannot work.

    >>> check(RunConfig())
    """
    from_plain(type(config), to_plain(config), "the configuration")
    check_ranges(config)
    config.check_together()
