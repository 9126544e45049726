# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The chain through noise levels reaches laws whose score is known, and MALA of the same law confirms it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import Classifier, wrap
from stic_fast.ops import noise
from stic_fast.sampling import (
    GRMALA,
    MALA,
    AnnealedGRMALA,
    Climb,
    FeatureSpace,
    Network,
    NoiseSpace,
    Objective,
    Steps,
    Time,
)

SIGMAS = 5.0
CHAINS = 2000
WEIGHTS, WIDTHS = torch.tensor([0.3, 0.7]), torch.tensor([0.4, 0.6])
CENTRES = torch.tensor([[-1.2, 0.5], [0.8, -0.4]])


@dataclass(frozen=True)
class OfMixture(Objective):
    """∇log Σ_k w_k·N(x; μ_k, s_k² + σ²), guided by w·∇log p(y|x, σ), in closed form and in float64 for any state."""

    guidance: float = 0.0

    def climb(self, network: Network, x: Tensor, target: Tensor, time: Time) -> Climb:
        assert isinstance(time.sigma, float)
        variances = WIDTHS.double() ** 2 + time.sigma**2
        away = CENTRES - x.detach().double()[:, None]
        shares = torch.softmax(WEIGHTS.log() - variances.log() - away.square().sum(2) / (2 * variances), 1)
        of_each = away / variances[:, None]
        score = (shares[:, :, None] * of_each).sum(1)
        return Climb(score + self.guidance * (of_each[torch.arange(len(x)), target] - score))


@dataclass(frozen=True)
class OfGaussian(Objective):
    """∇log N(x; m, v + σ²)."""

    mean: float = 0.0
    variance: float = 0.25

    def climb(self, network: Network, x: Tensor, target: Tensor, time: Time) -> Climb:
        assert isinstance(time.sigma, float)
        return Climb((self.mean - x.detach()) / (self.variance + time.sigma**2))


@dataclass(frozen=True)
class Still(Objective):
    """No direction at all."""

    def climb(self, network: Network, x: Tensor, target: Tensor, time: Time) -> Climb:
        return Climb(torch.zeros_like(x))


def log_mixture(x: Tensor) -> Tensor:
    squares = (x[:, None] - CENTRES).square().sum(2)
    return torch.logsumexp(WEIGHTS.log() - 2 * WIDTHS.log() - squares / (2 * WIDTHS**2), 1)


@pytest.fixture
def unasked() -> Classifier:
    """The network beside objectives that do not ask it."""
    return wrap(nn.Linear(2, 2), gram_layers=[], num_classes=2)


def drawn(
    model: Classifier, sampler: AnnealedGRMALA, objective: Objective, target: int = 0, *, chains: int = CHAINS
) -> Tensor:
    start = NoiseSpace((2,), sigma=sampler.sigma_max).start(torch.arange(chains), seed=3)
    return sampler.run(model, start, torch.full((chains,), target), objective=objective, seed=3).x


def energy_distance(one: Tensor, other: Tensor) -> float:
    """2·E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖ (Székely and Rizzo 2013), without bias."""
    count = len(one)
    between = torch.cdist(one, other).mean()
    within = [torch.cdist(points, points).sum() / (count * (count - 1)) for points in (one, other)]
    return float(2 * between - sum(within))


def assert_near(values: Tensor, expected: float) -> None:
    error = abs(float(values.mean()) - expected)
    assert error < SIGMAS * float(values.std()) / math.sqrt(len(values)), f"off by {error}"


@pytest.fixture(scope="module")
def by_mala() -> tuple[Tensor, Tensor]:
    """Two sets of the mixture, exact but for the modes' exchange, which 500 steps leave no trace of."""
    spread = 1.5 * noise.normal((2 * CHAINS, 2), seed=1, step=0, stream=noise.Stream.CHAIN_INIT)
    one, other = MALA(steps=500, eps1=0.15).run(log_mixture, spread, seed=1).x.split(CHAINS)
    return one, other


@pytest.mark.parametrize("correctors", [0, 2])
def test_it_draws_from_a_mixture_and_mala_confirms_it(
    unasked: Classifier, by_mala: tuple[Tensor, Tensor], correctors: int
) -> None:
    """Moments and shares as known; as far from MALA's sets, by energy distance, as these from each other."""
    found = drawn(unasked, AnnealedGRMALA(steps=60, correctors=correctors, step_size=0.03), OfMixture())
    means = (WEIGHTS[:, None] * CENTRES).sum(0)
    squares = (WEIGHTS[:, None] * (CENTRES**2 + WIDTHS[:, None] ** 2)).sum(0)
    left = float((WEIGHTS * torch.special.ndtr(-CENTRES[:, 0] / WIDTHS)).sum())
    for points in (found, *by_mala):
        assert_near((points[:, 0] < 0).float(), left)
        for axis in range(2):
            assert_near(points[:, axis], float(means[axis]))
            assert_near(points[:, axis] ** 2, float(squares[axis]))
    chance = math.sqrt(math.pi) / CHAINS  # the scale of the distance between two sets of one law
    assert abs(energy_distance(*by_mala)) < 3 * chance
    assert all(abs(energy_distance(found, points)) < 3 * chance for points in by_mala)
    other_shares = torch.cat([found[found[:, 0] < 0], found])[:CHAINS]
    assert energy_distance(other_shares, by_mala[0]) > 10 * chance, "and tells another law"


