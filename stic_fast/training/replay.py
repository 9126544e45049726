# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Persistent chains that run a little in every iteration: what energy-based models learn to tell real images from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from stic_fast.counts import Count, Probability, check_count
from stic_fast.data import Splits
from stic_fast.models import Classifier
from stic_fast.noise_addresses import POOL_ORDER
from stic_fast.ops.checks import MAX_STEP
from stic_fast.plots.curves import LOSS, Panel, Series
from stic_fast.plots.looks import BLUE, VERMILION
from stic_fast.sampling import GRMALA, Canvas, ChainPool, LogPosterior, Objective, PixelSpace, Recipe, Stage
from stic_fast.training.batch_order import BatchOrder
from stic_fast.training.config import NOISE, AtOnce, AugmentationConfig, RunConfig
from stic_fast.training.method import Method


@dataclass(frozen=True)
class ReplayConfig:
    """The replay buffer: chains that go on from iteration to iteration."""

    # Chains.
    chains: Count = 10_000
    # Probability that a chain restarts before it runs.
    restart_probability: Probability = 0.05
    # What chains start from.
    start: Canvas = "uniform"
    # The chain of an iteration.
    sampler: GRMALA = field(default_factory=lambda: GRMALA(steps=20, eps1=1.0, eps2=0.0, eps3=0.01))


@dataclass(frozen=True)
class ReplayRunConfig(RunConfig):
    """A run with a replay buffer, with JEM's instance noise and step sizes."""

    # The replay buffer: chains that go on from iteration to iteration.
    pool: ReplayConfig = field(default_factory=ReplayConfig)
    # What happens to real images on their way into the network.
    augmentation: AugmentationConfig = field(default_factory=lambda: AugmentationConfig(noise_std=0.03))
    # The chain of finished samples.
    sampler: GRMALA = field(default_factory=lambda: GRMALA(steps=100, eps1=1.0, eps2=0.0, eps3=0.01))

    def check_together(self) -> None:
        """The buffer's chains beside those of every run."""
        super().check_together()
        least = self.batch_size
        check_count("pool.chains", self.pool.chains, least=least, why=f"batch_size being {least}")
        steps = self.passes * self.iterations * self.pool.sampler.steps
        check_count("steps of a chain of the pool", steps, least=0, most=MAX_STEP, why=NOISE)

    def at_once(self) -> AtOnce:
        """As many chains as real images, which run and are then learnt from."""
        return AtOnce(images=2 * self.batch_size, chains=self.pool.chains, running=self.batch_size)


ENERGY_LOSS = LOSS.beside(unit="loss (nats + constant)")
ENERGY = Panel(
    "Energy",
    "mean over the batch (nats + constant)",
    (Series("energy_real", "real images", BLUE), Series("energy_fake", "drawn images", VERMILION)),
    scale="linear",
)

Settings = TypeVar("Settings", bound=ReplayRunConfig)


class ReplayMethod(Method[Settings], Generic[Settings]):
    """A method with a replay buffer; chain k is asked for class k mod C."""

    @classmethod
    def recipe_of(cls, config: Settings, model: Classifier, *, fakes: bool = False) -> Recipe:
        """Langevin chains of the method's objective; those of the buffer are kept exactly."""
        sampler = config.pool.sampler if fakes else config.sampler
        objective = cls.objective_of(config, model, fakes=fakes)
        return Recipe(Stage(sampler, objective), PixelSpace(canvas=config.pool.start))

    @staticmethod
    def objective_of(config: Any, model: Classifier, *, fakes: bool) -> Objective:
        """What finished chains climb, or those of the buffer."""
        return LogPosterior()

    def __init__(self, model: Classifier, splits: Splits, config: Settings) -> None:
        super().__init__(model, splits, config)
        self.order = BatchOrder(
            count=config.pool.chains,
            batch_size=config.batch_size,
            seed=config.seed,
            ids=POOL_ORDER,
            device=splits.train.labels.device,
        )

    def negatives(self, iteration: int) -> tuple[Tensor, Tensor]:
        """The iteration's chains, run on: float32 (B, channels, height, width), and the classes they are asked for.

        A batch of the buffer at a time, in an order of its own, so that each chain runs once an epoch. One that ends an
        epoch and begins the next in the same batch runs once for both.
        """
        if self.pool is None:
            self.pool = self.new_pool()
        rows = torch.unique(self.order.rows(iteration))
        self.pool.restart(self.config.pool.restart_probability, rows)
        self.pool.evolve(self.model, rows=rows)
        return self.pool.states_of(rows), rows % self.model.num_classes

    def new_pool(self) -> ChainPool:
        """All chains on their canvases."""
        train, options = self.splits.train, self.config.pool
        return ChainPool(
            train.images,
            train.labels,
            self.recipe_of(self.config, self.model, fakes=True),
            num_classes=self.model.num_classes,
            hard=options.chains,
            seed=self.config.seed,
        )
