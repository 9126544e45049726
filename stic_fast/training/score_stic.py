# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Score-STIC: STIC with a classifier that also learns the score of its images (STIC, section 3)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from stic_fast.counts import LATER, MOST, Count, Range, check_count
from stic_fast.data import ImageSet, Splits
from stic_fast.errors import InputError
from stic_fast.models import Classifier, ScoreClassifier
from stic_fast.noise_addresses import POOL
from stic_fast.plots.curves import ACCURACY, LOSS, Panel, Series
from stic_fast.plots.looks import BLUE, GREEN, ORANGE, PURPLE, VERMILION
from stic_fast.sampling import (
    GRMALA,
    AnnealedGRMALA,
    ClassScore,
    Condition,
    Guidance,
    NoiseSpace,
    PixelSpace,
    Recipe,
    Stage,
    draw_hard,
    draw_images,
    draw_soft,
)
from stic_fast.training.averaging import AverageConfig
from stic_fast.training.config import AtOnce, OptimiserConfig, RunConfig, ScoreNetworkConfig
from stic_fast.training.fake_batches import FakeBatches
from stic_fast.training.method import Loss, Method
from stic_fast.training.network import score_network_of
from stic_fast.training.progress import Progress
from stic_fast.training.saved_state import check_form
from stic_fast.training.score_matching import ScoreConfig, brier_loss, noisy_images, score_loss
from stic_fast.training.stic import VicinityConfig

ADAM = OptimiserConfig(lr=1e-2, root_after=2_000, warm_up=50, beta2=0.99, fused="on", precision="auto")


@dataclass(frozen=True)
class FakesConfig:
    """The fakes: images drawn with the network of the pass before."""

    # Images, half of them hard and half soft (all hard without VRM).
    images: Annotated[int, Range(2, MOST)] = 500
    # Images drawn at once.
    batch_size: Count = 250
    # The chain of a fake.
    sampler: AnnealedGRMALA = field(default_factory=lambda: AnnealedGRMALA(steps=8, precision="auto"))
    # That of one whose score is known at one noise level, where score.loss is sliced.
    one_level: GRMALA = field(default_factory=lambda: GRMALA(steps=40), metadata=LATER)


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
    # That of samples whose score is known at one noise level, where score.loss is sliced.
    one_level: GRMALA = field(default_factory=lambda: GRMALA(steps=100), metadata=LATER)
    # How strongly chains of finished samples are led towards their class; where score.loss is sliced, fakes too.
    guidance: Guidance = field(default_factory=Guidance)
    # Real images that a chain's Gram term compares with, where it has one.
    references: Annotated[int, Range(1, 10_000)] = 1

    def check_together(self) -> None:
        super().check_together()
        drawn = self.passes * self.fakes.images
        check_count("passes times fakes.images", drawn, most=POOL.size, why="a chain each")
        score, is_wide = self.score, self.network.architecture == "wide_resnet"
        if is_wide and score.loss != "sliced":
            raise InputError(
                "network.architecture=wide_resnet knows the score at one noise level, got score.loss=denoising over "
                "many; set score.loss=sliced, or network.architecture=unet"
            )
        if is_wide and not self.guidance.classifier:
            raise InputError(
                "guidance.classifier must be above 0 for network.architecture=wide_resnet, whose score takes no label, "
                "or its chains know no class; the paper's is 1"
            )
        if score.brier and not is_wide and not round(score.withheld * score.denoised):
            raise InputError("score.brier reads images whose label is withheld, got none; raise score.withheld")

    def check_against(self, train: ImageSet) -> None:
        super().check_against(train)
        check_count("score.denoised", self.score.denoised, most=len(train), why="as there are training images")

    def at_once(self) -> AtOnce:
        kinds = 4 if self.vrm == "on" else 2
        passes = 2 if self.score.loss == "sliced" else 1  # a pass back that is differentiated, or images twice
        return AtOnce(images=passes * self.score.denoised + self.batch_size * kinds)


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

