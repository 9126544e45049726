# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A run that diverges goes back to its last good state with half the step, says so, and in the end gives up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.errors import Diverged, InputError
from stic_fast.training.engine import ROLLBACKS


def of_kind(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == kind]


def nan_at(*visits: tuple[int, int]) -> Callable[[int, Tensor], Tensor]:
    """NaN at the given (iteration, visit) pairs."""
    seen: dict[int, int] = {}

    def spoil(iteration: int, loss: Tensor) -> Tensor:
        seen[iteration] = seen.get(iteration, 0) + 1
        return loss * float("nan") if (iteration, seen[iteration]) in visits else loss

    return spoil


def once_at(iteration: int, change: Callable[[Tensor], Tensor]) -> Callable[[int, Tensor], Tensor]:
    """A loss that is changed the first time that an iteration is made."""
    left = [iteration]

    def spoil(now: int, loss: Tensor) -> Tensor:
        if now not in left:
            return loss
        left.remove(now)
        return change(loss)

    return spoil


def test_one_divergence_is_rolled_back_with_half_the_rate(toy: Any) -> None:
    _, method, records = toy.train(spoil=nan_at((5, 1)))
    # Checkpoints at 4 and 8, logs at even iterations: NaN at iteration 5 shows after iteration 6.
    # The state at 4 led there, so the run goes on from the one before it.
    assert method.calls[:10] == ["start 1", "0", "1", "2", "3", "4", "5", "start 1", "0", "1"]
    (divergence,) = of_kind(records, "divergence")
    why = {"why": "the loss is nan, beyond optimiser.largest_loss=1000"}
    assert divergence == {"pass": 0, "iteration": 0, "kind": "divergence", "at": 6, "rollbacks": 1, **why}
    train = of_kind(records, "train")
    assert [record["iteration"] for record in train] == list(range(2, 21, 2))
    assert [record["lr"] for record in train] == [0.05] * 10
    assert all(math.isfinite(record["loss"]) for record in train)
    assert toy.run.newest_checkpoint().load_state()["rollbacks"] == 1


def test_a_divergence_is_seen_before_a_checkpoint_is_written(toy: Any) -> None:
    _, method, records = toy.train(toy.config(log_every=100), spoil=nan_at((6, 1)))
    assert method.calls[5:12] == ["4", "5", "6", "7", "start 1", "0", "1"]
    assert of_kind(records, "divergence")[0]["at"] == 8
    assert all(torch.isfinite(w).all() for c in toy.run.checkpoints() for w in c.load_weights().values())


def test_a_divergence_back_to_the_pass_before_starts_the_pass_again(toy: Any) -> None:
    _, method, records = toy.train(spoil=nan_at((11, 1)))
    assert method.calls.count("start 2") == 2 and method.started == 2
    assert len(of_kind(records, "started")) == 2
    assert of_kind(records, "divergence")[0]["pass"] == 1


def test_weights_that_are_not_finite_count_as_a_divergence_too(toy: Any) -> None:
    """A finite loss with an infinite gradient: sqrt at zero."""
    visits: list[int] = []

    def spoil(iteration: int, loss: Tensor) -> Tensor:
        if iteration == 3 and not visits:
            visits.append(iteration)
            return loss.detach() + torch.sqrt((loss - loss.detach()).clamp_min(0))
        return loss

    _, _, records = toy.train(spoil=spoil)
    (divergence,) = of_kind(records, "divergence")
    assert divergence["at"] == 4 and divergence["iteration"] == 0


def test_repeated_divergences_are_all_logged_and_halve_each_time(toy: Any) -> None:
    _, _, records = toy.train(spoil=nan_at((5, 1), (5, 2), (13, 1)))
    assert [(r["rollbacks"], r["at"], r["iteration"]) for r in of_kind(records, "divergence")] == [
        (1, 6, 0),
        (2, 6, 0),
        (3, 14, 8),
    ]
    assert of_kind(records, "train")[-1]["lr"] == pytest.approx(0.1 / 8)


def test_a_run_that_keeps_diverging_gives_up_with_a_sentence(toy: Any) -> None:
    visits: list[int] = []

    def spoil(iteration: int, loss: Tensor) -> Tensor:
        if iteration < 7:
            return loss
        visits.append(iteration)
        return loss * float("inf")

    with pytest.raises(InputError) as caught:
        toy.train(spoil=spoil)
    message = str(caught.value)
    assert message.startswith(f"training diverged {ROLLBACKS + 1} times, last at iteration 8: the loss is inf, beyond ")
    assert "optimiser.clip_norm=1" in message and message.endswith("pass_001_iteration_000004")
    assert len(visits) == ROLLBACKS + 1
    assert toy.run.newest_checkpoint().load_state()["iteration"] == 4


def test_a_finite_loss_may_have_diverged_too(toy: Any) -> None:
    explodes = once_at(5, lambda loss: loss - 5000)
    _, _, records = toy.train(spoil=explodes)
    assert [record["at"] for record in of_kind(records, "divergence")] == [6]
    assert "beyond optimiser.largest_loss=1000" in of_kind(records, "divergence")[0]["why"]
    patient = toy.config(optimiser=replace(toy.config().optimiser, largest_loss=1e4))
    _, _, records = toy.another().train(patient, spoil=once_at(5, lambda loss: loss - 5000))
    assert not of_kind(records, "divergence")


def test_a_chain_that_diverges_is_rolled_back_too(toy: Any) -> None:
    def fail(loss: Tensor) -> Tensor:
        raise Diverged("3 of 8 chains diverged to NaN")

    _, method, records = toy.train(spoil=once_at(5, fail))
    (divergence,) = of_kind(records, "divergence")
    assert (divergence["at"], divergence["why"]) == (5, "3 of 8 chains diverged to NaN")
    assert method.calls[6:10] == ["5", "start 1", "0", "1"]


def test_without_the_guard_a_divergence_ends_the_run(toy: Any) -> None:
    unguarded = toy.config(optimiser=replace(toy.config().optimiser, guard="off"))
    with pytest.raises(InputError, match=r"iteration 6.*nan.*optimiser\.guard"):
        toy.train(unguarded, spoil=nan_at((5, 1)))
    assert toy.run.newest_checkpoint().load_state()["iteration"] == 4


def test_a_resumed_run_remembers_its_halved_rate(toy: Any) -> None:
    spoil = nan_at((5, 1))

    def interrupt(iteration: int, loss: Tensor) -> Tensor:
        if iteration == 13:
            raise KeyboardInterrupt
        return spoil(iteration, loss)

    with pytest.raises(KeyboardInterrupt):
        toy.train(spoil=interrupt)
    _, _, records = toy.train()
    assert [record["lr"] for record in of_kind(records, "train")[2:]] == [0.05] * 8
    assert len(of_kind(records, "divergence")) == 1


def test_records_are_json_a_strict_reader_takes(toy: Any) -> None:
    toy.train(spoil=nan_at((5, 1)))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    for line in (toy.run.path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)
