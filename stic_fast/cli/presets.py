# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Named settings to start a training run from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar, get_args

from stic_fast.sampling import GRMALA
from stic_fast.training import (
    AugmentationConfig,
    GmmcConfig,
    JemConfig,
    NetworkConfig,
    OptimiserConfig,
    PoolConfig,
    ReplayConfig,
    RunConfig,
    SoftmaxConfig,
    SticConfig,
)

Settings = TypeVar("Settings", bound=RunConfig)

Preset = Literal["digits", "fashion", "cifar10-paper"]

ALL_OF_WRN_10 = ("conv3", "conv4", "conv6", "conv7", "conv9", "conv10")

DIGITS_NETWORK = NetworkConfig(depth=10, width=1)
FASHION_NETWORK = NetworkConfig(depth=10, width=1, strides=(2, 2, 2), gram_layers=ALL_OF_WRN_10)
SMALL_ADAM = OptimiserConfig(lr=1e-3, clip_norm=1.0)

STIC = {
    # On 8×8 images a Gram term with one reference all but copies it; several leave it what their class has in common.
    "digits": SticConfig(
        passes=6,
        iterations=150,
        references=4,
        network=DIGITS_NETWORK,
        optimiser=SMALL_ADAM,
        pool=PoolConfig(chains=500, sampler=GRMALA(steps=40)),
        sampler=GRMALA(steps=150),
    ),
    # At 28×28 a chain must cross a longer way: steps twenty and forty times the paper's, shrinking as it goes, and all
    # layers compared.
    "fashion": SticConfig(
        data="idx:",
        passes=8,
        iterations=400,
        references=2,
        network=FASHION_NETWORK,
        optimiser=OptimiserConfig(lr=1e-3, decay_every=2_400, clip_norm=1.0),
        pool=PoolConfig(chains=400, sampler=GRMALA(steps=50, eps1=20, eps2=40, schedule="cosine")),
        sampler=GRMALA(steps=300, eps1=20, eps2=40, schedule="cosine"),
    ),
    # Section 4 of the paper: every setting is SticConfig's default, which is the paper's.
    "cifar10-paper": SticConfig(data="cifar10:"),
}

EPOCH = 782  # iterations of 64 images for one epoch of CIFAR-10
# GMMC's appendix B, which follows JEM: 150 epochs, the learning rate decayed after 30, 50 and 80.
JEM_SCHEDULE: dict[str, Any] = {
    "passes": 150,
    "iterations": EPOCH,
    "batch_size": 64,
    "optimiser": OptimiserConfig(decay_at=(30 * EPOCH, 50 * EPOCH, 80 * EPOCH)),
    "augmentation": AugmentationConfig(noise_std=0.03, flip_probability=0.5, max_shift=4),
}

GUARDED_ADAM = replace(SMALL_ADAM, largest_loss=20.0)  # JEM's loss lies within ±5 while it trains well

SOFTMAX_DIGITS = SoftmaxConfig(
    passes=6,
    iterations=300,
    network=DIGITS_NETWORK,
    optimiser=SMALL_ADAM,
    sampler=GRMALA(steps=150, eps1=1.0, eps2=0.0, eps3=0.01),
)
JEM_DIGITS = JemConfig(
    passes=6,
    iterations=100,
    network=DIGITS_NETWORK,
    optimiser=GUARDED_ADAM,
    pool=ReplayConfig(chains=1_000, sampler=GRMALA(steps=10, eps1=1.0, eps2=0.0, eps3=0.01)),
    sampler=GRMALA(steps=150, eps1=1.0, eps2=0.0, eps3=0.01),
)
GMMC_DIGITS = GmmcConfig(
    passes=6,
    iterations=100,
    ramp=50,
    network=DIGITS_NETWORK,
    optimiser=SMALL_ADAM,
    pool=ReplayConfig(chains=1_000, restart_probability=0.025, sampler=GRMALA(steps=10, eps1=0.05, eps2=0.0, eps3=0.0)),
    sampler=GRMALA(steps=150, eps1=0.05, eps2=0.0, eps3=0.0),
)


def _on_fashion(digits: Settings, *, eps1: float, decay_every: int, **changes: Any) -> Settings:
    """A preset of the digits on larger images: longer training, and finished chains of twice the steps."""
    return replace(
        digits,
        data="idx:",
        passes=8,
        network=FASHION_NETWORK,
        optimiser=replace(digits.optimiser, decay_every=decay_every),
        sampler=replace(digits.sampler, steps=300, eps1=eps1),
        **changes,
    )


SOFTMAX = {
    "digits": SOFTMAX_DIGITS,
    "fashion": _on_fashion(SOFTMAX_DIGITS, eps1=1.0, decay_every=5_000, iterations=800),
    "cifar10-paper": SoftmaxConfig(
        data="cifar10:",
        **{**JEM_SCHEDULE, "augmentation": replace(JEM_SCHEDULE["augmentation"], noise_std=0.0)},
    ),
}
JEM = {
    "digits": JEM_DIGITS,
    "fashion": _on_fashion(JEM_DIGITS, eps1=1.0, decay_every=1_500, iterations=240),
    "cifar10-paper": JemConfig(data="cifar10:", **JEM_SCHEDULE),
}
GMMC = {
    "digits": GMMC_DIGITS,
    "fashion": _on_fashion(GMMC_DIGITS, eps1=0.1, decay_every=1_500, iterations=220),
    "cifar10-paper": GmmcConfig(data="cifar10:", **JEM_SCHEDULE),
}

PRESETS: Mapping[str, Mapping[str, Any]] = {"stic": STIC, "gmmc": GMMC, "jem": JEM, "softmax": SOFTMAX}
"""Settings by method and name. A data source that ends with its colon waits for the user's path."""

DEFAULT: Preset = "digits"


def asked_preset(arguments: Sequence[str]) -> str:
    """The preset among a command line's arguments, whose settings are the defaults of all others.

    An unknown name is left to the parser, which knows how to refuse it.

    >>> asked_preset(["train", "stic", "--preset", "fashion"]), asked_preset(["train", "stic"])
    ('fashion', 'digits')
    """
    asked: str = DEFAULT
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        option, _, value = argument.partition("=")
        if option == "--preset":
            asked = value or following
    return asked if asked in get_args(Preset) else DEFAULT
