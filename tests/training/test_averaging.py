# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Averaged weights: their profiles, and that a run is judged by them, saves them and goes on from the others."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.training import RunConfig
from stic_fast.training.averaging import AverageConfig, AveragedWeights
from stic_fast.training.config import check


def shares(config: AverageConfig, iterations: int) -> Any:
    """How much the weights of each iteration count in the end, by the decays."""
    counts = np.zeros(iterations)
    for iteration in range(1, iterations + 1):
        decay = config.decay(iteration)
        counts *= decay
        counts[iteration - 1] = 1 - decay
    return counts


@pytest.mark.parametrize("width", [0.05, 0.1, 0.2])
def test_the_power_profile_has_its_width_at_any_length(width: float) -> None:
    for iterations in (2_000, 8_000):
        counts = shares(AverageConfig("power", width=width), iterations)
        places = (np.arange(iterations) + 1) / iterations
        mean = (counts * places).sum()
        assert counts.sum() == pytest.approx(1)
        assert np.sqrt((counts * (places - mean) ** 2).sum()) == pytest.approx(width, rel=0.01)


def test_the_half_life_profile_halves_and_begins_as_a_mean() -> None:
    config = AverageConfig("half_life", half_life=50)
    counts = shares(config, 1_000)
    assert counts.sum() == pytest.approx(1)
    assert counts[-51] / counts[-1] == pytest.approx(0.5, rel=1e-6)
    assert shares(config, 20) == pytest.approx(np.full(20, 1 / 20))


def test_the_average_is_that_of_the_weights_seen() -> None:
    model = nn.Linear(3, 2)
    config = AverageConfig("power")
    average, seen = AveragedWeights(model, config), list[Tensor]()
    for iteration in range(1, 30):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3))
        average.update(iteration)
        seen.append(model.weight.detach().clone())
    expected = (torch.tensor(shares(config, 29), dtype=torch.float32).view(-1, 1, 1) * torch.stack(seen)).sum(0)
    with average.in_use():
        torch.testing.assert_close(model.weight.detach(), expected)
    assert torch.equal(model.weight, seen[-1])


def test_weights_come_back_after_an_error() -> None:
    model = nn.Linear(2, 2)
    average = AveragedWeights(model, AverageConfig("half_life"))
    nn.init.zeros_(model.weight)
    with pytest.raises(RuntimeError), average.in_use():
        raise RuntimeError
    assert torch.equal(model.weight, torch.zeros(2, 2))


AVERAGING = AverageConfig("power", width=0.2)


def test_a_run_is_saved_with_its_averages_and_goes_on_from_its_weights(toy: Any) -> None:
    model, _, _ = toy.train(toy.config(average=AVERAGING))
    plain, _, _ = toy.another().train()
    checkpoint, averages, own = toy.run.newest_checkpoint(), dict(model.named_parameters()), plain.named_parameters()
    weights, state = checkpoint.load_weights(), checkpoint.load_state()["weights"]
    assert weights.keys() == state.keys() == averages.keys()
    assert all(torch.equal(state[name], value) for name, value in own), "those that it would have without"
    assert all(torch.equal(weights[name], averages[name]) for name in weights)
    assert any(not torch.equal(weights[name], state[name]) for name in weights)


def test_passes_begin_and_end_with_the_averages(toy: Any) -> None:
    class Watching(toy.method):  # type: ignore[misc, name-defined]
        seen: ClassVar[list[Tensor]] = []

        def end_pass(self, *arguments: Any) -> Any:
            self.seen.append(next(self.model.parameters()).detach().clone())
            return super().end_pass(*arguments)

    toy.method = Watching
    toy.train(toy.config(average=AVERAGING))
    for seen, number in zip(Watching.seen, (1, 2), strict=True):
        saved = toy.run.end_of_pass(number).load_weights()
        assert torch.equal(seen, saved["module.0.weight"])


@pytest.mark.parametrize("stop", [1, 5, 9, 13])
def test_a_run_that_stops_goes_on_to_the_same_bits(toy: Any, stop: int) -> None:
    def interrupt(iteration: int, loss: Tensor) -> Tensor:
        if iteration == stop:
            raise KeyboardInterrupt
        return loss

    config, other = toy.config(average=AVERAGING), toy.another()
    whole, _, _ = other.train(config)
    with pytest.raises(KeyboardInterrupt):
        toy.train(config, spoil=interrupt)
    resumed, _, _ = toy.train(config)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    ours, theirs = (training.run.newest_checkpoint().load_state()["weights"] for training in (toy, other))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_state_without_the_weights_is_refused(toy: Any) -> None:
    average = AveragedWeights(toy.model(), AVERAGING)
    with pytest.raises(ValueError, match="its weights must hold"):
        average.load_state_dict({})
    with pytest.raises(ValueError, match="its weights"):
        average.load_state_dict({name: tensor.double() for name, tensor in average.state_dict().items()})


def test_settings_out_of_their_range_are_refused() -> None:
    with pytest.raises(InputError, match=r"average\.width must be from"):
        check(dataclasses.replace(RunConfig(), average=AverageConfig("power", width=0.5)))
