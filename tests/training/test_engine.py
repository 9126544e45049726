# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The engine with a toy method: steps, logs, checkpoints, resume, and what it does when training diverges."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import Classifier, wrap
from stic_fast.training import Engine, Loss, OptimiserConfig, Progress, RunFolder
from stic_fast.training.engine import ROLLBACKS, load_weights


@dataclass(frozen=True)
class ToyConfig:
    passes: int = 2
    iterations: int = 10
    optimiser: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(lr=0.1))
    log_every: int = 2
    checkpoint_every: int = 4


class Toy:
    """Pulls every weight towards iteration-dependent targets; `spoil` may replace the loss."""

    def __init__(
        self, model: Classifier, spoil: Callable[[int, Tensor], Tensor] = lambda iteration, loss: loss
    ) -> None:
        self.model, self.spoil = model, spoil
        self.calls: list[str] = []
        self.gradients: list[float] = []
        self.started = 0

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


def new_model(width: int = 3) -> Classifier:
    torch.manual_seed(0)
    return wrap(nn.Sequential(nn.Linear(2, width), nn.Linear(width, 2)), gram_layers=[], num_classes=2)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", "toy", {})


def trained(run: RunFolder, config: ToyConfig | None = None, **options: Any) -> tuple[Classifier, Toy, list[Any]]:
    model = new_model()
    method = Toy(model, **options)
    Engine(model, method, config or ToyConfig(), run).train()
    return model, method, run.read_metrics()


def of_kind(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == kind]


def nan_at(*visits: tuple[int, int]) -> Callable[[int, Tensor], Tensor]:
    """NaN at the given (iteration, visit) pairs."""
    seen: dict[int, int] = {}

    def spoil(iteration: int, loss: Tensor) -> Tensor:
        seen[iteration] = seen.get(iteration, 0) + 1
        return loss * float("nan") if (iteration, seen[iteration]) in visits else loss

    return spoil


def same_weights(a: Classifier, b: Classifier) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_steps_are_adams(run: RunFolder) -> None:
    model, method, _ = trained(run)
    plain = new_model()
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


def test_what_is_logged_when(run: RunFolder) -> None:
    _, _, records = trained(run, ToyConfig(log_every=4))
    assert [(r["pass"], r["iteration"], r["kind"]) for r in records] == [
        (1, 0, "started"),
        *[(1, iteration, "train") for iteration in (4, 8, 10)],
        (1, 10, "ended"),
        (2, 10, "started"),
        *[(2, iteration, "train") for iteration in (12, 16, 20)],
        (2, 20, "ended"),
    ]
    assert all(r["loss"] > 0 and r["seconds"] >= 0 and r["lr"] == 0.1 for r in of_kind(records, "train"))


def test_the_learning_rate_decays(run: RunFolder) -> None:
    config = ToyConfig(optimiser=OptimiserConfig(lr=0.1, decay=0.5, decay_every=6), log_every=1)
    _, _, records = trained(run, config)
    # The record after iteration i tells the rate that iteration i - 1, counted from 0, was made with.
    rates = [record["lr"] for record in of_kind(records, "train")]
    assert rates == pytest.approx([0.1] * 6 + [0.05] * 6 + [0.025] * 6 + [0.0125] * 2)


