# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""IGM: a cascade of classifiers, each of which tells real images or patches from what those before it drew.

Introspective Generative Modeling (Lazarow, Jin and Tu 2017), sections 3.2 to 3.4 and Algorithm 1. A round is a pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

from stic_fast.counts import MOST, Count, NotNegative, Positive, Probability, Range, check_count
from stic_fast.data import ImageSet, Splits
from stic_fast.errors import InputError
from stic_fast.models import Classifier, Discriminator
from stic_fast.noise_addresses import POOL
from stic_fast.ops.checks import MAX_STEP
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.plots import save_grid
from stic_fast.plots.curves import LOSS, Panel, Panels, Series
from stic_fast.plots.looks import BLUE, GREEN, VERMILION
from stic_fast.sampling import GRMALA, Adam, LogOdds, PatchSpace, Recipe, Stage, Stop, continue_chains, draw_hard
from stic_fast.training.config import (
    NOISE,
    AtOnce,
    AugmentationConfig,
    DiscriminatorConfig,
    OptimiserConfig,
    RunConfig,
)
from stic_fast.training.method import GRID_COLUMNS, Loss, Method
from stic_fast.training.network import discriminator_of
from stic_fast.training.progress import Progress
from stic_fast.training.run_folder import RunFolder, writing
from stic_fast.training.saved_state import check_form

VARIANCE_OF = 1_000
"""Real images, at most, whose pixels' variance the penalty is scaled by."""
SHOWN = 4
"""Pseudo-negatives beside a single source in the picture of a round."""


@dataclass(frozen=True)
class PatchConfig:
    """What the network is shown of an image."""

    # Side of the random square that is cut out, over which the network slides; None for images as they are.
    side: Count | None = 96
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
    """An IGM training run: passes are rounds, each of which trains a network of the cascade and draws with it."""

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
    # Networks of the cascade, each trained for as many rounds as the others, through which chains go one after the
    # other; None for one each round, as the paper's IGM, and 1 for its IGM-single.
    networks: Count | None = None
    # What the network is shown of an image.
    patches: PatchConfig = field(default_factory=PatchConfig)
    # The pseudo-negatives: what the cascade has drawn, round by round.
    negatives: NegativesConfig = field(default_factory=NegativesConfig)
    # Weight λ of λ·σ²·E‖∇ ln g‖², the squared slope of the log-odds at real and drawn patches, with the variance σ² of
    # real pixels. Without it chains end at what fools a network, not at what looks real; 0 for none, as in the paper.
    penalty: NotNegative = 0.0
    # How chains climb: by Adam, as in the paper's experiments, or by Langevin steps.
    climb: Literal["adam", "grmala"] = "adam"
    # The leg of a network, by Adam.
    sampler: Adam = field(default_factory=lambda: Adam(steps=60, schedule="linear", precision="auto"))  # type: ignore[assignment]
    # The leg of a network, by Langevin steps.
    langevin: GRMALA = field(default_factory=lambda: GRMALA(steps=60, eps1=0.1, eps2=0.0, eps3=0.005, precision="auto"))

    @property
    def leg(self) -> Adam | GRMALA:
        """How chains climb a network."""
        return self.sampler if self.climb == "adam" else self.langevin

    @property
    def rounds_each(self) -> int:
        """The rounds that each network is trained for."""
        return self.passes // (self.networks or self.passes)

    def check_together(self) -> None:
        super().check_together()
        if self.networks is not None and self.passes % self.networks:
            raise InputError(f"passes must be a multiple of networks={self.networks}, got {self.passes}; change either")
        legs = self.passes // self.rounds_each * self.leg.steps
        check_count("steps of all networks", legs, least=0, most=MAX_STEP, why=NOISE)
        odd = [name for name in ("canvas", "margin") if getattr(self.patches, name) is not None]
        if self.patches.side is None and odd:
            raise InputError(f"patches.{odd[0]} is for patches; set patches.side too, or leave it out")

    def check_against(self, train: ImageSet) -> None:
        side = min(train.image_shape[1:])
        if self.patches.side is not None:
            check_count("patches.side", self.patches.side, most=side, why="inside the images")
        check_count("augmentation.max_shift", self.augmentation.max_shift, least=0, most=side - 1, why="inside them")

    def at_once(self) -> AtOnce:
        chains, side = self.negatives.chains, self.patches.side
        kept = chains * (self.negatives.rounds + 2)
        patch = None if side is None else (side, side)
        return AtOnce(2 * self.batch_size, patch, kept, running=chains, running_setting="negatives.chains")


