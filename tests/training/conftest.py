# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the training tests share: runs that take a third of a second, and a toy method for the engine."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.data import ImageSet, Splits
from stic_fast.models import Classifier, wrap
from stic_fast.sampling import GRMALA, Adam, AnnealedGRMALA
from stic_fast.training import (
    AugmentationConfig,
    Engine,
    GmmcConfig,
    IcnConfig,
    IgmConfig,
    InnConfig,
    JemConfig,
    Loss,
    NetworkConfig,
    OptimiserConfig,
    PoolConfig,
    Progress,
    ReplayConfig,
    RunConfig,
    RunFolder,
    ScoreSticConfig,
    SoftmaxConfig,
    SticConfig,
    WinnConfig,
)
from stic_fast.training.averaging import AverageConfig
from stic_fast.training.config import DiscriminatorConfig, ScoreNetworkConfig
from stic_fast.training.igm import NegativesConfig, PatchConfig
from stic_fast.training.replay import ReplayRunConfig
from stic_fast.training.score_stic import FakesConfig, ScoreConfig


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


@pytest.fixture(scope="session")
def tiny() -> SticConfig:
    """Two passes of six iterations on the digits, a checkpoint after every second one, a pool of eight chains."""
    return SticConfig(
        passes=2,
        iterations=6,
        batch_size=8,
        network=NetworkConfig(depth=10, width=1),
        pool=PoolConfig(chains=8, batch_size=8, sampler=GRMALA(steps=2)),
        sampler=GRMALA(steps=1),
        log_every=2,
        checkpoint_every=2,
    )


@pytest.fixture(scope="session")
def tiny_softmax(tiny: SticConfig) -> SoftmaxConfig:
    """The same run of a plain classifier."""
    shared = {field.name: getattr(tiny, field.name) for field in dataclasses.fields(RunConfig)}
    return SoftmaxConfig(**{**shared, "augmentation": AugmentationConfig(noise_std=0.03)})


@pytest.fixture(scope="session")
def tiny_jem(tiny_softmax: SoftmaxConfig) -> JemConfig:
    """The same run of JEM, with twenty chains of two steps."""
    sampler = GRMALA(steps=2, eps1=0.1, eps2=0.0, eps3=0.01)
    return JemConfig(**vars(tiny_softmax), pool=ReplayConfig(chains=20, restart_probability=0.3, sampler=sampler))


@pytest.fixture(scope="session")
def tiny_gmmc(tiny_jem: JemConfig) -> GmmcConfig:
    """The same run of GMMC, in sixteen dimensions."""
    shared = {field.name: getattr(tiny_jem, field.name) for field in dataclasses.fields(ReplayRunConfig)}
    return GmmcConfig(**shared, dimension=16, ramp=3)


@pytest.fixture(scope="session")
def tiny_score_stic() -> ScoreSticConfig:
    """The same run of Score-STIC, with eight fakes drawn in two steps."""
    return ScoreSticConfig(
        passes=2,
        iterations=6,
        batch_size=8,
        network=ScoreNetworkConfig(channels=(8, 16)),
        score=ScoreConfig(denoised=16),
        fakes=FakesConfig(images=8, batch_size=8, sampler=AnnealedGRMALA(steps=2)),
        sampler=AnnealedGRMALA(steps=2),
        log_every=2,
        checkpoint_every=2,
    )


@pytest.fixture(scope="session")
def tiny_igm() -> IgmConfig:
    """Two rounds of six iterations, by ten chains of seven steps."""
    return IgmConfig(
        data="digits",
        passes=2,
        iterations=6,
        batch_size=8,
        network=DiscriminatorConfig(channels=(8,)),
        patches=PatchConfig(side=7),
        negatives=NegativesConfig(chains=10, window=2),
        sampler=Adam(steps=7),
        log_every=2,
        checkpoint_every=2,
    )


def of_whole_images(kind: type[InnConfig], tiny: IgmConfig) -> InnConfig:
    """The same run of a method that reads labels and whole images."""
    shared = {field.name: getattr(tiny, field.name) for field in dataclasses.fields(RunConfig)}
    network = DiscriminatorConfig(channels=(8,), whole="on")
    return kind(**{**shared, "network": network}, negatives=tiny.negatives)


