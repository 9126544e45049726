# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""JEM's terms against sums written out in float64, its gradient against contrastive divergence, and that it learns."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from stic_fast.data import Splits
from stic_fast.errors import InputError
from stic_fast.models import Classifier
from stic_fast.sampling import GRMALA, ChainPool, LogJoint, LogMarginal, PixelSpace
from stic_fast.training import Jem, JemConfig, OptimiserConfig, build_network, train
from stic_fast.training.config import check
from stic_fast.training.jem import DensityWeights

ITERATION = 3


def weighted(config: JemConfig, class_given_image: float, image: float, joint: float) -> JemConfig:
    return dataclasses.replace(config, weights=DensityWeights(class_given_image, image, joint))


def method_of(config: JemConfig, splits: Splits) -> Jem:
    return Jem(build_network(config, splits), splits, config)


class Batch(NamedTuple):
    """What an iteration sees, and the network in float64."""

    exact: Classifier
    x: Tensor
    classes: Tensor
    drawn: Tensor
    asked: Tensor


def batch_of(config: JemConfig, splits: Splits) -> Batch:
    """By another method of the same configuration, whose chains run as the first one's."""
    other = method_of(config, splits)
    x, y = other.real.draw(0, ITERATION)
    drawn, asked = other.negatives(ITERATION)
    return Batch(copy.deepcopy(other.model).double(), x.double(), y.argmax(1), drawn.double(), asked)


def log_sum_exp(row: list[float]) -> float:
    return math.log(sum(math.exp(value) for value in row))


@pytest.mark.parametrize("weights", [(1.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.5, 0.25, 2.0), (0.0, 0.7, 0.0)], ids=str)
def test_the_terms_by_hand(tiny_jem: JemConfig, splits: Splits, weights: tuple[float, float, float]) -> None:
    config = weighted(tiny_jem, *weights)
    method, batch = method_of(config, splits), batch_of(config, splits)
    loss = method.loss(ITERATION)
    real, fake = batch.exact(batch.x).tolist(), batch.exact(batch.drawn).tolist()
    classes, asked = batch.classes.tolist(), batch.asked.tolist()
    sums: dict[str, tuple[float, list[float], list[float]]] = {
        "loss_class": (weights[0], [log_sum_exp(r) - r[c] for r, c in zip(real, classes, strict=True)], [0.0]),
        "loss_image": (weights[1], [-log_sum_exp(r) for r in real], [log_sum_exp(r) for r in fake]),
        "loss_joint": (
            weights[2],
            [-r[c] for r, c in zip(real, classes, strict=True)],
            [r[c] for r, c in zip(fake, asked, strict=True)],
        ),
    }
    expected = {
        name: weight * (sum(ours) / len(ours) + sum(theirs) / len(theirs))
        for name, (weight, ours, theirs) in sums.items()
        if weight
    }
    assert list(loss.terms) == ["loss", *expected, "energy_real", "energy_fake", "accuracy"]
    for name, value in expected.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=1e-5, abs=1e-5), name
    assert loss.total.item() == loss.terms["loss"].item() == pytest.approx(sum(expected.values()), rel=1e-5, abs=1e-5)
    energies = [-sum(map(log_sum_exp, rows)) / len(rows) for rows in (real, fake)]
    assert [loss.terms[f"energy_{kind}"].item() for kind in ("real", "fake")] == pytest.approx(energies, rel=1e-5)
    hits = [row.index(max(row)) == label for row, label in zip(real, classes, strict=True)]
    assert loss.terms["accuracy"].item() == pytest.approx(sum(hits) / 8)
    assert loss.total.requires_grad and not any(term.requires_grad for term in loss.terms.values())


