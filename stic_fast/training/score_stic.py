# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Score-STIC: STIC with a classifier that also learns the score of its images (STIC, section 3)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from stic_fast.counts import MOST, Count, NotNegative, Probability, Range, check_count
from stic_fast.data import ImageSet, Splits
from stic_fast.models import Classifier, ScoreClassifier
from stic_fast.noise_addresses import FAKE_PICKS, POOL
from stic_fast.ops import noise
from stic_fast.plots.curves import ACCURACY, LOSS, Panel, Series
from stic_fast.plots.looks import BLUE, GREEN, ORANGE, PURPLE, VERMILION
from stic_fast.sampling import (
    AnnealedGRMALA,
    ClassScore,
    Condition,
    Guidance,
    NoiseSpace,
    Recipe,
    Stage,
    draw_hard,
    draw_images,
    draw_soft,
)
from stic_fast.training.averaging import AverageConfig
from stic_fast.training.config import AtOnce, OptimiserConfig, RunConfig, ScoreNetworkConfig
from stic_fast.training.method import Loss, Method
from stic_fast.training.network import score_network_of
from stic_fast.training.progress import Progress
from stic_fast.training.saved_state import check_form
from stic_fast.training.score_matching import denoising_loss, with_noise
from stic_fast.training.stic import VicinityConfig

ADAM = OptimiserConfig(lr=1e-2, root_after=2_000, warm_up=50, beta2=0.99, fused="on", precision="auto")


@dataclass(frozen=True)
class ScoreConfig:
    """How the score is learnt."""

    # Weight of the score matching beside the cross-entropies.
    weight: NotNegative = 10.0
    # Images in an iteration that are denoised, beside those that are classified.
    denoised: Count = 128
    # Share of these whose label is withheld from the network, which tells their class instead.
    withheld: Probability = 0.125
    # Mean and standard deviation of ln σ, the noise level.
    log_sigma_mean: Annotated[float, Range(-20, 20)] = -1.2
    log_sigma_std: Annotated[float, Range(0, 20)] = 1.2


@dataclass(frozen=True)
class FakesConfig:
    """The fakes: images drawn with the network of the pass before."""

    # Images, half of them hard and half soft (all hard without VRM).
    images: Annotated[int, Range(2, MOST)] = 500
    # Images drawn at once.
    batch_size: Count = 250
    # The chain of a fake.
    sampler: AnnealedGRMALA = field(default_factory=lambda: AnnealedGRMALA(steps=8, precision="auto"))


@dataclass(frozen=True)
class ScoreSticConfig(RunConfig):
    """A Score-STIC training run: equation 5 beside score matching."""

    # Iterations of a pass.
    iterations: Count = 1_000
    # Images in an iteration that are classified at sigma_read: real ones, and as many mixed, hard and soft fakes.
    batch_size: Count = 16
    # The network, norm-free.
    network: ScoreNetworkConfig = field(default_factory=ScoreNetworkConfig)  # type: ignore[assignment]
    # Adam, its decay, and what keeps it from diverging.
    optimiser: OptimiserConfig = ADAM
    # A running average of the weights, by which the run is judged.
    average: AverageConfig = field(default_factory=lambda: AverageConfig("power"))
    # What happens to images on their way into the network, and how they mix; the noise is that of sigma_read.
    augmentation: VicinityConfig = field(default_factory=lambda: VicinityConfig(noise_std=0.02))
    # How the score is learnt.
    score: ScoreConfig = field(default_factory=ScoreConfig)
    # Vicinal risk minimisation; off leaves out mixed images and soft fakes.
    vrm: Literal["on", "off"] = "on"
    # The fakes: images drawn with the network of the pass before.
    fakes: FakesConfig = field(default_factory=FakesConfig)
    # The chain of finished samples.
    sampler: AnnealedGRMALA = field(default_factory=lambda: AnnealedGRMALA(precision="auto"))  # type: ignore[assignment]
    # How strongly chains of finished samples are led towards their class.
    guidance: Guidance = field(default_factory=Guidance)
    # Real images that a chain's Gram term compares with, where it has one.
    references: Annotated[int, Range(1, 10_000)] = 1

    def check_together(self) -> None:
        super().check_together()
        drawn = self.passes * self.fakes.images
        check_count("passes times fakes.images", drawn, most=POOL.size, why="a chain each")

    def check_against(self, train: ImageSet) -> None:
        super().check_against(train)
        check_count("score.denoised", self.score.denoised, most=len(train), why="as there are training images")

    def at_once(self) -> AtOnce:
        kinds = 4 if self.vrm == "on" else 2
        return AtOnce(images=self.score.denoised + self.batch_size * kinds)


