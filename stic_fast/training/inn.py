# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""INN: the introspective cascade of labelled images, with a head for each class.

STIC (supplement, "STIC vs. INN") describes its baseline so: classifiers in sequence, each with "the weights of the top
K separate layers for K classes" on shared convolutions, and negatives drawn for each class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from stic_fast.counts import Count
from stic_fast.training.config import DiscriminatorConfig
from stic_fast.training.igm import IMAGES, Igm, IgmConfig, PatchConfig


@dataclass(frozen=True)
class InnConfig(IgmConfig):
    """An INN training run: passes are rounds, each of which trains a network of the cascade and draws with it."""

    data: str = "digits"
    passes: Count = 30
    # The network: convolutions for all classes, and for each a head that tells its images from drawn ones.
    network: DiscriminatorConfig = field(default_factory=lambda: DiscriminatorConfig(channels=(32, 64), whole="on"))
    # What the network is shown of an image.
    patches: PatchConfig = field(default_factory=lambda: PatchConfig(side=None))


PRESETS = {name: InnConfig(**settings) for name, settings in IMAGES.items()}


class Inn(Igm):
    """Algorithm 1 of Introspective Generative Modeling, for each class by its own head.

    A head knows its class from what was drawn of it, and not from the other classes: it is no classifier of them.
    """

    name, settings = "inn", InnConfig
    summary = "INN: a cascade of classifiers with a head for each class, that draws images of each"
    presets: ClassVar[Mapping[str, Any]] = PRESETS
    labelled = True
