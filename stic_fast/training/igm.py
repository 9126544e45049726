# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""IGM: a cascade of classifiers, each of which tells real patches from what those before it drew.

Introspective Generative Modeling (Lazarow, Jin and Tu 2017), sections 3.2 to 3.4 and Algorithm 1. A round is a pass.
Images of several classes have a head for each on the same convolutions, as STIC's baseline INN has it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, cast

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

from stic_fast.counts import MOST, Count, NotNegative, Positive, Probability, Range, check_count
from stic_fast.data import ImageSet, Splits
from stic_fast.errors import InputError
from stic_fast.models import Classifier, Discriminator
from stic_fast.noise_addresses import POOL
from stic_fast.ops.checks import MAX_STEP
from stic_fast.pixels import to_bytes
from stic_fast.plots import save_grid
from stic_fast.plots.curves import LOSS, Panel, Series
from stic_fast.plots.looks import BLUE, VERMILION
from stic_fast.sampling import GRMALA, Adam, LogOdds, PatchSpace, Recipe, Stage, Stop, continue_chains, draw_hard
from stic_fast.training.config import (
    NOISE,
    AtOnce,
    AugmentationConfig,
    DiscriminatorConfig,
    OptimiserConfig,
    RunConfig,
)
from stic_fast.training.method import Loss, Method
from stic_fast.training.network import discriminator_of
from stic_fast.training.progress import Progress
from stic_fast.training.run_folder import RunFolder, writing
from stic_fast.training.saved_state import check_form

SHOWN = 4
"""Pseudo-negatives in the picture of a round."""


@dataclass(frozen=True)
class PatchConfig:
    """What the network is shown of an image."""

    # Side of the random square that is cut out, over which the network slides.
    side: Count = 96
    # How often a pixel is covered by such squares at each step of a chain, on average.
    cover: Positive = 1.0
    # Height and width of what chains draw while the run trains; None for those of the training images.
    canvas: Count | None = None
    # Pixels around drawn images that let squares reach beyond their edge; None for images that wrap around, and tile.
    margin: Annotated[int, Range(0, 2**15)] | None = None


@dataclass(frozen=True)
class NegativesConfig:
    """The pseudo-negatives: what the cascade has drawn, round by round."""

    # Chains, each of which leaves an image in every round.
    chains: Annotated[int, Range(1, MOST)] = 16
    # Rounds whose images are kept.
    rounds: Count = 8
    # How likely an image is beside one of the round after it.
    recent: Probability = 0.5
    # Standard deviation of the noise that chains start from, in units of [−1, 1].
    sigma: NotNegative = 0.3
    # Of the mean probability of being real, over `window` steps, at which a chain ends its round; 1 for never.
    stop: Probability = 0.5
    # Steps of that mean.
    window: Count = 10


