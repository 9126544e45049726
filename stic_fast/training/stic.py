# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""STIC: a classifier trained on real, mixed, and its own drawn images (Algorithm 1, equation 5)."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from stic_fast.counts import LATER, MOST, Count, CountOrZero, Probability, Range, check_count
from stic_fast.data import ImageSet, Splits
from stic_fast.models import Classifier
from stic_fast.ops.checks import MAX_STEP
from stic_fast.ops.gram_loss import GramScale
from stic_fast.plots.curves import ACCURACY, CHAINS, LOSS, Series
from stic_fast.plots.looks import BLUE, GREEN, ORANGE, VERMILION
from stic_fast.sampling import GRMALA, Canvas, ChainPool, PixelSpace, Recipe, Stage
from stic_fast.training.config import NOISE, AtOnce, AugmentationConfig, OptimiserConfig, RunConfig
from stic_fast.training.fake_batches import FakeBatches
from stic_fast.training.method import Loss, Method
from stic_fast.training.network import network_of
from stic_fast.training.presets import DIGITS_NETWORK, FASHION_NETWORK, SMALL_ADAM
from stic_fast.training.progress import Progress
from stic_fast.training.saved_state import check_form


@dataclass(frozen=True)
class VicinityConfig(AugmentationConfig):
    """What happens to images on their way into the network, fakes included where it makes sense, and how they mix."""

    # Of λ ~ Beta(α, α), for mixed images and soft fakes.
    mixup_alpha: Annotated[float, Range(1e-3, 1e3)] = 1.0


@dataclass(frozen=True)
class PoolConfig:
    """The fakes: chains drawn from the classifier of the pass before."""

    # Chains, half of them hard and half soft (all hard without VRM).
    chains: Annotated[int, Range(2, MOST)] = 10_000
    # Chains drawn anew in every iteration of a pass, still from the classifier of the pass before; with 0 the pool that
    # is drawn as the pass begins serves all of it, which follows the same law at a fraction of the cost.
    refresh: CountOrZero = field(default=0, metadata=LATER)
    # Probability that a chain restarts at the beginning of a pass.
    restart_probability: Probability = 0.5
    # What chains start from.
    start: Canvas = "uniform"
    # Chains per forward pass.
    batch_size: Count = 250
    # The chain of a pass.
    sampler: GRMALA = field(default_factory=lambda: GRMALA(steps=40))


@dataclass(frozen=True)
class SticConfig(RunConfig):
    """A STIC training run (Algorithm 1, equation 5). The defaults are the paper's; N = K = batch_size."""

    # Vicinal risk minimisation; off leaves out mixed images and soft fakes, the paper's STIC-ERM.
    vrm: Literal["on", "off"] = "on"
    # What happens to images on their way into the network, and how they mix.
    augmentation: VicinityConfig = field(default_factory=VicinityConfig)
    # The fakes: chains drawn from the classifier of the pass before.
    pool: PoolConfig = field(default_factory=PoolConfig)
    # Real images a chain's Gram term compares with: one in the paper; several keep small images from being copied.
    references: Annotated[int, Range(1, 10_000)] = 1
    # Scale of the Gram loss: log keeps chains stable where the Gram term dominates.
    normalize: GramScale = "log"

    def check_together(self) -> None:
        """The pool's chains beside those of every run."""
        super().check_together()
        pool = self.pool
        check_count("pool.refresh", pool.refresh, least=0, most=pool.chains, why="as many as pool.chains")
        evolutions = self.passes * (1 + (self.iterations if pool.refresh else 0))
        check_count("steps of a chain of the pool", evolutions * pool.sampler.steps, least=0, most=MAX_STEP, why=NOISE)

    def check_against(self, train: ImageSet) -> None:
        """The references beside those of every run."""
        super().check_against(train)
        fewest = int(torch.bincount(train.labels, minlength=train.num_classes).min())
        check_count("references", self.references, most=fewest, why="as the smallest class has training images")

    def at_once(self) -> AtOnce:
        """Real images, mixed ones and two kinds of fakes; without VRM half of these."""
        return AtOnce(
            images=self.batch_size * (4 if self.vrm == "on" else 2),
            chains=self.pool.chains,
            running=min(self.pool.chains, self.pool.batch_size),
            running_setting="pool.batch_size",
        )


