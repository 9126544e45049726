# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""GMMC's loss is equations 5 and 7, its γ² the paper's estimate, its β as each mode has it, and it learns."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.data import Splits, load
from stic_fast.errors import InputError
from stic_fast.models import MaxMahalanobisClassifier
from stic_fast.sampling import LatentGaussian
from stic_fast.training import Gmmc, GmmcConfig, OptimiserConfig, Progress, RunFolder, build_network, gmmc, train
from stic_fast.training.config import check

ITERATION = 3


def method_of(config: GmmcConfig, splits: Splits) -> Gmmc:
    return Gmmc(build_network(config, splits), splits, config)


def energies(model: MaxMahalanobisClassifier, x: Tensor, classes: Tensor) -> Tensor:
    """‖φ(x) − μ_y‖²/2, image by image."""
    return torch.stack(
        [(model.network(x[i : i + 1])[0] - model.centres[classes[i]]).square().sum() / 2 for i in range(len(x))]
    )


@pytest.mark.parametrize("beta", [0.5, 0.0])
def test_the_loss_is_equation_7_and_without_beta_equation_5(tiny_gmmc: GmmcConfig, splits: Splits, beta: float) -> None:
    config = dataclasses.replace(tiny_gmmc, beta=beta)
    method, other = method_of(config, splits), method_of(config, splits)
    exact = copy.deepcopy(other.model).double()
    x, y = other.real.draw(0, ITERATION)
    real = energies(exact, x.double(), y.argmax(1)).mean()
    expected, terms = real, {"energy_real": real}
    if beta:
        drawn, asked = other.negatives(ITERATION)
        terms["energy_fake"] = energies(exact, drawn.double(), asked).mean()
        expected = real - beta * terms["energy_fake"]
    loss = method.loss(ITERATION)
    assert set(loss.terms) == {"loss", "accuracy", "variance", *terms}
    for name, value in {**terms, "loss": expected}.items():
        torch.testing.assert_close(loss.terms[name].double(), value.detach(), rtol=1e-5, atol=1e-5)
    hits = (exact(x.double()).argmax(1) == y.argmax(1)).float().mean()
    assert torch.equal(loss.terms["accuracy"], hits)
    assert not any(term.requires_grad for term in loss.terms.values())

    ours = torch.autograd.grad(loss.total, list(method.model.parameters()))
    theirs = torch.autograd.grad(expected, list(exact.parameters()))
    for mine, gradient in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.double(), gradient, rtol=1e-3, atol=1e-5)
    assert (method.pool is None) == (beta == 0), "without a weight nothing is drawn"


def test_the_chains_are_those_of_section_3_2(tiny_gmmc: GmmcConfig, splits: Splits) -> None:
    for sampling in ("staged", "injected"):
        method = method_of(dataclasses.replace(tiny_gmmc, sampling=sampling), splits)
        for recipe, sampler in ((method.recipe, tiny_gmmc.sampler), (method.new_pool().recipe, tiny_gmmc.pool.sampler)):
            (stage,) = recipe.stages
            assert isinstance(stage.objective, LatentGaussian) and stage.objective.model is method.model
            assert stage.objective.renews_targets == (sampling == "injected") and stage.sampler == sampler


@pytest.mark.parametrize(
    ("mode", "options", "expected"),
    [
        ("discriminative", {}, [0.0] * 12),
        ("generative", {}, [0.6] * 12),
        ("generative", {"beta": 0.0}, [0.0] * 12),
        ("joint", {}, [0.0] * 6 + [0.2, 0.4, 0.6, 0.6, 0.6, 0.6]),
        ("joint", {"switch": 0.75, "ramp": 1}, [0.0] * 9 + [0.6] * 3),
        ("joint", {"switch": 0.0, "ramp": 6}, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]),
        ("joint", {"switch": 1.0}, [0.0] * 12),
    ],
)
def test_beta_in_every_mode(
    tiny_gmmc: GmmcConfig, splits: Splits, mode: Any, options: dict[str, Any], expected: list[float]
) -> None:
    """Two passes of six iterations; β = 0.6, the switch after half of them and a ramp of three unless told."""
    config = dataclasses.replace(tiny_gmmc, mode=mode, **{"beta": 0.6, **options})
    method = method_of(config, splits)
    assert [method.beta(iteration) for iteration in range(12)] == pytest.approx(expected)