@pytest.mark.parametrize("term", ["image", "joint"])
def test_the_gradient_is_that_of_contrastive_divergence(tiny_jem: JemConfig, splits: Splits, term: str) -> None:
    """∂(−log p)/∂θ = mean over chains of ∂f/∂θ − mean over real images of ∂f/∂θ, f the log-density that is not
    normalised (GMMC, equation 2); through the chains themselves nothing is differentiated."""
    config = weighted(tiny_jem, 0.0, float(term == "image"), float(term == "joint"))
    method, batch = method_of(config, splits), batch_of(config, splits)
    parameters = list(batch.exact.parameters())

    def gradient(x: Tensor, classes: Tensor) -> list[Tensor]:
        total = [torch.zeros_like(parameter) for parameter in parameters]
        for image, label in zip(x, classes, strict=True):
            logits = batch.exact(image[None])[0]
            density = logits.exp().sum().log() if term == "image" else logits[label]
            for sum_of, part in zip(total, torch.autograd.grad(density, parameters), strict=True):
                sum_of += part / len(x)
        return total

    expected = zip(gradient(batch.drawn, batch.asked), gradient(batch.x, batch.classes), strict=True)
    ours = torch.autograd.grad(method.loss(ITERATION).total, list(method.model.parameters()))
    for mine, (fake, real) in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine.double(), fake - real, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize(
    ("weights", "objective"), [((1, 1, 0), LogMarginal), ((0, 0, 1), LogJoint), ((1, 1, 1), LogJoint)], ids=str
)
def test_what_the_chains_climb(tiny_jem: JemConfig, splits: Splits, weights: Any, objective: type) -> None:
    method = method_of(weighted(tiny_jem, *weights), splits)
    (stage,), (finished,) = method.new_pool().recipe.stages, method.recipe.stages
    assert type(stage.objective) is objective and stage.sampler == tiny_jem.pool.sampler
    assert type(finished.objective) is LogJoint, "finished images are drawn by class"
    assert finished.sampler == tiny_jem.sampler and method.recipe.space == PixelSpace(canvas=tiny_jem.pool.start)


def test_a_classifier_alone_runs_no_chains(
    tiny_jem: JemConfig, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChainPool, "__init__", None)
    method = method_of(weighted(tiny_jem, 2.0, 0.0, 0.0), splits)
    loss = method.loss(ITERATION)
    assert list(loss.terms) == ["loss", "loss_class", "accuracy"] and method.pool is None
    x, y = method.real.draw(0, ITERATION)
    expected = 2 * torch.nn.functional.cross_entropy(method.model(x), y.argmax(1))
    torch.testing.assert_close(loss.total, expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((0.0, 0.0, 0.0), "all weights are 0, so there is nothing to learn; give weights.image or another a weight"),
        ((1.0, -0.5, 0.0), r"weights.image must be from 0 to 3e\+38, got -0.5"),
        ((1.0, 1.0, math.nan), r"weights.joint must be from 0 to 3e\+38, got nan"),
        ((math.inf, 1.0, 0.0), r"weights.class_given_image must be from 0 to 3e\+38, got inf"),
    ],
)
def test_weights_that_cannot_work(tiny_jem: JemConfig, tmp_path: Path, weights: Any, message: str) -> None:
    config = weighted(tiny_jem, *weights)
    with pytest.raises(InputError, match=message):
        check(config)
    with pytest.raises(InputError, match=message):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_thirty_iterations_on_the_digits_learn(tiny_jem: JemConfig, tmp_path: Path) -> None:
    sampler = GRMALA(steps=5, eps1=1.0, eps2=0.0, eps3=0.01)
    config = dataclasses.replace(
        weighted(tiny_jem, 1.0, 0.3, 0.0),
        pool=dataclasses.replace(tiny_jem.pool, chains=100, sampler=sampler),
        passes=1,
        iterations=30,
        batch_size=20,
        log_every=1,
        optimiser=OptimiserConfig(lr=2e-3),
    )
    records = train(config, tmp_path / "run").folder.read_metrics()
    losses = [record["loss_class"] for record in records if record["kind"] == "train"]
    assert sum(losses[-3:]) < 0.6 * sum(losses[:3])
    assert records[-1]["test_accuracy"] > 0.5, "chance is 0.1"