ALONG_SCORE = GRMALA(steps=40, eps1=0.95 * 0.3**2)
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
        sampler=AnnealedGRMALA(correctors=1, precision="auto"),
        guidance=Guidance(label=1.4),
    ),
    "fashion": ScoreSticConfig(
        data="idx:",
        passes=15,
        iterations=1_000,
        batch_size=16,
        network=ScoreNetworkConfig(channels=(64, 128), sigma_data=0.7),
        optimiser=replace(ADAM, lr=2e-2, root_after=1_000),
        augmentation=VicinityConfig(noise_std=0.02, max_shift=2),  # not flipped: all shoes point to the left
        score=ScoreConfig(log_sigma_mean=-1.0),
        sampler=AnnealedGRMALA(correctors=2, precision="auto"),
        guidance=Guidance(label=1.5),
    ),
    "cifar10": ScoreSticConfig(
        data="cifar10:",
        passes=100,
        iterations=1_000,
        augmentation=VicinityConfig(noise_std=0.02, flip_probability=0.5, max_shift=3),
        checkpoint_every=100,
    ),
    # Section 5 of the paper, where it says something; else SticConfig's defaults. A chain's step takes x by 0.95 of the
    # way to the image without its noise, x + σ²·s, since steps of 0.95·s leave the box at once; on ∇ log p(y|x) and the
    # Gram term the paper's 0.95 stays.
    "cifar10-paper": ScoreSticConfig(
        data="cifar10:",
        passes=10,
        iterations=5_000,
        batch_size=50,
        network=ScoreNetworkConfig(architecture="wide_resnet", sigma_read=0.3),
        optimiser=OptimiserConfig(),
        average=AverageConfig(),
        augmentation=VicinityConfig(),
        score=ScoreConfig(loss="sliced", trace="difference", weight=1.0, brier=1.0, denoised=50, withheld=0.0),
        fakes=FakesConfig(images=10_000, one_level=ALONG_SCORE),
        one_level=replace(ALONG_SCORE, steps=100),
        guidance=Guidance(label=0.0, classifier=1 / 0.3**2),
    ),
}


class ScoreStic(Method[ScoreSticConfig]):
    r"""Equation 5 of STIC beside score matching: a classifier that knows how likelier images are reached.

    An iteration descends :math:`\sum_{kinds} CE + CE_{noisy} + λ·score`: the cross-entropies of real, mixed, hard and
    soft fake images at the noise level of reading; that of the images which are denoised without their label, at their
    own noise levels; and λ = `score.weight` times the loss of score matching. The fakes of pass τ + 1 are drawn as the
    pass begins, by the averaged weights of pass τ; pass 1 takes blank images, all 255.
    """

    name, settings = "score-stic", ScoreSticConfig
    summary = "Score-STIC: STIC whose classifier also learns to take noise away, and draws by that"
    presets, curves = PRESETS, (TOTAL, SCORE, CLASSES, ACCURACY)

    def __init__(self, model: Classifier, splits: Splits, config: ScoreSticConfig) -> None:
        super().__init__(model, splits, config)
        self.vrm = config.vrm == "on"
        self.kinds = ("real", "mixup", "hard_fake", "soft_fake") if self.vrm else ("real", "hard_fake")
        self.fakes: Tensor | None = None
        self._batches = FakeBatches(
            splits.train.images,
            kinds=1 + self.vrm,
            size=config.batch_size,
            label=model.num_classes,
            seed=config.seed,
        )

    @staticmethod
    def build(config: ScoreSticConfig, splits: Splits) -> Classifier:
        return score_network_of(config.network, splits, seed=config.seed)

    @staticmethod
    def recipe_of(config: ScoreSticConfig, model: Classifier, *, fakes: bool = False) -> Recipe:
        """Chains through noise levels, those of fakes not guided; or, of a score at one level, equation 3 along it."""
        if config.score.loss == "sliced":
            one_level = config.fakes.one_level if fakes else config.one_level
            return Recipe(Stage(one_level, ClassScore(config.guidance)), PixelSpace(), config.references)
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
        """Equation 5 at the noise level of reading, each sum as a mean over its batch, beside score matching.

        All from one pass. The images whose label is withheld tell their class at their own noise level too.
        """
        options, network = self.config.score, cast(ScoreClassifier, self.model)
        clean, labels, ids = self.real.clean(DENOISED, iteration, options.denoised)
        address: dict[str, Any] = {"seed": self.config.seed, "step": iteration, "chain_ids": ids}
        noisy = noisy_images(clean, options, self.config.network, **address)
        withheld = round(options.withheld * options.denoised)
        told = labels[:, : network.num_classes].index_fill(0, torch.arange(withheld, device=labels.device), 0)
        told, count = told.repeat(len(noisy.x) // len(clean), 1), len(noisy.x)
        read, targets = self._read(iteration)
        made = network.at_noise(
            torch.cat([noisy.x, read]),
            torch.cat([noisy.sigma, noisy.sigma.new_full((len(read),), network.sigma_read)]),
            torch.cat([told, told.new_zeros(len(read), network.num_classes)]) if network.takes_labels else None,
            denoised=count,
        )
        of_noisy, *of_read = torch.split(made.logits, [count] + [self.config.batch_size] * len(self.kinds))
        score = score_loss(made.denoised, clean, noisy, options, self.config.network, **address)
        losses = {name: cross_entropy(logits, y) for name, logits, y in zip(self.kinds, of_read, targets, strict=True)}
        if withheld:
            losses["noisy"] = cross_entropy(of_noisy[:withheld], labels[:withheld])
        if options.brier:
            untold = withheld if network.takes_labels else len(clean)
            losses["brier"] = options.brier * brier_loss(of_noisy[:untold], labels[:untold])
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
            self.fakes = state["fakes"].to(images.device)

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
        return self._batches.draw(iteration, () if self.fakes is None else self.fakes.tensor_split(1 + self.vrm))
