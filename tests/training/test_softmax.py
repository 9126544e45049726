# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The plain classifier descends cross-entropy, draws nothing while it trains, and learns."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import torch

from stic_fast.data import Splits
from stic_fast.sampling import LogPosterior
from stic_fast.training import OptimiserConfig, Progress, Softmax, SoftmaxConfig, build_network, train


def test_the_loss_is_cross_entropy(tiny_softmax: SoftmaxConfig, splits: Splits) -> None:
    model = build_network(tiny_softmax, splits)
    method = Softmax(model, splits, tiny_softmax)
    assert (model.num_logits, model.has_fake_class) == (3, False)
    assert method.start_pass(2, Progress()) == []
    loss = method.loss(4)

    x, y = method.real.draw(0, 4)
    exact = copy.deepcopy(model).double()
    logits = exact(x.double())
    by_hand = -torch.stack([row[label].exp().div(row.exp().sum()).log() for row, label in zip(logits, y.argmax(1))])  # noqa: B905
    torch.testing.assert_close(loss.total.double(), by_hand.mean(), rtol=1e-5, atol=1e-5)
    assert torch.equal(loss.terms["loss"], loss.total.detach())
    hits = (logits.argmax(1) == y.argmax(1)).float().mean()
    assert torch.equal(loss.terms["accuracy"], hits) and list(loss.terms) == ["loss", "accuracy"]
    ours = torch.autograd.grad(loss.total, list(model.parameters()))
    theirs = torch.autograd.grad(by_hand.mean(), list(exact.parameters()))
    for gradient, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient.double(), expected, rtol=1e-3, atol=1e-5)


def test_it_draws_nothing_while_it_trains(tiny_softmax: SoftmaxConfig, splits: Splits) -> None:
    method = Softmax(build_network(tiny_softmax, splits), splits, tiny_softmax)
    method.loss(0)
    assert method.pool is None and method.state_dict()["pool"] is None
    (stage,) = method.recipe.stages
    assert isinstance(stage.objective, LogPosterior) and stage.sampler == tiny_softmax.sampler


def test_thirty_iterations_on_the_digits_learn(tiny_softmax: SoftmaxConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(
        tiny_softmax, passes=1, iterations=30, batch_size=32, log_every=1, optimiser=OptimiserConfig(lr=3e-3)
    )
    records = train(config, tmp_path / "run").folder.read_metrics()
    losses = [record["loss"] for record in records if record["kind"] == "train"]
    assert sum(losses[-3:]) < 0.5 * sum(losses[:3])
    assert records[-1]["test_accuracy"] > 0.6, "chance is 0.1"