def test_clipping(run: RunFolder, tmp_path: Path) -> None:
    _, free, _ = trained(run)
    assert min(free.gradients) > 0.5
    other = RunFolder.create(tmp_path / "other", "toy", {})
    _, clipped, _ = trained(other, ToyConfig(optimiser=OptimiserConfig(lr=0.1, clip_norm=0.5)))
    assert clipped.gradients == pytest.approx([0.5] * 19, rel=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision_and_mode_of_the_passes(run: RunFolder, precision: Any) -> None:
    seen: set[tuple[bool, bool]] = set()
    model = new_model().eval()

    def spoil(iteration: int, loss: Tensor) -> Tensor:
        seen.add((torch.is_autocast_enabled("cpu"), model.training))
        return loss

    config = ToyConfig(passes=1, optimiser=OptimiserConfig(precision=precision))
    Engine(model, Toy(model, spoil), config, run).train()
    assert seen == {(precision == "bf16", True)}
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_checkpoints_and_progress(run: RunFolder) -> None:
    seen: list[tuple[str, int, int]] = []
    saved: list[str] = []

    class Watch(Progress):
        @contextmanager
        def task(self, description: str, total: int) -> Iterator[Callable[[], None]]:
            count = 0

            def advance() -> None:
                nonlocal count
                count += 1
                newest = run.newest_checkpoint().path.name
                if newest not in saved:
                    saved.append(newest)

            yield advance
            seen.append((description, total, count))

    model = new_model()
    Engine(model, Toy(model), ToyConfig(), run, Watch()).train()
    assert seen == [("pass 1 of 2", 10, 10), ("pass 2 of 2", 10, 10)]
    assert saved == [
        "pass_000",
        *["pass_001_iteration_000004", "pass_001_iteration_000008", "pass_001"],
        *["pass_002_iteration_000014", "pass_002_iteration_000018"],
    ]
    assert run.newest_checkpoint().path.name == "pass_002"


@pytest.mark.parametrize("stop", [1, 4, 5, 9, 10, 11, 15])
def test_a_stopped_run_goes_on_to_the_same_weights(run: RunFolder, tmp_path: Path, stop: int) -> None:
    whole, _, expected = trained(RunFolder.create(tmp_path / "whole", "toy", {}))

    def interrupt(iteration: int, loss: Tensor) -> Tensor:
        if iteration == stop:
            raise KeyboardInterrupt
        return loss

    with pytest.raises(KeyboardInterrupt):
        trained(run, spoil=interrupt)
    model, method, records = trained(run)
    assert same_weights(model, whole)
    for record in (*records, *expected):
        record.pop("seconds", None)
    assert records == expected
    # The pass is begun anew only where no checkpoint lies within it; the method's own count tells once per pass.
    resumed_within = stop % 10 >= 4
    assert (method.calls[0].startswith("start")) != resumed_within
    assert method.started == 2


def test_a_finished_run_does_nothing_more(run: RunFolder) -> None:
    model, _, records = trained(run)
    again, method, more = trained(run)
    assert method.calls == [] and more == records and same_weights(again, model)


def test_one_divergence_is_rolled_back_with_half_the_rate(run: RunFolder) -> None:
    _, method, records = trained(run, spoil=nan_at((5, 1)))
    # Checkpoints at 4 and 8, logs at even iterations: NaN at iteration 5 shows after iteration 6.
    assert method.calls[:12] == ["start 1", "0", "1", "2", "3", "4", "5", "4", "5", "6", "7", "8"]
    (divergence,) = of_kind(records, "divergence")
    assert divergence == {"pass": 1, "iteration": 4, "kind": "divergence", "at": 6, "rollbacks": 1}
    train = of_kind(records, "train")
    assert [record["iteration"] for record in train] == list(range(2, 21, 2))
    assert [record["lr"] for record in train] == [0.1, 0.1, *[0.05] * 8]
    assert all(math.isfinite(record["loss"]) for record in train)
    assert run.newest_checkpoint().load_state()["rollbacks"] == 1


def test_a_divergence_is_seen_before_a_checkpoint_is_written(run: RunFolder) -> None:
    _, method, records = trained(run, ToyConfig(log_every=100), spoil=nan_at((6, 1)))
    assert method.calls[5:12] == ["4", "5", "6", "7", "4", "5", "6"]
    assert of_kind(records, "divergence")[0]["at"] == 8
    assert all(torch.isfinite(w).all() for c in run.checkpoints() for w in c.load_weights().values())


def test_a_divergence_back_to_the_pass_before_starts_the_pass_again(run: RunFolder) -> None:
    _, method, records = trained(run, spoil=nan_at((11, 1)))
    assert method.calls.count("start 2") == 2 and method.started == 2
    assert len(of_kind(records, "started")) == 2
    assert of_kind(records, "divergence")[0]["pass"] == 1


def test_weights_that_are_not_finite_count_as_a_divergence_too(run: RunFolder) -> None:
    """A finite loss with an infinite gradient: sqrt at zero."""
    visits: list[int] = []

    def spoil(iteration: int, loss: Tensor) -> Tensor:
        if iteration == 3 and not visits:
            visits.append(iteration)
            return loss.detach() + torch.sqrt((loss - loss.detach()).clamp_min(0))
        return loss

    _, _, records = trained(run, spoil=spoil)
    (divergence,) = of_kind(records, "divergence")
    assert divergence["at"] == 4 and divergence["iteration"] == 0


def test_repeated_divergences_are_all_logged_and_halve_each_time(run: RunFolder) -> None:
    _, _, records = trained(run, spoil=nan_at((5, 1), (5, 2), (13, 1)))
    assert [(r["rollbacks"], r["at"], r["iteration"]) for r in of_kind(records, "divergence")] == [
        *[(1, 6, 4), (2, 6, 4)],
        (3, 14, 10),
    ]
    assert of_kind(records, "train")[-1]["lr"] == pytest.approx(0.1 / 8)


def test_a_run_that_keeps_diverging_gives_up_with_a_sentence(run: RunFolder) -> None:
    visits: list[int] = []

    def spoil(iteration: int, loss: Tensor) -> Tensor:
        if iteration < 7:
            return loss
        visits.append(iteration)
        return loss * float("inf")

    with pytest.raises(InputError) as caught:
        trained(run, spoil=spoil)
    message = str(caught.value)
    assert message.startswith(f"training diverged {ROLLBACKS + 1} times, last at iteration 8; lower optimiser.lr or")
    assert "optimiser.clip_norm=1" in message and message.endswith("pass_001_iteration_000004")
    assert len(visits) == ROLLBACKS + 1
    assert run.newest_checkpoint().load_state()["iteration"] == 4


def test_a_resumed_run_remembers_its_halved_rate(run: RunFolder) -> None:
    spoil = nan_at((5, 1))

    def interrupt(iteration: int, loss: Tensor) -> Tensor:
        if iteration == 13:
            raise KeyboardInterrupt
        return spoil(iteration, loss)

    with pytest.raises(KeyboardInterrupt):
        trained(run, spoil=interrupt)
    _, _, records = trained(run)
    assert [record["lr"] for record in of_kind(records, "train")[2:]] == [0.05] * 8
    assert len(of_kind(records, "divergence")) == 1


def test_records_are_json_a_strict_reader_takes(run: RunFolder) -> None:
    trained(run, spoil=nan_at((5, 1)))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    for line in (run.path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_weights_of_another_model(run: RunFolder) -> None:
    trained(run)
    wider = new_model(width=5)
    with pytest.raises(InputError) as caught:
        Engine(wider, Toy(wider), ToyConfig(), run).train()
    message = str(caught.value)
    assert "pass_002 is of another model: module.0.bias has shape (3,) there and (5,) in the configured" in message
    assert message.endswith("use the config.json that belongs to these weights")


def test_weights_that_are_missing_or_too_many() -> None:
    model = new_model()
    weights = dict(model.state_dict())
    extra = {**weights, "third.weight": torch.zeros(1)}
    with pytest.raises(InputError, match=r"there is of another model: third.weight has shape \(1,\) there and None"):
        load_weights(model, extra, "there")
    del weights["module.1.bias"]
    with pytest.raises(InputError, match=r"module.1.bias has shape None there and \(2,\)"):
        load_weights(model, weights, "there")