@pytest.fixture(scope="session")
def tiny_of(
    tiny: SticConfig,
    tiny_score_stic: ScoreSticConfig,
    tiny_softmax: SoftmaxConfig,
    tiny_jem: JemConfig,
    tiny_gmmc: GmmcConfig,
    tiny_igm: IgmConfig,
) -> dict[str, RunConfig]:
    """All of them by method."""
    return {
        "stic": tiny,
        "score-stic": tiny_score_stic,
        "softmax": tiny_softmax,
        "jem": tiny_jem,
        "gmmc": tiny_gmmc,
        "igm": tiny_igm,
        "inn": of_whole_images(InnConfig, tiny_igm),
        "icn": of_whole_images(IcnConfig, tiny_igm),
        "winn": dataclasses.replace(of_whole_images(WinnConfig, tiny_igm), networks=1),
    }


@pytest.fixture
def splits() -> Splits:
    """Forty images of noise in three classes."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(40) % 3
    names = ("a", "b", "c")
    return Splits(ImageSet(images[:30], labels[:30], names, "noise"), ImageSet(images[30:], labels[30:], names, "rest"))


@dataclass(frozen=True)
class ToyConfig:
    passes: int = 2
    iterations: int = 10
    optimiser: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(lr=0.1))
    average: AverageConfig = field(default_factory=AverageConfig)
    log_every: int = 2
    checkpoint_every: int = 4


class Toy:
    """Pulls every weight towards iteration-dependent targets; `spoil` may replace the loss."""

    curves = ()

    def __init__(
        self, model: Classifier, spoil: Callable[[int, Tensor], Tensor] = lambda iteration, loss: loss
    ) -> None:
        self.model, self.spoil = model, spoil
        self.calls: list[str] = []
        self.gradients: list[float] = []
        self.started = 0

    def parts(self) -> dict[str, Any]:
        return {"model": self.model.parameters()}

    def finished(self) -> bool:
        return False

    def start_pass(self, pass_number: int, progress: Progress) -> list[dict[str, Any]]:
        self.calls.append(f"start {pass_number}")
        self.started += 1
        return [{"kind": "started"}]

    def loss(self, iteration: int) -> Loss:
        self.calls.append(f"{iteration}")
        parameters = list(self.model.parameters())
        if parameters[0].grad is not None:
            norms = torch.stack([p.grad.norm() for p in parameters if p.grad is not None])
            self.gradients.append(float(norms.norm()))
        total = torch.stack([(p - math.sin(iteration)).square().sum() for p in parameters]).sum()
        total = self.spoil(iteration, total)
        return Loss(total, {"loss": total.detach()})

    def end_pass(self, pass_number: int, run: RunFolder, progress: Progress) -> list[dict[str, Any]]:
        self.calls.append(f"end {pass_number}")
        return [{"kind": "ended"}]

    def state_dict(self) -> dict[str, Any]:
        return {"started": self.started}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.started = state["started"]


class ToyTraining:
    """Makes toy models, and trains them into a run folder."""

    config = ToyConfig
    method = Toy

    def __init__(self, folder: Path) -> None:
        self.run = RunFolder.create(folder, "toy", {})

    def another(self) -> ToyTraining:
        """The same with a run folder of its own."""
        training = ToyTraining(self.run.path.with_name("another"))
        training.method = self.method
        return training

    def model(self, width: int = 3) -> Classifier:
        """Always the same weights."""
        torch.manual_seed(0)
        return wrap(nn.Sequential(nn.Linear(2, width), nn.Linear(width, 2)), gram_layers=[], num_classes=2)

    def train(self, config: ToyConfig | None = None, **options: Any) -> tuple[Classifier, Toy, list[dict[str, Any]]]:
        """From the newest checkpoint, or the beginning; returns what there is to look at."""
        model = self.model()
        method = self.method(model, **options)
        Engine(model, method, config or ToyConfig(), self.run).train()
        return model, method, self.run.read_metrics()


@pytest.fixture
def toy(tmp_path: Path) -> ToyTraining:
    return ToyTraining(tmp_path / "toy")