@dataclass(frozen=True)
class IgmConfig(RunConfig):
    """An IGM training run: passes are rounds, each of which trains one network of the cascade and draws with it."""

    data: str = "image:"
    passes: Count = 70
    # Iterations of a round.
    iterations: Count = 24
    # Real patches in an iteration, and as many pseudo-negative ones.
    batch_size: Count = 8
    # The network that tells real patches from drawn ones.
    network: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)  # type: ignore[assignment]
    # Adam, and what keeps it from diverging.
    optimiser: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(lr=1e-3, beta2=0.99, precision="auto"))
    # What happens to patches on their way into the network; noise on drawn ones too.
    augmentation: AugmentationConfig = field(default_factory=lambda: AugmentationConfig(noise_std=0.0))
    # A network for each round, through which chains go one after the other; off, the paper's IGM-single, for the last
    # one alone.
    cascade: Literal["on", "off"] = "on"
    # What the network is shown of an image.
    patches: PatchConfig = field(default_factory=PatchConfig)
    # The pseudo-negatives: what the cascade has drawn, round by round.
    negatives: NegativesConfig = field(default_factory=NegativesConfig)
    # How chains climb: by Adam, as in the paper's experiments, or by Langevin steps.
    climb: Literal["adam", "grmala"] = "adam"
    # The leg of a round, by Adam.
    sampler: Adam = field(default_factory=lambda: Adam(steps=60, schedule="linear", precision="auto"))  # type: ignore[assignment]
    # The leg of a round, by Langevin steps.
    langevin: GRMALA = field(default_factory=lambda: GRMALA(steps=60, eps1=0.1, eps2=0.0, eps3=0.005, precision="auto"))

    def check_together(self) -> None:
        super().check_together()
        legs = self.passes * (self.sampler if self.climb == "adam" else self.langevin).steps
        check_count("steps of all rounds", legs, least=0, most=MAX_STEP, why=NOISE)
        whole = self.network.whole
        if whole is not None and whole != self.patches.side:
            raise InputError(f"patches.side must be network.whole={whole}, got {self.patches.side}; give both the same")

    def check_against(self, train: ImageSet) -> None:
        side = min(train.image_shape[1:])
        check_count("patches.side", self.patches.side, most=side, why="inside the images")
        check_count("augmentation.max_shift", self.augmentation.max_shift, least=0, most=side - 1, why="inside them")

    def at_once(self) -> AtOnce:
        chains = self.negatives.chains
        kept = chains * (self.negatives.rounds + 2)
        patch = (self.patches.side, self.patches.side)
        return AtOnce(2 * self.batch_size, patch, kept, running=chains, running_setting="negatives.chains")


PRESETS = {
    # A texture of any size, from a photograph of some 128 pixels or more.
    "texture": IgmConfig(patches=PatchConfig(canvas=128)),
    # Section 4.1 of the paper, for a source of 256×256 pixels: its network, its rounds, its patches, ten of an image.
    "texture-paper": IgmConfig(
        iterations=100,
        batch_size=500,
        network=DiscriminatorConfig(channels=(64, 128, 256, 512), whole=64, smooth="off", batch_norm="on"),
        optimiser=OptimiserConfig(lr=1e-2),
        patches=PatchConfig(side=64, cover=0.4, canvas=256, margin=32),
        negatives=NegativesConfig(chains=200, window=20),
        sampler=Adam(steps=200, eps1=0.1, beta2=0.999),
    ),
}
LOSSES = LOSS.beside(Series("loss_real", "real", BLUE), Series("loss_drawn", "drawn", VERMILION), unit="nats")
PROBABILITIES = Panel(
    "Probability of being real",
    "mean over patches (%)",
    (Series("p_real", "real", BLUE), Series("p_drawn", "drawn", VERMILION)),
    scale="share",
)