CLASSES = Panel(
    "Classification",
    "cross-entropy (nats)",
    (
        Series("loss_real", "real", BLUE),
        Series("loss_mixup", "mixup", ORANGE),
        Series("loss_hard_fake", "hard fakes", VERMILION),
        Series("loss_soft_fake", "soft fakes", GREEN),
        Series("loss_noisy", "real, at all noise levels", PURPLE),
    ),
)
TOTAL = LOSS.beside(unit="weighted sum")
SCORE = Panel("Score matching", "loss, 1 for nothing learnt", (Series("score", "denoising", BLUE),))

DENOISED = 4
"""The place of the images that are denoised among the batches of an iteration."""

PRESETS = {
    # Images of 8×8 pixels are wide in their values, and coarse: more noise, one level. Small steps would not be worth
    # their overhead, so that a batch is small and a learning rate high.
    "digits": ScoreSticConfig(
        passes=4,
        iterations=500,
        batch_size=8,
        network=ScoreNetworkConfig(channels=(64,), sigma_data=0.75),
        optimiser=replace(ADAM, lr=4e-2, root_after=200),
        score=ScoreConfig(denoised=64, log_sigma_mean=-0.8),
        guidance=Guidance(label=1.4),
    ),
    "fashion": ScoreSticConfig(
        data="idx:",
        passes=16,
        iterations=1_000,
        batch_size=16,
        network=ScoreNetworkConfig(channels=(64, 128), sigma_data=0.7),
        optimiser=replace(ADAM, lr=2e-2, root_after=1_000),
        augmentation=VicinityConfig(noise_std=0.02, flip_probability=0.5, max_shift=2),
        score=ScoreConfig(log_sigma_mean=-1.0),
        guidance=Guidance(label=1.5),
    ),
    "cifar10": ScoreSticConfig(
        data="cifar10:",
        passes=100,
        iterations=1_000,
        augmentation=VicinityConfig(noise_std=0.02, flip_probability=0.5, max_shift=3),
        checkpoint_every=100,
    ),
}