@pytest.mark.parametrize("target", [0, 1])
def test_guided_by_the_class_it_draws_one_component(unasked: Classifier, target: int) -> None:
    found = drawn(unasked, AnnealedGRMALA(steps=40, correctors=1), OfMixture(guidance=1.0), target)
    for axis in range(2):
        centre = float(CENTRES[target, axis])
        assert_near(found[:, axis], centre)
        assert_near((found[:, axis] - centre) ** 2, float(WIDTHS[target] ** 2))


def test_heuns_error_falls_by_four_as_levels_double(unasked: Classifier) -> None:
    """The flow of a Gaussian: x − m shrinks as √(v + σ²)."""
    start = torch.tensor([[-9.0, 4.0]], dtype=torch.float64)
    errors = []
    for steps in (32, 64, 128):
        sampler = AnnealedGRMALA(steps=steps, sigma_max=10.0, sigma_min=1e-4)
        found = sampler.run(unasked, start, torch.zeros(1), objective=OfGaussian(0.5), seed=0).x
        exact = 0.5 + (start - 0.5) * math.sqrt(0.25 / (0.25 + 10.0**2))
        errors.append(float((found - exact).norm()))
    assert all(3.5 < one / other < 4.5 for one, other in itertools.pairwise(errors)) and errors[-1] < 1e-3


def expected_of_gaussian(sampler: AnnealedGRMALA, objective: OfGaussian) -> tuple[float, float]:
    """Mean and variance, by what every step does to them."""
    sizes, mean, variance = sampler.step_sizes(), 0.0, sampler.sigma_max**2
    for index in range(len(sizes)):
        here, there = sizes.at(index), sizes.at(index + 1)
        shrunk = 1 - here.eps1 / (objective.variance + here.sigma**2)
        if here.sigma != there.sigma and not here.eps3:
            slope = here.sigma * (here.sigma - there.sigma) / (objective.variance + here.sigma**2)
            further = there.sigma * (here.sigma - there.sigma) / (objective.variance + there.sigma**2)
            shrunk = 1 - (slope + further * (1 - slope)) / 2
        mean = objective.mean + shrunk * (mean - objective.mean)
        variance = shrunk**2 * variance + here.eps3**2
    return mean, variance


@pytest.mark.parametrize("correctors", [0, 3])
def test_a_gaussian_has_exactly_the_mean_and_variance_of_its_steps(unasked: Classifier, correctors: int) -> None:
    sampler, objective = AnnealedGRMALA(steps=40, correctors=correctors, step_size=0.3), OfGaussian(0.3)
    mean, variance = expected_of_gaussian(sampler, objective)
    assert mean == pytest.approx(0.3, abs=0.01) and variance == pytest.approx(0.25, rel=0.05), "near the law itself"
    found = drawn(unasked, sampler, objective, chains=20_000).flatten()
    assert_near(found, mean)
    assert_near((found - mean) ** 2, variance)


def test_the_levels_are_karras_and_the_rows_theirs() -> None:
    sampler = AnnealedGRMALA(steps=3, sigma_max=8.0, sigma_min=1.0, rho=3.0, correctors=2, step_size=0.4, eps2=5.0)
    assert sampler.levels == pytest.approx([8.0, 3.375, 1.0])
    sizes = sampler.step_sizes()
    assert [sizes.at(index).sigma for index in range(7)] == pytest.approx([8, 3.375, 3.375, 3.375, 1, 1, 1])
    assert sizes.at(0)[:3] == pytest.approx((8 * (8 - 3.375), 0.0, 0.0)) and sizes.at(6)[:3] == (1.0, 0.0, 0.0)
    assert sizes.at(4)[:3] == pytest.approx((0.2, 1.0, math.sqrt(0.4))) and sizes.with_gram
    assert AnnealedGRMALA(steps=1).levels == pytest.approx([80.0])


def test_every_step_has_noise_of_its_own_number(unasked: Classifier) -> None:
    sampler, ids = AnnealedGRMALA(steps=3, correctors=2), torch.tensor([7, 2, 9])
    start, target = torch.zeros((3, 2), dtype=torch.float64), torch.zeros(3)
    found = sampler.run(unasked, start, target, objective=Still(), seed=4, first_step=20, chain_ids=ids).x
    sizes = sampler.step_sizes()
    kicks = [
        sizes.at(index).eps3 * noise.normal(start.shape, seed=4, step=20 + index, chain_ids=ids, dtype=start.dtype)
        for index in (1, 2, 4, 5)
    ]
    torch.testing.assert_close(found, sum(kicks))