class Igm(Method[IgmConfig]):
    """Algorithm 1: round t trains on real patches against those drawn in the rounds before, then draws.

    Chains climb the log-odds of round t's network from where round t − 1 left them, until the mean probability that
    they are real passes one half. Fresh images go through the networks of all rounds in the same way.
    """

    name, settings = "igm", IgmConfig
    summary = "IGM: a cascade of classifiers that draws textures, from one image of one"
    presets, curves = PRESETS, (LOSSES, PROBABILITIES)

    def __init__(self, model: Classifier, splits: Splits, config: IgmConfig) -> None:
        super().__init__(model, splits, config)
        self.recipe = self.recipe_of(config, model, fakes=True).of_images(splits.train.image_shape)
        self.ids = POOL.ids(config.negatives.chains, device=splits.train.labels.device)
        self.classes = torch.arange(len(self.ids), device=self.ids.device) % model.num_classes
        self.negatives = self.recipe.space.start(self.ids, seed=config.seed)[None]

    @staticmethod
    def build(config: IgmConfig, splits: Splits) -> Classifier:
        return discriminator_of(config.network, splits, seed=config.seed)

    @classmethod
    def recipe_of(cls, config: IgmConfig, model: Classifier, *, fakes: bool = False) -> Recipe:
        """The leg of one round; a trained cascade has one for each of its networks."""
        options, patches = config.negatives, config.patches
        channels, side = cast(Discriminator, model).in_channels, patches.canvas
        own = None if side is None or not fakes else (channels, side, side)
        space = PatchSpace(own, (patches.side, patches.side), patches.cover, patches.margin, options.sigma)
        stop = Stop(options.stop, options.window, torch.sigmoid)
        sampler = config.sampler if config.climb == "adam" else config.langevin
        return Recipe(Stage(sampler, LogOdds(), stop=stop), space)

    @classmethod
    def draws_through_all_passes(cls, config: IgmConfig) -> bool:
        return config.cascade == "on"

    def loss(self, iteration: int) -> Loss:
        """−ln q(+1|x) of real patches and −ln q(−1|x) of drawn ones (section 3.2.1), each a mean over its batch."""
        side = (self.config.patches.side,) * 2
        ages = torch.arange(len(self.negatives) - 1, -1, -1, device=self.ids.device)
        weights = (float(self.config.negatives.recent) ** ages).repeat_interleave(len(self.ids))
        real, of = self.real.patches(0, iteration, side)
        drawn, by = self.real.patches(
            1, iteration, side, self.negatives.flatten(0, 1), weights, wrap=self.config.patches.margin is None
        )
        _, (odds,) = self.model.logits_and_features(torch.cat([real, drawn]), LogOdds.layers)
        heads = torch.cat([self.splits.train.labels[of], self.classes[by % len(self.ids)]])
        own = odds.float()[torch.arange(len(odds), device=odds.device), heads]
        of_real, of_drawn = own.chunk(2)
        losses = {"loss_real": softplus(-of_real).mean(), "loss_drawn": softplus(of_drawn).mean()}
        total = losses["loss_real"] + losses["loss_drawn"]
        shares = {"p_real": of_real.sigmoid().mean(), "p_drawn": of_drawn.sigmoid().mean()}
        return Loss(total, {name: term.detach() for name, term in {"loss": total, **losses, **shares}.items()})

    def end_pass(self, pass_number: int, run: RunFolder, progress: Progress) -> list[dict[str, Any]]:
        """Draws this round's pseudo-negatives, and a picture of the source beside some of them."""
        steps, train = self.recipe.steps, self.splits.train
        start = self.negatives[-1]
        if self.config.cascade == "off":
            start = self.recipe.space.start(self.ids, seed=self.config.seed, step=pass_number)
        taken = 0

        def count(*_: object) -> None:
            nonlocal taken
            taken += 1
            advance()

        with progress.task(f"drawing in round {pass_number}", steps) as advance:
            drawn, _ = continue_chains(
                self.model,
                self.recipe,
                start,
                draw_hard(train.labels, self.classes, self.ids, seed=self.config.seed),
                train.images,
                train.labels,
                seed=self.config.seed,
                chain_ids=self.ids,
                first_step=(pass_number - 1) * steps,
                on_step=count,
            )
        self.negatives = torch.cat([self.negatives, drawn[None]])[-self.config.negatives.rounds :]
        path = run.picture("samples", f"pass_{pass_number:03d}.png")
        with writing(path):
            shown = to_bytes(self.recipe.space.decode(drawn[:SHOWN]))
            down, across = (own - side for own, side in zip(shown.shape[2:], train.image_shape[1:], strict=True))
            source = pad(train.images[:1], (0, across, 0, down), value=255)  # cut where it is larger, else on white
            tiles = torch.cat([source, shown]).cpu()
            save_grid(path, tiles, columns=len(tiles), column_labels=["source", *["drawn"] * (len(tiles) - 1)])
        progress.say(f"round {pass_number}: {taken} of {steps} steps, drawn in {path}")
        return [{"kind": "synthesis", "steps": taken}]

    def state_dict(self) -> dict[str, Any]:
        """The pseudo-negatives."""
        return {**super().state_dict(), "negatives": self.negatives.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts them back."""
        super().load_state_dict(state)
        saved = state["negatives"]
        rounds = len(saved) if isinstance(saved, Tensor) and saved.dim() else 1
        check_form(saved, self.negatives.new_empty(rounds, *self.negatives.shape[1:]), "negatives")
        self.negatives = saved.to(self.negatives.device, copy=True)
