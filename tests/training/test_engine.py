# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The engine with a toy method: steps, logs, checkpoints, resume, and weights that do not fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import Classifier
from stic_fast.training import Engine, OptimiserConfig, Progress
from stic_fast.training.engine import load_weights


def of_kind(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == kind]


def same_weights(a: Classifier, b: Classifier) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_steps_are_adams(toy: Any) -> None:
    model, method, _ = toy.train()
    plain = toy.model()
    adam = torch.optim.Adam(plain.parameters(), lr=0.1)
    for iteration in range(20):
        adam.zero_grad()
        torch.stack([(p - math.sin(iteration)).square().sum() for p in plain.parameters()]).sum().backward()
        adam.step()
    assert same_weights(model, plain)
    assert method.calls == [
        *["start 1", *map(str, range(10)), "end 1"],
        *["start 2", *map(str, range(10, 20)), "end 2"],
    ]


def test_what_is_logged_when(toy: Any) -> None:
    _, _, records = toy.train(toy.config(log_every=4))
    assert [(r["pass"], r["iteration"], r["kind"]) for r in records] == [
        (1, 0, "started"),
        *[(1, iteration, "train") for iteration in (4, 8, 10)],
        (1, 10, "ended"),
        (2, 10, "started"),
        *[(2, iteration, "train") for iteration in (12, 16, 20)],
        (2, 20, "ended"),
    ]
    assert all(r["loss"] > 0 and r["seconds"] >= 0 and r["lr"] == 0.1 for r in of_kind(records, "train"))


def test_the_learning_rate_decays(toy: Any) -> None:
    config = toy.config(optimiser=OptimiserConfig(lr=0.1, decay=0.5, decay_every=6), log_every=1)
    _, _, records = toy.train(config)
    # The record after iteration i tells the rate that iteration i - 1, counted from 0, was made with.
    rates = [record["lr"] for record in of_kind(records, "train")]
    assert rates == pytest.approx([0.1] * 6 + [0.05] * 6 + [0.025] * 6 + [0.0125] * 2)


def test_clipping(toy: Any) -> None:
    _, free, _ = toy.train()
    assert min(free.gradients) > 0.5
    _, clipped, _ = toy.another().train(toy.config(optimiser=OptimiserConfig(lr=0.1, clip_norm=0.5)))
    assert clipped.gradients == pytest.approx([0.5] * 19, rel=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision_and_mode_of_the_passes(toy: Any, precision: Any) -> None:
    seen: set[tuple[bool, bool]] = set()
    model = toy.model().eval()

    def spoil(iteration: int, loss: Tensor) -> Tensor:
        seen.add((torch.is_autocast_enabled("cpu"), model.training))
        return loss

    config = toy.config(passes=1, optimiser=OptimiserConfig(precision=precision))
    Engine(model, toy.method(model, spoil), config, toy.run).train()
    assert seen == {(precision == "bf16", True)}
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_checkpoints_and_progress(toy: Any) -> None:
    seen: list[tuple[str, int, int]] = []
    saved: list[str] = []

    class Watch(Progress):
        @contextmanager
        def task(self, description: str, total: int) -> Iterator[Callable[[], None]]:
            count = 0

            def advance() -> None:
                nonlocal count
                count += 1
                newest = toy.run.newest_checkpoint().path.name
                if newest not in saved:
                    saved.append(newest)

            yield advance
            seen.append((description, total, count))

    model = toy.model()
    Engine(model, toy.method(model), toy.config(), toy.run, Watch()).train()
    assert seen == [("pass 1 of 2", 10, 10), ("pass 2 of 2", 10, 10)]
    assert saved == [
        "pass_000",
        *["pass_001_iteration_000004", "pass_001_iteration_000008", "pass_001"],
        *["pass_002_iteration_000014", "pass_002_iteration_000018"],
    ]
    assert toy.run.newest_checkpoint().path.name == "pass_002"


@pytest.mark.parametrize("stop", [1, 4, 5, 9, 10, 11, 15])
def test_a_stopped_run_goes_on_to_the_same_weights(toy: Any, stop: int) -> None:
    whole, _, expected = toy.another().train()

    def interrupt(iteration: int, loss: Tensor) -> Tensor:
        if iteration == stop:
            raise KeyboardInterrupt
        return loss

    with pytest.raises(KeyboardInterrupt):
        toy.train(spoil=interrupt)
    model, method, records = toy.train()
    assert same_weights(model, whole)
    for record in (*records, *expected):
        record.pop("seconds", None)
    assert records == expected
    # The pass is begun anew only where no checkpoint lies within it; the method's own count tells once per pass.
    resumed_within = stop % 10 >= 4
    assert (method.calls[0].startswith("start")) != resumed_within
    assert method.started == 2


def test_a_finished_run_does_nothing_more(toy: Any) -> None:
    model, _, records = toy.train()
    again, method, more = toy.train()
    assert method.calls == [] and more == records and same_weights(again, model)


def test_weights_of_another_model(toy: Any) -> None:
    toy.train()
    wider = toy.model(width=5)
    with pytest.raises(InputError) as caught:
        Engine(wider, toy.method(wider), toy.config(), toy.run).train()
    message = str(caught.value)
    assert "pass_002 is of another model: module.0.bias has shape (3,) there and (5,) in the configured" in message
    assert message.endswith("use the config.json that belongs to these weights")


def test_weights_that_are_missing_or_too_many(toy: Any) -> None:
    model = toy.model()
    weights = dict(model.state_dict())
    extra = {**weights, "third.weight": torch.zeros(1)}
    with pytest.raises(InputError, match=r"another model: third\.weight"):
        load_weights(model, extra, "there")
    del weights["module.1.bias"]
    with pytest.raises(InputError, match=r"module.1.bias has shape None there and \(2,\)"):
        load_weights(model, weights, "there")
