# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""GMMC: a generative classifier whose classes are Gaussians around fixed centres (Yang et al., section 3).

E(x, y) = ‖φ(x) − μ_y‖²/2 is descended for real images and, in generative training, climbed for drawn ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import torch

from stic_fast.counts import Count, NotNegative, Probability, Range
from stic_fast.data import Splits
from stic_fast.models import Classifier, MaxMahalanobisClassifier
from stic_fast.models.frozen import frozen
from stic_fast.models.max_mahalanobis import EMBEDDING
from stic_fast.pixels import to_unit
from stic_fast.plots.curves import ACCURACY, Panel, Series
from stic_fast.sampling import GRMALA, LatentGaussian, Objective
from stic_fast.sampling.objective import LatentSampling
from stic_fast.training.method import Loss
from stic_fast.training.network import network_of
from stic_fast.training.presets import DIGITS_NETWORK, JEM_SCHEDULE, SMALL_ADAM, on_fashion
from stic_fast.training.progress import Progress
from stic_fast.training.replay import ENERGY, ENERGY_LOSS, ReplayConfig, ReplayMethod, ReplayRunConfig
from stic_fast.training.run_folder import RunFolder

Mode = Literal["discriminative", "generative", "joint"]
VARIANCE_MEMORY = 0.99
"""Share that the running estimate of γ² keeps in an iteration."""
VARIANCE_BATCH = 250
"""Images at a time where γ² is estimated from the whole training set."""


@dataclass(frozen=True)
class GmmcConfig(ReplayRunConfig):
    """A GMMC training run; the defaults are the paper's Table 8, γ² absorbed in the step size."""

    # Discriminative, equation 5; generative, equation 7; joint, first the one and then the other.
    mode: Mode = "generative"
    # Weight of the drawn images' energy.
    beta: NotNegative = 0.5
    # Share of the run that joint training is discriminative for.
    switch: Probability = 0.5
    # Iterations over which joint training scales beta up from 0 once it switches.
    ramp: Count = 1_000
    # d, of the embedding φ(x); one less than the number of classes at least.
    dimension: Annotated[int, Range(1, 100_000)] = 64
    # S, the norm of the centres.
    scale: Annotated[float, Range(1e-6, 1e6)] = 10.0
    # When a chain's z around the centre of its class is drawn: staged, once a run; injected, in every step.
    sampling: LatentSampling = "staged"
    # The replay buffer: chains that go on from iteration to iteration.
    pool: ReplayConfig = field(
        default_factory=lambda: ReplayConfig(
            chains=100_000, restart_probability=0.025, sampler=GRMALA(steps=20, eps1=1.0, eps2=0.0, eps3=0.0)
        )
    )
    # The chain of finished samples.
    sampler: GRMALA = field(default_factory=lambda: GRMALA(steps=100, eps1=1.0, eps2=0.0, eps3=0.0))


DIGITS = GmmcConfig(
    passes=6,
    iterations=100,
    ramp=50,
    network=DIGITS_NETWORK,
    optimiser=SMALL_ADAM,
    pool=ReplayConfig(chains=1_000, restart_probability=0.025, sampler=GRMALA(steps=10, eps1=0.05, eps2=0.0, eps3=0.0)),
    sampler=GRMALA(steps=150, eps1=0.05, eps2=0.0, eps3=0.0),
)
PRESETS = {
    "digits": DIGITS,
    "fashion": on_fashion(DIGITS, eps1=0.1, decay_every=1_500, iterations=220),
    "cifar10-paper": GmmcConfig(data="cifar10:", **JEM_SCHEDULE),
}
VARIANCE = Panel(
    "Variance of the embeddings around their centres",
    "γ², per dimension",
    (Series("variance", smoothed=False),),
    scale="log if wide",
)


class Gmmc(ReplayMethod[GmmcConfig]):
    """Discriminative (equation 5), generative (equation 7, Algorithm 1) or joint training.

    γ² is a running estimate over the training batches, and after every pass that of the whole training set. In the loss
    it is a constant that the learning rate absorbs (section 3.1); chains climb −‖φ(x) − z‖²/2, each by its own
    gradient, whatever the batch.
    """

    name, settings = "gmmc", GmmcConfig
    summary = "GMMC: a classifier whose classes are Gaussians around fixed centres, by --mode"
    presets, curves = PRESETS, (ENERGY_LOSS, ACCURACY, ENERGY, VARIANCE)
    model: MaxMahalanobisClassifier

    @staticmethod
    def build(config: GmmcConfig, splits: Splits) -> Classifier:
        """A network φ with the centres of all classes around it."""
        network = network_of(config.network, splits, seed=config.seed, outputs=config.dimension)
        return MaxMahalanobisClassifier(network, num_classes=splits.train.num_classes, scale=config.scale)

    @staticmethod
    def objective_of(config: GmmcConfig, model: Classifier, *, fakes: bool) -> Objective:
        """A point drawn around the centre of the class."""
        assert isinstance(model, MaxMahalanobisClassifier)
        return LatentGaussian(model, config.sampling)

    def loss(self, iteration: int) -> Loss:
        """E(real) − β·E(drawn), means over their batches (equation 7)."""
        x, y = self.real.draw(0, iteration)
        beta, drawn, asked = self.beta(iteration), None, None
        if beta:
            drawn, asked = self.negatives(iteration)
            x = torch.cat([x, drawn])
        embedding = self.model.logits_and_features(x, [EMBEDDING])[1][0].float()
        distances = self.model.squared_distances(embedding)
        real, labels = distances[: len(y)], y.argmax(1)
        energy_real = real.gather(1, labels[:, None]).mean() / 2
        total = energy_real
        terms = {"energy_real": energy_real, "accuracy": (real.argmin(1) == labels).float().mean()}
        if asked is not None:
            energy_fake = distances[len(y) :].gather(1, asked[:, None]).mean() / 2
            total = energy_real - beta * energy_fake
            terms["energy_fake"] = energy_fake
        self.model.variance.lerp_(2 * energy_real.detach() / embedding.shape[1], 1 - VARIANCE_MEMORY)
        terms |= {"loss": total, "variance": self.model.variance}
        return Loss(total, {name: term.detach().clone() for name, term in terms.items()})

    def beta(self, iteration: int) -> float:
        """The weight of drawn images in an iteration, counted over the whole run from 0."""
        if self.config.mode == "generative":
            return self.config.beta
        switch = round(self.config.switch * self.config.passes * self.config.iterations)
        if self.config.mode == "discriminative" or iteration < switch:
            return 0.0
        return self.config.beta * min(1.0, (iteration - switch + 1) / self.config.ramp)

    def end_pass(self, pass_number: int, run: RunFolder, progress: Progress) -> list[dict[str, Any]]:
        """Estimates γ² from the whole training set (section 3.1), then as every method."""
        train, model = self.splits.train, self.model
        total = torch.zeros((), dtype=torch.float64)
        with frozen(model), torch.no_grad():
            for rows in torch.split(torch.arange(len(train.labels)), VARIANCE_BATCH):
                (embedding,) = model.logits_and_features(to_unit(train.images[rows]), [EMBEDDING])[1]
                total += (embedding - model.centres[train.labels[rows]]).square().sum(dtype=torch.float64).cpu()
        model.variance.fill_(total / (len(train.labels) * self.config.dimension))
        return super().end_pass(pass_number, run, progress)