PRESETS = {
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
LOSSES = LOSS.beside(
    Series("loss_real", "real", BLUE),
    Series("loss_mixup", "mixup", ORANGE),
    Series("loss_hard_fake", "hard fakes", VERMILION),
    Series("loss_soft_fake", "soft fakes", GREEN),
    unit="cross-entropy (nats)",
)


class Stic(Method[SticConfig]):
    """The four terms of equation 5 and the fakes they need.

    Pass 1 takes blank images, all 255, as fakes. Pass τ + 1 takes chains drawn from the classifier of pass τ: half of
    them hard, asked for one class, half soft, asked for a mixup of two. That classifier is fixed, so one pool drawn
    as the pass begins stands for draws in every iteration; `pool.refresh` draws some in every iteration all the same,
    from a copy of it. Without VRM (STIC-ERM) there are no mixed images and no soft fakes.
    """

    name, settings = "stic", SticConfig
    summary = "STIC: a classifier that learns from real, mixed and its own drawn images, pass by pass"
    presets, curves = PRESETS, (LOSSES, ACCURACY, *CHAINS)

    def __init__(self, model: Classifier, splits: Splits, config: SticConfig) -> None:
        super().__init__(model, splits, config)
        self.vrm = config.vrm == "on"
        self._kinds = ("hard_fake", "soft_fake")[: 1 + self.vrm]
        self._batches = FakeBatches(
            splits.train.images,
            kinds=len(self._kinds),
            size=config.batch_size,
            label=model.num_classes,
            seed=config.seed,
        )
        self.previous: Classifier | None = None

    @staticmethod
    def build(config: SticConfig, splits: Splits) -> Classifier:
        """A classifier with a fake class."""
        return network_of(config.network, splits, seed=config.seed, fake_class=True)

    @staticmethod
    def recipe_of(config: SticConfig, model: Classifier, *, fakes: bool = False) -> Recipe:
        """Chains of equation 3. A fake is an image, to be told from other images, and so kept as bytes."""
        sampler = config.pool.sampler if fakes else config.sampler
        space = PixelSpace(canvas=config.pool.start, keep="bytes" if fakes else "floats")
        return Recipe(Stage(sampler, normalize=config.normalize), space, config.references)

    def start_pass(self, pass_number: int, progress: Progress) -> list[dict[str, Any]]:
        """Draws this pass's fakes from the classifier as the last pass left it."""
        if pass_number == 1:
            return []
        options = self.config.pool
        if self.pool is None:
            self.pool = self.new_pool()
        else:
            self.pool.restart(options.restart_probability)
        if options.refresh:
            self.previous = copy.deepcopy(self.model)
        batches = -(-len(self.pool) // options.batch_size)
        with progress.task(f"fakes for pass {pass_number}", batches * options.sampler.steps) as advance:
            trace = self.pool.evolve(
                self.model,
                batch_size=options.batch_size,
                trace_every=max(1, options.sampler.steps // 20),
                on_step=advance,
            )
        return [{"kind": "chain", **record._asdict()} for record in trace]

    def loss(self, iteration: int) -> Loss:
        """Equation 5, each sum as a mean over its batch."""
        self._refresh(iteration)
        x, y = self.real.draw(0, iteration)
        inputs, targets = [x], {"real": y}
        if self.vrm:
            mixed, targets["mixup"] = self.real.draw(1, iteration, mixup_alpha=self.config.augmentation.mixup_alpha)
            inputs.append(mixed)
        drawn, fake = self.real.of_drawn(*self._fakes(iteration), 2, iteration)
        inputs.append(drawn)
        targets |= zip(self._kinds, torch.split(fake, self.config.batch_size), strict=True)

        logits = self.model(torch.cat(inputs)).float()
        parts = logits.split(self.config.batch_size)
        losses = {name: cross_entropy(part, y) for part, (name, y) in zip(parts, targets.items(), strict=True)}
        total = torch.stack(list(losses.values())).sum()
        hits = self.model.class_logits(parts[0]).argmax(1) == targets["real"].argmax(1)
        terms = {"loss": total, **{f"loss_{name}": value for name, value in losses.items()}}
        return Loss(total, {name: term.detach() for name, term in {**terms, "accuracy": hits.float().mean()}.items()})

    def state_dict(self) -> dict[str, Any]:
        """The pool, once there is one, and the classifier that refreshes it."""
        previous = None if self.previous is None else self.previous.state_dict()
        return {**super().state_dict(), "previous": previous}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts them back."""
        super().load_state_dict(state)
        self.previous = None
        if state.get("previous") is not None:  # runs from before pool.refresh have none
            check_form(state["previous"], self.model.state_dict(), "previous")
            self.previous = copy.deepcopy(self.model)
            self.previous.load_state_dict(state["previous"])

    def new_pool(self) -> ChainPool:
        """Half hard and half soft chains, all hard without VRM."""
        soft = self.config.pool.chains // 2 if self.vrm else 0
        return ChainPool(
            self.splits.train.images,
            self.splits.train.labels,
            self.recipe_of(self.config, self.model, fakes=True),
            num_classes=self.model.num_classes,
            hard=self.config.pool.chains - soft,
            soft=soft,
            alpha=self.config.augmentation.mixup_alpha,
            seed=self.config.seed,
        )

    def _refresh(self, iteration: int) -> None:
        """Draws the next chains of the pool anew, round and round."""
        count = self.config.pool.refresh
        if self.pool is not None and self.previous is not None and count:
            rows = torch.unique((torch.arange(count, device=self.pool.ids.device) + iteration * count) % len(self.pool))
            self.pool.restart(1.0, rows)
            self.pool.evolve(self.previous, rows=rows)

    def _fakes(self, iteration: int) -> tuple[Tensor, Tensor]:
        """A batch of hard fakes and, with VRM, one of soft fakes behind it; their label is the fake class."""
        if self.pool is None:
            return self._batches.draw(iteration, ())
        kinds = self.pool.states[: self.pool.hard], self.pool.states[self.pool.hard :]
        return self._batches.draw(iteration, kinds[: len(self._kinds)])