WHOLE: Mapping[str, Any] = {
    "batch_size": 64,
    "patches": PatchConfig(side=None),
    "negatives": NegativesConfig(chains=500),
    "penalty": 1.0,
    "sampler": Adam(steps=30, schedule="linear", precision="auto"),
}
SMALL = DiscriminatorConfig(channels=(32, 64), whole="on")
LARGER = DiscriminatorConfig(channels=(32, 64, 128), whole="on")
IMAGES: Mapping[str, Mapping[str, Any]] = {
    "digits": {"data": "digits", "passes": 30, "iterations": 30, "network": SMALL, **WHOLE},
    "fashion": {"data": "idx:", "passes": 30, "iterations": 50, "network": LARGER, **WHOLE},
    "cifar10": {"data": "cifar10:", "passes": 40, "iterations": 100, "network": LARGER, **WHOLE},
}
"""Settings for whole images, by the name of a preset."""
PRESETS = {
    # A texture of any size, from a photograph of some 128 pixels or more.
    "texture": IgmConfig(
        passes=40, iterations=100, patches=PatchConfig(canvas=128), negatives=NegativesConfig(chains=8), penalty=5.0
    ),
    # Section 4.1 of the paper, for a source of 256×256 pixels: its network, its rounds, its patches, ten of an image.
    "texture-paper": IgmConfig(
        iterations=100,
        batch_size=500,
        network=DiscriminatorConfig(channels=(64, 128, 256, 512), whole="on", smooth="off", batch_norm="on"),
        optimiser=OptimiserConfig(lr=1e-2),
        patches=PatchConfig(side=64, cover=0.4, canvas=256, margin=32),
        negatives=NegativesConfig(chains=200, window=20),
        sampler=Adam(steps=200, eps1=0.1, beta2=0.999),
    ),
    **{name: IgmConfig(**settings) for name, settings in IMAGES.items()},
}
LOSSES = LOSS.beside(
    Series("loss_real", "real", BLUE),
    Series("loss_drawn", "drawn", VERMILION),
    Series("loss_penalty", "penalty", GREEN),
    unit="nats",
)
PROBABILITIES = Panel(
    "Probability of being real",
    "mean over patches (%)",
    (Series("p_real", "real", BLUE), Series("p_drawn", "drawn", VERMILION)),
    scale="share",
)


class Told(NamedTuple):
    """What a network says of a batch of patches."""

    seen: Tensor
    """(B, channels, height, width), as it was shown them."""
    classes: Tensor
    """Of the images that they are of, int64 (B,)."""
    odds: Tensor
    """ln q(+1|x)/q(−1|x) by each class's head, at each place that it reads, float32 (B, C, rows, columns)."""

    @property
    def own(self) -> Tensor:
        """Those of their own class's head, (B, rows, columns)."""
        return self.odds[torch.arange(len(self.odds), device=self.odds.device), self.classes]


def slopes_of(told: Told) -> Tensor:
    """The gradient of each patch's own log-odds, (B, channels, height, width), differentiable in its turn."""
    (slopes,) = torch.autograd.grad(told.own.mean((1, 2)).sum(), told.seen, create_graph=True)
    return slopes


def probabilities(real: Told, drawn: Told) -> dict[str, Tensor]:
    """How likely both are to be real, as logged."""
    return {"p_real": real.own.sigmoid().mean(), "p_drawn": drawn.own.sigmoid().mean()}


def of_terms(descended: Mapping[str, Tensor], shown: Mapping[str, Tensor]) -> Loss:
    """The loss that is the sum of some terms, which are logged with others."""
    total = torch.stack(list(descended.values())).sum()
    return Loss(total, {name: term.detach() for name, term in {"loss": total, **descended, **shown}.items()})


