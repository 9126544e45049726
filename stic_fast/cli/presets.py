# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Named settings to start a training run from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from stic_fast.sampling import GRMALA
from stic_fast.training import NetworkConfig, OptimiserConfig, PoolConfig, SticConfig

Preset = Literal["digits", "fashion", "cifar10-paper"]

PRESETS: dict[str, SticConfig] = {
    # On 8×8 images a Gram term with one reference is all but a copy of it; two references leave it the class's texture.
    "digits": SticConfig(
        passes=6,
        iterations=150,
        references=2,
        network=NetworkConfig(depth=10, width=1),
        optimiser=OptimiserConfig(lr=1e-3, clip_norm=1.0),
        pool=PoolConfig(chains=500, sampler=GRMALA(steps=40)),
        sampler=GRMALA(steps=150),
    ),
    "fashion": SticConfig(
        data="idx:",
        passes=5,
        iterations=300,
        network=NetworkConfig(depth=10, width=2),
        optimiser=OptimiserConfig(lr=1e-3),
        pool=PoolConfig(chains=1000, sampler=GRMALA(steps=40, eps1=20, eps2=40, schedule="cosine")),
        sampler=GRMALA(steps=100, eps1=20, eps2=40, schedule="cosine"),
    ),
    # Section 4 of the paper: every setting is SticConfig's default, which is the paper's.
    "cifar10-paper": SticConfig(data="cifar10:"),
}
"""Settings by name. A data source that ends with its colon waits for the user's path."""

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
    return asked if asked in PRESETS else DEFAULT