def test_a_pool_is_made_where_it_is_first_needed(tiny_gmmc: GmmcConfig, splits: Splits) -> None:
    discriminative = method_of(dataclasses.replace(tiny_gmmc, mode="discriminative"), splits)
    joint = method_of(dataclasses.replace(tiny_gmmc, mode="joint"), splits)
    for iteration in range(12):
        assert "energy_fake" not in discriminative.loss(iteration).terms and discriminative.pool is None
        assert ("energy_fake" in joint.loss(iteration).terms) == (joint.pool is not None) == (iteration >= 6)
    assert discriminative.state_dict()["pool"] is None
    assert joint.pool is not None and joint.pool.steps_done == 6 * 2


def test_the_running_estimate_of_the_variance(tiny_gmmc: GmmcConfig, splits: Splits) -> None:
    method = method_of(tiny_gmmc, splits)
    expected = 100 / 16
    assert float(method.model.variance) == expected
    for iteration in range(4):
        x, y = method.real.draw(0, iteration)
        exact = copy.deepcopy(method.model).double()
        of_batch = 2 * energies(exact, x.double(), y.argmax(1)).mean().item() / 16
        loss = method.loss(iteration)
        expected = 0.99 * expected + 0.01 * of_batch
        assert float(method.model.variance) == float(loss.terms["variance"]) == pytest.approx(expected, rel=1e-6)
        with torch.no_grad():
            for parameter in method.model.parameters():
                parameter.mul_(1.05)
    assert abs(expected - 100 / 16) > 5e-4


@pytest.mark.parametrize("batch", [500, 7, 1])
def test_the_variance_after_a_pass_is_that_of_the_training_set(
    tiny_gmmc: GmmcConfig, splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """γ² = (1/d)·(1/N)·Σ‖φ(x_i) − μ_i‖² over the images as they are, in float64 (section 3.1)."""
    monkeypatch.setattr(gmmc, "VARIANCE_BATCH", batch)
    method = method_of(tiny_gmmc, splits)
    method.model.train()
    (record,) = method.end_pass(1, RunFolder.create(tmp_path / "run", "gmmc", {}), Progress())
    exact, train_set = copy.deepcopy(method.model).double(), splits.train
    embeddings = exact.network(train_set.images.double() / 127.5 - 1)
    expected = (embeddings - exact.centres[train_set.labels]).square().sum().item() / len(train_set.labels) / 16
    assert float(method.model.variance) == pytest.approx(expected, rel=1e-6)
    assert record["kind"] == "evaluation" and (tmp_path / "run" / "samples" / "pass_001.png").exists()
    assert method.model.training and all(parameter.requires_grad for parameter in method.model.parameters())


def test_settings_that_cannot_work(tiny_gmmc: GmmcConfig, tmp_path: Path) -> None:
    for changes, message in (
        ({"beta": -0.1}, r"beta must be from 0 to 3e\+38, got -0.1"),
        ({"ramp": 0}, "ramp must be from 1"),
        ({"dimension": 0}, "dimension must be from 1"),
        ({"scale": 0.0}, r"scale must be from 1e-06 to 1e\+06, got 0.0"),
        ({"switch": 1.5}, "switch must be from 0 to 1, got 1.5"),
        ({"mode": "generativ"}, "mode cannot be 'generativ'; it must be Literal"),
        ({"sampling": "often"}, "sampling cannot be 'often'; it must be Literal"),
        ({"dimension": 8}, "10 classes do not fit into dimension=8; raise the dimension to 9 or more"),
    ):
        config = dataclasses.replace(tiny_gmmc, **changes)  # type: ignore[arg-type]
        if changes != {"dimension": 8}:
            with pytest.raises(InputError, match=message):
                check(config)
        with pytest.raises(InputError, match=message):
            train(config, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_the_network_has_as_many_outputs_as_the_embedding(tiny_gmmc: GmmcConfig) -> None:
    model = build_network(dataclasses.replace(tiny_gmmc, dimension=9, scale=2.0), load("digits"))
    assert isinstance(model, MaxMahalanobisClassifier)
    assert model.centres.shape == (10, 9) and model.network.num_logits == 9 and model.num_logits == 10
    torch.testing.assert_close(model.centres.norm(dim=1), torch.full((10,), 2.0))


@pytest.mark.parametrize("mode", ["discriminative", "generative", "joint"])
def test_forty_iterations_on_the_digits_learn(tiny_gmmc: GmmcConfig, tmp_path: Path, mode: Any) -> None:
    config = dataclasses.replace(
        tiny_gmmc, mode=mode, passes=1, iterations=40, batch_size=20, log_every=1, optimiser=OptimiserConfig(lr=3e-3)
    )
    records = train(config, tmp_path / "run").folder.read_metrics()
    found = [record["energy_real"] for record in records if record["kind"] == "train"]
    assert sum(found[-3:]) < 0.75 * sum(found[:3])
    assert records[-1]["test_accuracy"] > 0.5, "chance is 0.1"
