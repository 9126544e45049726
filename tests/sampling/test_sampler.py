# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Both samplers have one face: a run, a single step, a classifier or a density, an end of a leg, stages in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import Diverged, InputError
from stic_fast.models import Classifier, WideResNet, wrap
from stic_fast.pixels import to_unit
from stic_fast.sampling import (
    GRMALA,
    MALA,
    ChainState,
    Climb,
    Condition,
    GramRegulariser,
    LogJoint,
    LogPosterior,
    Network,
    Objective,
    PixelSpace,
    Recipe,
    Sampler,
    Stage,
    Steps,
    Stop,
    Time,
    continue_chains,
    draw_hard,
)

SAMPLERS: dict[str, Sampler[Any]] = {
    "GRMALA": GRMALA(steps=5, eps1=0.3, eps3=0.1, schedule="linear"),
    "MALA": MALA(steps=5, eps1=0.01),
    "MALA uncorrected": MALA(steps=5, eps1=0.01, correct=False),
}
IDS = torch.tensor([5, 0, 77, 2, 1, 9])


def standard_normal(x: Tensor) -> Tensor:
    return -x.square().flatten(1).sum(1) / 2


@pytest.mark.parametrize("name", SAMPLERS)
def test_steps_one_by_one_are_the_run(name: str, net: WideResNet, start: Tensor, target: Tensor) -> None:
    sampler, seen = SAMPLERS[name], list[ChainState]()
    options: dict[str, Any] = {"seed": 3, "objective": LogJoint(), "first_step": 4, "chain_ids": IDS}

    def remember(state: ChainState) -> None:
        seen.append(state._replace(x=state.x.clone()))

    run = sampler.run(net, start, target, **options, on_step=remember)
    state = sampler.init(net, start, target, **options)
    for number, told in enumerate(seen, 5):
        before = state.x.clone()
        after = sampler.step(state)
        assert torch.equal(state.x, before), "the state that is given stays as it is"
        state = after
        assert state.step == told.step == number and torch.equal(state.x, told.x)
    assert torch.equal(state.x, run.x) and all(p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_density_of_ones_own(name: str) -> None:
    sampler, start = SAMPLERS[name], torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    result = sampler.run(standard_normal, start, seed=0, trace_every=2)
    assert result.x.shape == (40, 3) and not torch.equal(result.x, start)
    assert [record.step for record in result.trace] == [0, 2, 4]
    assert result.trace[0].logp == pytest.approx(float(standard_normal(start).mean()))
    assert result.trace[0].grad_logp_norm == pytest.approx(float(start.norm(dim=1).mean()))
    with pytest.raises(InputError, match="objective"):
        sampler.run(standard_normal, start, seed=0, objective=LogJoint())
    with pytest.raises(InputError, match="log-density"):
        sampler.run(lambda x: x.sum(), start, seed=0)


def test_langevin_steps_of_a_density_reach_its_law() -> None:
    """Without the Metropolis step and the box: unadjusted Langevin dynamics, whose variance is 1/(1 − ε/2)."""
    sampler = GRMALA(steps=200, eps1=0.1, eps2=0.0, eps3=0.2**0.5, clamp=None)
    x = sampler.run(standard_normal, torch.zeros(20_000, 1), seed=1).x
    assert float(x.var()) == pytest.approx(1 / 0.95, rel=0.05) and abs(float(x.mean())) < 0.05


def test_mala_samples_what_a_classifier_gives(start: Tensor) -> None:
    """f(x)_y = −‖x − m_y‖²/2, so p(x|y) is a normal around m_y."""

    class Normals(nn.Module):
        centres = torch.tensor([[2.0, 0.0], [0.0, -1.0]])

        def forward(self, x: Tensor) -> Tensor:
            return -(x[:, None] - self.centres).square().sum(2) / 2

    model, asked = wrap(Normals(), gram_layers=[], num_classes=2), torch.arange(8000) % 2
    result = MALA(steps=80, eps1=0.3).run(model, torch.zeros(8000, 2), asked, seed=2, objective=LogJoint())
    for label in range(2):
        drawn = result.x[asked == label]
        assert bool(((drawn.mean(0) - Normals.centres[label]).abs() < 0.1).all())
        assert bool(((drawn.var(0) - 1).abs() < 0.15).all())
    assert 0.5 < float(result.acceptance.mean()) < 1


def test_what_a_sampler_cannot_run(net: WideResNet, start: Tensor, target: Tensor) -> None:
    gram = GramRegulariser.from_images(net, start)
    with pytest.raises(InputError, match="Gram"):
        MALA(steps=1, eps1=0.1).run(net, start, target, seed=0, gram=gram)
    with pytest.raises(InputError, match="target"):
        GRMALA(steps=1).run(net, start, seed=0)

    def cliff(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 1, torch.nan, 1e30) * x[:, 0]

    for sampler in (GRMALA(steps=3, eps1=1e30, eps2=0.0, clamp=None), MALA(steps=3, eps1=1e30, correct=False)):
        with pytest.raises(Diverged, match="eps1"):
            sampler.run(cliff, torch.zeros(4, 1), seed=0)


class Score(Objective):
    """A standard normal that is blurred by σ: its score is known, its density is not asked for."""

    def __init__(self, knows_logp: bool = False) -> None:
        self.knows_logp, self.times = knows_logp, list[Time]()

    def climb(self, network: Network, x: Tensor, target: Tensor, time: Time) -> Climb:
        self.times.append(time)
        variance = 1 + (time.sigma or 0.0) ** 2
        logp = -x.detach().square().flatten(1).sum(1) / (2 * variance) if self.knows_logp else None
        return Climb(-x / variance, logp)


def test_an_objective_that_knows_its_direction(net: WideResNet, start: Tensor, target: Tensor) -> None:
    steps, objective = Steps(3, 0.5, sigma=[2.0, 1.0, 0.0]), Score()
    calls: list[int] = []
    net.stem.register_forward_hook(lambda *_: calls.append(1))
    result = GRMALA().run(net, start, target, seed=0, objective=objective, steps=steps, trace_every=1)
    expected = start * (1 - 0.5 / 5) * (1 - 0.5 / 2) * (1 - 0.5)
    torch.testing.assert_close(result.x, expected, rtol=0, atol=1e-12)
    assert objective.times == [(0, 2.0), (1, 1.0), (2, 0.0)]
    assert calls == [] and result.trace[0].logp == 0, "no pass of the network, and no log p"
    assert result.trace[0].grad_logp_norm == pytest.approx(float((start / 5).flatten(1).norm(dim=1).mean()))
    with pytest.raises(InputError, match="log p"):
        MALA(steps=1, eps1=0.1).run(net, start, target, seed=0, objective=Score())
    with pytest.raises(InputError, match="stop"):
        GRMALA(steps=1).run(net, start, target, seed=0, objective=Score(), stop=Stop())


def test_a_known_direction_beside_a_gram_term(net: WideResNet, start: Tensor, target: Tensor) -> None:
    gram = GramRegulariser.from_images(net, start.flip(0))
    sampler = GRMALA(steps=1, eps1=0.2, eps2=0.6, eps3=0.0, clamp=None)
    with_both = sampler.run(net, start, target, seed=0, gram=gram, objective=Score()).x
    x = start.clone().requires_grad_(True)
    features = net.logits_and_features(x, gram.layers)[1]
    (downhill,) = torch.autograd.grad(gram(features).sum(), x)
    torch.testing.assert_close(with_both, start - 0.2 * start - 0.6 * downhill, rtol=0, atol=1e-12)


class Level(Classifier):
    """A network that is told a noise level, as those of score matching are."""

    def __init__(self) -> None:
        super().__init__(num_classes=3, has_fake_class=False, layer_names=[], gram_layers=[])

    def forward_keeping(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        return x.flatten(1)[:, :3], {}


class AtLevel(LogJoint):
    def outputs(self, network: Network, x: Tensor, layers: Sequence[str], time: Time) -> tuple[Tensor, list[Tensor]]:
        logits, features = network(x, layers)
        assert time.sigma is not None
        return logits * time.sigma, features


def test_an_objective_of_one_noise_level(start: Tensor, target: Tensor) -> None:
    steps = Steps(2, 1.0, sigma=[0.25, 0.125])
    x = GRMALA(clamp=None).run(Level(), start, target, seed=0, objective=AtLevel(), steps=steps).x
    expected = start.clone()
    expected.view(6, -1)[torch.arange(6), target] += 0.375
    torch.testing.assert_close(x, expected)


@pytest.mark.parametrize("window", [1, 3])
def test_a_chain_that_has_arrived_stays(window: int) -> None:
    """log p is −|x|, read as it is; every step moves a chain by 1/4 towards 0."""

    def run(rows: slice, count: list[int]) -> Tensor:
        stop = Stop(level=-0.6, window=window, reading=lambda logp: logp)
        sampler = GRMALA(steps=40, eps1=0.25, eps2=0.0, eps3=0.0, clamp=None)
        start = torch.tensor([[0.5], [1.0], [2.0]])[rows]
        return sampler.run(lambda x: -x.abs().sum(1), start, seed=0, stop=stop, on_step=lambda _: count.append(1)).x

    count: list[int] = []
    x = run(slice(None), count)
    wanted = {1: [0.5, 0.5, 0.5], 3: [0.0, 0.25, 0.25]}[window]
    assert x[:, 0].tolist() == wanted and len(count) < 12, "all have stopped long before the last step"
    alone = torch.cat([run(slice(row, row + 1), []) for row in range(3)])
    assert torch.equal(alone, x), "whatever the batch"


def test_stages_follow_one_another(net: WideResNet, images: Tensor, labels: Tensor) -> None:
    """Each has its network, loaded as its leg begins, its sampler and objective; steps are numbered on."""
    net = net.float()
    torch.manual_seed(9)
    second = WideResNet(depth=10, width=1, num_classes=3, in_channels=1)
    loaded: list[str] = []

    def load() -> Classifier:
        loaded.append("second")
        return second

    first = GRMALA(steps=3)
    last = MALA(steps=2, eps1=0.001)
    recipe = Recipe([Stage(first, normalize="relative"), Stage(last, LogJoint(), network=load)])
    condition: Condition = draw_hard(labels, torch.tensor([0, 1, 2]), torch.arange(3), seed=0)
    x = PixelSpace((1, 8, 8)).start(torch.arange(3), seed=0)
    assert loaded == []
    where: dict[str, Any] = {"seed": 0, "chain_ids": torch.arange(3)}
    got, trace = continue_chains(net, recipe, x, condition, images, labels, **where, trace_every=1)
    targets = condition.targets(labels, 3)
    gram = GramRegulariser.from_images(net, condition.references(images), normalize="relative")
    middle = first.run(net, x, targets, gram=gram, objective=LogPosterior(), **where).x
    expected = last.run(second, middle, targets, objective=LogJoint(), first_step=3, **where).x
    assert torch.equal(got, expected) and loaded == ["second"]
    assert [record.step for record in trace] == [0, 1, 2, 3, 4] and recipe.steps == 5
    assert to_unit(images).shape[1:] == got.shape[1:]