class Igm(Method[IgmConfig]):
    """Algorithm 1: round t trains on real patches against those drawn in the rounds before, then draws.

    Chains climb the log-odds of round t's network from where the network before it left them, until the mean
    probability that they are real passes one half. Fresh images go through all networks in the same way.
    """

    name, settings = "igm", IgmConfig
    summary = "IGM: a cascade of classifiers that draws textures, from one image of one, or images without labels"
    presets: ClassVar[Mapping[str, Any]] = PRESETS
    curves: ClassVar[Panels] = (LOSSES, PROBABILITIES)
    evaluation: ClassVar[Sequence[str]] = ("images",)
    labelled = False

    def __init__(self, model: Classifier, splits: Splits, config: IgmConfig) -> None:
        super().__init__(model, splits, config)
        self.recipe = self.recipe_of(config, model, fakes=True).of_images(splits.train.image_shape)
        self.ids = POOL.ids(config.negatives.chains, device=splits.train.labels.device)
        self.classes = torch.arange(len(self.ids), device=self.ids.device) % model.num_classes
        self.negatives = self._noise(0)[None]
        some = to_unit(splits.train.images[:: -(-len(splits.train) // VARIANCE_OF)])
        self.variance = float(some.var((0, 2, 3), correction=0).mean())
        self.left: Tensor | None = None
        """Where the network before this one left the chains; None for the first, which begins at noise."""

    @classmethod
    def build(cls, config: IgmConfig, splits: Splits) -> Classifier:
        return discriminator_of(config.network, splits, seed=config.seed, side=config.patches.side)

    @classmethod
    def recipe_of(cls, config: IgmConfig, model: Classifier, *, fakes: bool = False) -> Recipe:
        """The leg of one network; a trained cascade has one for each of its own."""
        options, patches = config.negatives, config.patches
        stage = Stage(config.leg, LogOdds(), stop=Stop(options.stop, options.window, torch.sigmoid))
        channels, canvas = cast(Discriminator, model).in_channels, patches.canvas
        own = None if canvas is None or not fakes else (channels, canvas, canvas)
        patch = None if patches.side is None else (patches.side, patches.side)
        return Recipe(stage, PatchSpace(own, patch, patches.cover, patches.margin, options.sigma))

    @classmethod
    def cascade(cls, config: IgmConfig, passes: int) -> Sequence[int] | None:
        ends = list(range(config.rounds_each, passes + 1, config.rounds_each))
        return ends if passes % config.rounds_each == 0 else [*ends, passes]

    def loss(self, iteration: int) -> Loss:
        """What the network says of real and of drawn patches, as numbers to descend, each a mean over its batch."""
        wrap = self.config.patches.side is not None and self.config.patches.margin is None
        ages = torch.arange(len(self.negatives) - 1, -1, -1, device=self.ids.device)
        weights = (float(self.config.negatives.recent) ** ages).repeat_interleave(len(self.ids))
        real, of = self.real.patches(0, iteration, self._patch)
        drawn, by = self.real.patches(1, iteration, self._patch, self.negatives.flatten(0, 1), weights, wrap=wrap)
        for seen in (real, drawn):
            seen.requires_grad_(self.config.penalty > 0)
        odds_real, odds_drawn = self._odds(torch.cat([real, drawn])).chunk(2)
        return self.told_apart(
            Told(real, self.splits.train.labels[of], odds_real),
            Told(drawn, self.classes[by % len(self.ids)], odds_drawn),
            iteration,
        )

    def told_apart(self, real: Told, drawn: Told, iteration: int) -> Loss:
        """The number to descend, and terms to log; `introspection` alone."""
        return of_terms(self.introspection(real, drawn), probabilities(real, drawn))

    def introspection(self, real: Told, drawn: Told) -> dict[str, Tensor]:
        """−ln q(+1|x) of real patches and −ln q(−1|x) of drawn ones (section 3.2.1), and the penalty."""
        terms = {"loss_real": softplus(-real.own).mean(), "loss_drawn": softplus(drawn.own).mean()}
        if self.config.penalty:
            slopes = torch.cat([slopes_of(real), slopes_of(drawn)])
            terms["loss_penalty"] = self.config.penalty * self.variance * slopes.square().sum((1, 2, 3)).mean()
        return terms

    def end_pass(self, pass_number: int, run: RunFolder, progress: Progress) -> list[dict[str, Any]]:
        """Draws this round's pseudo-negatives, and a picture of some of them."""
        train, steps, taken = self.splits.train, self.recipe.steps, 0
        before = (pass_number - 1) // self.config.rounds_each  # networks

        def count(*_: object) -> None:
            nonlocal taken
            taken += 1
            advance()

        with progress.task(f"drawing in round {pass_number}", steps) as advance:
            drawn, _ = continue_chains(
                self.model,
                self.recipe,
                self._noise(pass_number - 1) if self.left is None else self.left,
                draw_hard(train.labels, self.classes, self.ids, seed=self.config.seed),
                train.images,
                train.labels,
                seed=self.config.seed,
                chain_ids=self.ids,
                first_step=before * steps,
                on_step=count,
            )
        self.negatives = torch.cat([self.negatives, drawn[None]])[-self.config.negatives.rounds :]
        if pass_number % self.config.rounds_each == 0:
            self.left = drawn
        path = run.picture("samples", f"pass_{pass_number:03d}.png")
        with writing(path):
            save_grid(path, **self._shown(to_bytes(self.recipe.space.decode(drawn))))
        progress.say(f"round {pass_number}: {taken} of {steps} steps, drawn in {path}")
        return [{"kind": "synthesis", "steps": taken}]

    def state_dict(self) -> dict[str, Any]:
        """The pseudo-negatives, and where the network before this one left the chains."""
        return {**super().state_dict(), "negatives": self.negatives.clone(), "left": self.left}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts them back."""
        super().load_state_dict(state)
        saved, left, one = state["negatives"], state["left"], self.negatives[0]
        rounds = len(saved) if isinstance(saved, Tensor) and saved.dim() else 1
        check_form(saved, one.new_empty(rounds, *one.shape), "negatives")
        self.negatives = saved.to(one.device, copy=True)
        self.left = None
        if left is not None:
            check_form(left, one, "left")
            self.left = left.to(one.device, copy=True)

    @property
    def _patch(self) -> tuple[int, int]:
        """Height and width of what the network is shown."""
        side = self.config.patches.side
        _, height, width = self.splits.train.image_shape
        return (height, width) if side is None else (side, side)

    def _odds(self, x: Tensor) -> Tensor:
        odds: Tensor = self.model.logits_and_features(x, LogOdds.layers)[1][0].float()
        return odds

    def _noise(self, step: int) -> Tensor:
        """What chains start from in a round of the first network."""
        return self.recipe.space.start(self.ids, seed=self.config.seed, step=step)

    def _shown(self, drawn: Tensor) -> dict[str, Any]:
        """A picture of what was drawn: a single source beside some, or a row for each class."""
        train, classes = self.splits.train, self.model.num_classes
        if len(train) == 1:
            down, across = (own - side for own, side in zip(drawn.shape[2:], train.image_shape[1:], strict=True))
            source = pad(train.images[:1], (0, across, 0, down), value=255)  # cut where it is larger, else on white
            tiles = torch.cat([source, drawn[:SHOWN]]).cpu()
            return {
                "images": tiles,
                "columns": len(tiles),
                "column_labels": ["source", *["drawn"] * (len(tiles) - 1)],
            }
        if classes == 1:
            return {"images": drawn[: GRID_COLUMNS**2].cpu(), "columns": GRID_COLUMNS}
        columns = min(GRID_COLUMNS, len(drawn) // classes)
        tiles = drawn[: columns * classes].view(columns, classes, *drawn.shape[1:]).transpose(0, 1).flatten(0, 1).cpu()
        return {"images": tiles, "columns": columns, "row_labels": train.class_names}