class ScoreStic(Method[ScoreSticConfig]):
    name, settings = "score-stic", ScoreSticConfig
    summary = "Score-STIC: STIC whose classifier also learns to take noise away, and draws by that"
    presets, curves = PRESETS, (TOTAL, SCORE, CLASSES, ACCURACY)

    def __init__(self, model: Classifier, splits: Splits, config: ScoreSticConfig) -> None:
        super().__init__(model, splits, config)
        self.vrm = config.vrm == "on"
        self.kinds = ("real", "mixup", "hard_fake", "soft_fake") if self.vrm else ("real", "hard_fake")
        self.fakes: Tensor | None = None

    @staticmethod
    def build(config: ScoreSticConfig, splits: Splits) -> Classifier:
        return score_network_of(config.network, splits, seed=config.seed)

    @staticmethod
    def recipe_of(config: ScoreSticConfig, model: Classifier, *, fakes: bool = False) -> Recipe:
        """Chains through noise levels; those of fakes are not guided."""
        sampler = config.fakes.sampler if fakes else config.sampler
        objective = ClassScore(Guidance() if fakes else config.guidance)
        return Recipe(Stage(sampler, objective), NoiseSpace(sigma=sampler.sigma_max), config.references)

    def start_pass(self, pass_number: int, progress: Progress) -> list[dict[str, Any]]:
        """Draws this pass's fakes with the network as the last pass left it; pass 1 has blank images."""
        if pass_number == 1:
            return []
        recipe, count = self.recipe_of(self.config, self.model, fakes=True), self.config.fakes.images
        train = self.splits.train
        ids = POOL.ids(count, start=(pass_number - 2) * count, device=train.labels.device)
        batches = -(-count // self.config.fakes.batch_size)
        with progress.task(f"fakes for pass {pass_number}", batches * recipe.steps) as advance:
            self.fakes = draw_images(
                self.model,
                recipe,
                self._asked(ids),
                train.images,
                train.labels,
                seed=self.config.seed,
                chain_ids=ids,
                batch_size=self.config.fakes.batch_size,
                on_step=advance,
            )
        return []

    def loss(self, iteration: int) -> Loss:
        """Equation 5 at the noise level of reading, each sum as a mean over its batch, beside score matching at all.

        Both from one pass. The images whose label is withheld tell their class at their own noise level too.
        """
        options, network = self.config.score, cast(ScoreClassifier, self.model)
        clean, labels, ids = self.real.clean(DENOISED, iteration, options.denoised)
        noisy = with_noise(
            clean,
            mean=options.log_sigma_mean,
            std=options.log_sigma_std,
            seed=self.config.seed,
            step=iteration,
            chain_ids=ids,
        )
        withheld = round(options.withheld * options.denoised)
        told = labels[:, : network.num_classes].index_fill(0, torch.arange(withheld, device=labels.device), 0)
        read, targets = self._read(iteration)
        levels = torch.cat([noisy.sigma, noisy.sigma.new_full((len(read),), network.sigma_read)])
        made = network.at_noise(
            torch.cat([noisy.x, read]),
            levels,
            torch.cat([told, told.new_zeros(len(read), network.num_classes)]),
            denoised=len(clean),
        )
        score = denoising_loss(made.denoised, clean, noisy.sigma, self.config.network.sigma_data)
        of_noisy, *of_read = torch.split(made.logits, [len(clean)] + [self.config.batch_size] * len(self.kinds))
        losses = {name: cross_entropy(logits, y) for name, logits, y in zip(self.kinds, of_read, targets, strict=True)}
        if withheld:
            losses["noisy"] = cross_entropy(of_noisy[:withheld], labels[:withheld])
        total = options.weight * score + torch.stack(list(losses.values())).sum()
        hits = network.class_logits(of_read[0]).argmax(1) == targets[0].argmax(1)
        terms = {"loss": total, "score": score, **{f"loss_{name}": value for name, value in losses.items()}}
        return Loss(total, {name: term.detach() for name, term in {**terms, "accuracy": hits.float().mean()}.items()})

    def _read(self, iteration: int) -> tuple[Tensor, list[Tensor]]:
        """The images that are classified, kind by kind, and the labels of each kind."""
        images, labels = zip(
            self.real.draw(0, iteration),
            *([self.real.draw(1, iteration, mixup_alpha=self.config.augmentation.mixup_alpha)] if self.vrm else []),
            self.real.of_drawn(*self._fakes(iteration), 2, iteration),
            strict=True,
        )
        return torch.cat(images), list(torch.split(torch.cat(labels), self.config.batch_size))

    def state_dict(self) -> dict[str, Any]:
        """The fakes, once there are some."""
        return {**super().state_dict(), "fakes": self.fakes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts them back."""
        super().load_state_dict(state)
        self.fakes = None
        if state["fakes"] is not None:
            images = self.splits.train.images
            check_form(state["fakes"], images.new_empty(self.config.fakes.images, *images.shape[1:]), "fakes")
            self.fakes = state["fakes"]

    def _asked(self, ids: Tensor) -> Condition:
        """Half of the fakes hard, half soft; all hard without VRM."""
        labels, seed = self.splits.train.labels, self.config.seed
        hard, *soft = ids.tensor_split(1 + self.vrm)
        classes = torch.arange(len(hard), device=ids.device) % self.model.num_classes
        condition = draw_hard(labels, classes, hard, seed=seed)
        alpha = self.config.augmentation.mixup_alpha
        return condition.beside(draw_soft(labels, soft[0], alpha=alpha, seed=seed)) if soft else condition

    def _fakes(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Fakes of every kind, kind by kind, and their label."""
        kinds, real = 1 + self.vrm, self.splits.train.images
        count = self.config.batch_size * kinds
        labels = torch.full((count,), self.model.num_classes, device=real.device)
        if self.fakes is None:
            return real.new_full((count, *real.shape[1:]), 255), labels
        ids, stream = FAKE_PICKS.ids(count, device=real.device), noise.Stream.BATCH_ORDER
        draws = noise.uniform((count, 1), seed=self.config.seed, step=iteration, chain_ids=ids, stream=stream)
        of_kinds = zip(torch.split(draws[:, 0], self.config.batch_size), self.fakes.tensor_split(kinds), strict=True)
        drawn = [fakes[(draw * len(fakes)).long().clamp_(max=len(fakes) - 1)] for draw, fakes in of_kinds]
        return torch.cat(drawn), labels