def test_chains_do_not_know_their_batch_and_single_steps_are_the_run(unasked: Classifier) -> None:
    sampler, ids = AnnealedGRMALA(steps=5, correctors=1), torch.tensor([9, 4, 17, 2, 30])
    start = NoiseSpace((2,)).start(ids, seed=1)
    arguments = {"objective": OfMixture(1.0), "seed": 1, "first_step": 3}
    target = torch.tensor([0, 1, 1, 0, 1])
    seen: list[tuple[int, Tensor]] = []
    whole, trace = sampler.run(
        unasked,
        start,
        target,
        chain_ids=ids,
        trace_every=2,
        on_step=lambda state: seen.append((state.step, state.x)),
        **arguments,
    )
    for rows in (torch.tensor([3]), torch.tensor([4, 0, 2])):
        part = sampler.run(unasked, start[rows], target[rows], chain_ids=ids[rows], **arguments).x
        assert torch.equal(part, whole[rows])
    state = sampler.init(unasked, start, target, chain_ids=ids, **arguments)
    for number, x in seen:
        before = state.x.clone()
        after = sampler.step(state)
        assert torch.equal(state.x, before) and after.step == number and torch.equal(after.x, x)
        state = after
    assert torch.equal(state.x, whole) and [record.step for record in trace] == [3, 5, 7, 9, 11]
    assert all(record.grad_logp_norm > 0 for record in trace)


@pytest.mark.parametrize(("dtype", "within"), [(torch.float16, 0.01), (torch.bfloat16, 0.08), (torch.float32, 1e-5)])
def test_states_of_less_precision_come_to_the_same(unasked: Classifier, dtype: torch.dtype, within: float) -> None:
    start = torch.linspace(-60, 60, 40, dtype=torch.float64).view(20, 2).to(torch.bfloat16).double()
    sampler, target = AnnealedGRMALA(correctors=1), torch.zeros(20, dtype=torch.int64)
    exact, found = (
        sampler.run(unasked, x, target, objective=OfMixture(1.0), seed=0).x for x in (start, start.to(dtype))
    )
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=within)


def test_steps_of_ones_own(unasked: Classifier) -> None:
    """Annealed Langevin dynamics stays that, every size scaled; steps without a level are refused."""
    start, target = NoiseSpace((2,), sigma=3.0).start(torch.arange(5), seed=0), torch.zeros(5, dtype=torch.int64)
    steps = Steps.annealed([3.0, 1.0, 0.3], 4, 0.01)
    arguments = {"objective": OfMixture(), "seed": 0, "steps": steps}
    found, expected = (
        sampler.run(unasked, start, target, **arguments).x for sampler in (AnnealedGRMALA(), GRMALA(clamp=None))
    )
    assert torch.equal(found, expected)
    faded = Steps(4, 0.1, eps3=0.2, sigma=0.5, schedule="linear")
    arguments["steps"] = faded
    found, expected = (
        sampler.run(unasked, start, target, **arguments).x for sampler in (AnnealedGRMALA(), GRMALA(clamp=None))
    )
    assert torch.equal(found, expected)
    with pytest.raises(InputError, match="sigma"):
        AnnealedGRMALA().run(unasked, start, target, objective=OfMixture(), seed=0, steps=Steps(2, 0.1))


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"steps": -1}, "steps"), ({"sigma_min": 80.0}, "sigma_min"), ({"rho": 0.5}, "rho"), ({"eps2": -1.0}, "eps2")],
)
def test_settings_that_make_no_chain(settings: dict[str, float], named: str) -> None:
    with pytest.raises(InputError, match=named):
        AnnealedGRMALA(**settings)  # type: ignore[arg-type]


def test_spaces_and_boxes() -> None:
    """A state with noise has no box, whoever moves it and whoever looks at it."""
    space = NoiseSpace((1, 2, 2), sigma=2.0)
    assert space.bound(GRMALA()).clamp is None and space.bound(AnnealedGRMALA()) == AnnealedGRMALA()
    assert space.bound(MALA(steps=1, eps1=0.1, support=(-1, 1))).support is None
    assert FeatureSpace((4,), lambda z: z, box=(-3, 3)).bound(AnnealedGRMALA()) == AnnealedGRMALA()
    x = space.start(torch.arange(50), seed=0)
    assert float(x.abs().max()) > 3 and space.decode(x) is x
    for bad in (0.0, -1.0, math.inf):
        with pytest.raises(InputError, match="sigma"):
            NoiseSpace(sigma=bad)
    with pytest.raises(InputError, match="shape"):
        NoiseSpace().start(torch.arange(2), seed=0)
