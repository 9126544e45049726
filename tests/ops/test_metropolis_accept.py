# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Metropolis–Hastings correction: against plain PyTorch, and against targets whose law is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from stic_fast.ops import grmala_step, metropolis_accept, noise
from stic_fast.ops.metropolis_accept import reference

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SHAPES = ((6, 3, 5, 7), (4, 1), (5, 4097), (7,))


def sample_inputs(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """Proposals of a standard normal target's chain, so that some are accepted and some are not."""
    generator = torch.Generator().manual_seed(sum(shape))
    dimension = math.prod(shape[1:])
    eps3 = torch.linspace(1.4, 2.0, shape[0], dtype=torch.float64) * dimension ** (-1 / 6)
    eps1 = eps3**2 / 2
    beside = (-1, *[1] * (len(shape) - 1))
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    proposal = x - eps1.view(beside) * x + eps3.view(beside) * torch.randn(shape, generator=generator)
    x, proposal = x.to(dtype), proposal.to(dtype)
    log_p = {name: -v.double().square().reshape(shape[0], -1).sum(1) / 2 for name, v in (("x", x), ("y", proposal))}
    return {
        "x": x,
        "proposal": proposal,
        "logp_x": log_p["x"],
        "logp_proposal": log_p["y"],
        "grad_x": -x,
        "grad_proposal": -proposal,
        "eps1": eps1,
        "eps3": eps3,
        "seed": 2**63 + 5,
        "step": 3,
    }


def op_arguments(inputs: dict[str, Any]) -> tuple[Any, ...]:
    tensors = [inputs[name] for name in ("x", "proposal", "logp_x", "logp_proposal", "grad_x", "grad_proposal")]
    eps = torch.stack((inputs["eps1"], inputs["eps3"]))
    return *tensors, eps, torch.arange(len(inputs["x"])), None, -4.0, 4.0, inputs["seed"] - 2**64, inputs["step"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_reference_agrees(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    arguments = op_arguments(sample_inputs(shape, dtype))
    out, accepted, log_alpha = torch.ops.stic_fast.metropolis_accept(*arguments)
    wanted_out, wanted_accepted, wanted_log_alpha = reference(*arguments)
    assert out.dtype == dtype and accepted.dtype == torch.bool and log_alpha.dtype == torch.float64
    torch.testing.assert_close(log_alpha, wanted_log_alpha, rtol=1e-10, atol=1e-10)
    assert torch.equal(accepted, wanted_accepted) and torch.equal(out, wanted_out)


@pytest.mark.parametrize("eps1", [0.3, 0.02])  # 0.5·eps3² = 0.18 would be the Langevin diffusion's own
def test_log_alpha_is_the_ratio_of_the_densities(eps1: float) -> None:
    inputs = sample_inputs((5, 3, 4), torch.float64) | {"eps1": eps1, "eps3": 0.6}
    x, y = inputs["x"], inputs["proposal"]
    forward = torch.distributions.Normal(x + eps1 * inputs["grad_x"], 0.6).log_prob(y).sum((1, 2))
    backward = torch.distributions.Normal(y + eps1 * inputs["grad_proposal"], 0.6).log_prob(x).sum((1, 2))
    wanted = inputs["logp_proposal"] - inputs["logp_x"] + backward - forward
    torch.testing.assert_close(metropolis_accept(**inputs).log_alpha, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_moves_where_accepted_and_only_there(dtype: torch.dtype) -> None:
    inputs = sample_inputs((64, 3, 5), dtype)
    out, accepted, log_alpha = metropolis_accept(**inputs)
    assert 0 < int(accepted.sum()) < 64
    assert torch.equal(out[accepted], inputs["proposal"][accepted])
    assert torch.equal(out[~accepted], inputs["x"][~accepted])
    word = noise.words(torch.arange(64), 1, inputs["seed"], inputs["step"], noise.Stream.METROPOLIS)[:, 0]
    assert torch.equal(accepted, torch.log((word + 0.5) * 2**-32) < log_alpha)


@pytest.mark.parametrize("alpha", [0.02, 0.5, 0.97, 1.0, 7.0])
def test_accepts_with_probability_alpha(alpha: float) -> None:
    chains = 100_000
    still, zero = torch.zeros(chains, 1), torch.zeros(chains)
    log_alpha = torch.full((chains,), math.log(alpha))
    out = metropolis_accept(still, still, zero, log_alpha, still, still, eps1=0.1, eps3=1, seed=2, step=5)
    probability = min(1.0, alpha)
    deviation = math.sqrt(chains * probability * (1 - probability))
    assert abs(int(out.accepted.sum()) - chains * probability) <= 5 * deviation


def run_chains(
    x: Tensor, log_p: Callable[[Tensor], Tensor], eps1: float, eps3: float, steps: int, **options: Any
) -> tuple[Tensor, float]:
    """The states after `steps` corrected transitions, and the mean acceptance."""

    def log_p_and_gradient(state: Tensor) -> tuple[Tensor, Tensor]:
        leaf = state.detach().requires_grad_()
        value = log_p(leaf)
        return value.detach(), torch.autograd.grad(value.sum(), leaf)[0]

    accepted = 0.0
    logp_x, grad_x = log_p_and_gradient(x)
    for step in range(steps):
        y = grmala_step(x, grad_x, eps1=eps1, eps3=eps3, seed=7, step=step, clamp=None)
        logp_y, grad_y = log_p_and_gradient(y)
        x, moved, _ = metropolis_accept(
            x, y, logp_x, logp_y, grad_x, grad_y, eps1=eps1, eps3=eps3, seed=7, step=step, **options
        )
        logp_x, grad_x = log_p_and_gradient(x)
        accepted += float(moved.double().mean()) / steps
    return x, accepted


@pytest.mark.parametrize("eps1", [0.5, 0.2, 0.0])
def test_a_normal_target_stays_a_normal_target(eps1: float) -> None:
    start = noise.normal((20_000, 1), seed=1, stream=noise.Stream.CHAIN_INIT, dtype=torch.float64)

    def log_p(x: Tensor) -> Tensor:
        return -x.square().sum(1) / 2

    end, acceptance = run_chains(start, log_p, eps1, 1.3, steps=6)
    assert 0.4 < acceptance < 0.95
    assert stats.kstest(end.flatten().numpy(), "norm").pvalue > 1e-2
    corner = [((start[:, 0] > 0) & (end[:, 0] < 0)).sum(), ((start[:, 0] < 0) & (end[:, 0] > 0)).sum()]
    assert abs(int(corner[0] - corner[1])) < 5 * math.sqrt(int(corner[0] + corner[1]))  # detailed balance of two sets
    uncorrected = start
    for step in range(6):
        uncorrected = grmala_step(uncorrected, -uncorrected, eps1=eps1, eps3=1.3, seed=7, step=step, clamp=None)
    assert stats.kstest(uncorrected.flatten().numpy(), "norm").pvalue < 1e-6  # the test does see a wrong law


def test_a_chain_finds_its_target_within_the_support() -> None:
    # Density ∝ exp(2x) on [−1, 1], from a point start.
    start = torch.zeros(10_000, 1, dtype=torch.float64)
    end, acceptance = run_chains(start, lambda x: 2 * x.sum(1), 0.1, 0.8, steps=40, support=(-1.0, 1.0))
    assert 0.2 < acceptance < 0.9 and bool((end.abs() <= 1).all())

    def below(x: Any) -> Any:
        return (torch.exp(2 * torch.as_tensor(x)) - math.exp(-2)) / (math.exp(2) - math.exp(-2))

    assert stats.kstest(end.flatten().numpy(), lambda x: below(x).numpy()).pvalue > 1e-2


def test_leaving_the_support_rejects() -> None:
    x = torch.zeros(4, 70)
    proposal = torch.full((4, 70), 0.5)
    proposal[1, 3], proposal[2, 69], proposal[3, 0] = 1.25, -1.5, 1.0  # the bounds themselves belong to it
    high = torch.full((4,), 100.0)
    out = metropolis_accept(x, proposal, -high, high, x, x, eps1=0.1, eps3=1.0, seed=0, step=0, support=(-1.0, 1.0))
    assert out.accepted.tolist() == [True, False, False, True]
    assert out.log_alpha.isneginf().tolist() == [False, True, True, False]
    free = metropolis_accept(x, proposal, -high, high, x, x, eps1=0.1, eps3=1.0, seed=0, step=0)
    assert bool(free.accepted.all())


@pytest.mark.parametrize("name", ["x", "proposal", "logp_x", "logp_proposal", "grad_x", "grad_proposal"])
@pytest.mark.parametrize("support", [None, (-9.0, 9.0)])
def test_nan_rejects(name: str, support: tuple[float, float] | None) -> None:
    still, low, high = torch.zeros(3, 65), torch.zeros(3), torch.full((3,), 50.0)
    inputs = {"x": still, "proposal": still, "logp_x": low, "logp_proposal": high, "grad_x": still}
    inputs = {key: value.clone() for key, value in (inputs | {"grad_proposal": still}).items()}
    inputs[name].view(3, -1)[1, -1] = float("nan")
    out = metropolis_accept(**inputs, eps1=0.1, eps3=1.0, seed=0, step=0, support=support)
    assert out.accepted.tolist() == [True, False, True]
    assert out.log_alpha.isnan().tolist() == [False, True, False]


def test_infinite_log_densities() -> None:
    still, inf = torch.zeros(4, 2), float("inf")
    logp_x, logp_proposal = torch.tensor([0.0, -inf, -inf, inf]), torch.tensor([-inf, 0.0, -inf, 0.0])
    out = metropolis_accept(still, still, logp_x, logp_proposal, still, still, eps1=0.1, eps3=1.0, seed=0, step=0)
    assert out.accepted.tolist() == [False, True, False, False]


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_follows_the_choice(dtype: torch.dtype) -> None:
    inputs = sample_inputs((16, 3, 5), dtype)
    inputs["x"].requires_grad_()
    inputs["proposal"].requires_grad_()
    out, accepted, log_alpha = metropolis_accept(**inputs)
    assert not accepted.requires_grad and not log_alpha.requires_grad
    weight = torch.linspace(1, 2, 240).view(16, 3, 5).to(dtype)
    to_x, to_proposal = torch.autograd.grad(out, [inputs["x"], inputs["proposal"]], weight)
    chosen = accepted[:, None, None]
    assert torch.equal(to_x, torch.where(chosen, 0, weight)) and torch.equal(to_proposal, weight - to_x)


def test_gradcheck() -> None:
    inputs = sample_inputs((6, 3), torch.float64)
    leaves = [inputs[name].requires_grad_() for name in ("x", "proposal")]
    assert 0 < int(metropolis_accept(**inputs).accepted.sum()) < 6

    def moved(x: Tensor, proposal: Tensor) -> Tensor:
        return metropolis_accept(**inputs | {"x": x, "proposal": proposal}).x

    assert torch.autograd.gradcheck(moved, leaves)
    assert torch.autograd.gradgradcheck(moved, leaves)


def test_a_chain_does_not_see_its_batch(with_threads: Callable[..., list[Tensor]]) -> None:
    inputs = sample_inputs((7, 3, 61, 71)) | {"chain_ids": torch.tensor([7, 0, 2**32 - 1, 3, 12, 1, 90])}
    one, two, three = with_threads(lambda: metropolis_accept(**inputs))
    for other in (two, three):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    for row in range(7):
        alone = {name: v[row : row + 1] if isinstance(v, Tensor) else v for name, v in inputs.items()}
        assert all(torch.equal(a, b[row : row + 1]) for a, b in zip(metropolis_accept(**alone), one, strict=True))


def test_ids_steps_and_layouts() -> None:
    inputs = sample_inputs((64, 3, 5, 4))
    wanted = metropolis_accept(**inputs)
    laid_out = {
        name: value.contiguous(memory_format=torch.channels_last)
        for name, value in inputs.items()
        if isinstance(value, Tensor) and value.dim() == 4
    }
    same = {"chain_ids": torch.arange(64) + 2**32, "step": torch.tensor(3), "logp_x": inputs["logp_x"].clone()}
    for a, b in zip(wanted, metropolis_accept(**inputs | laid_out | same), strict=True):
        assert torch.equal(a, b)
    assert wanted.x.is_contiguous()
    for other in ({"step": 4}, {"seed": 1}, {"chain_ids": torch.arange(64) + 1}):
        assert not torch.equal(metropolis_accept(**inputs | other).accepted, wanted.accepted)


@pytest.mark.parametrize("shape", [(0, 3, 4), (0,), (3, 0)])
def test_empty(shape: tuple[int, ...]) -> None:
    empty, logp = torch.zeros(shape), torch.zeros(shape[0])
    out = metropolis_accept(empty, empty, logp, logp, empty, empty, eps1=0.1, eps3=1.0, seed=0, step=0)
    assert out.x.shape == shape and bool(out.accepted.all()) and out.log_alpha.tolist() == [0.0] * shape[0]
    eps, ids = torch.ones(2, shape[0], dtype=torch.float64), torch.arange(shape[0])
    arguments = (empty, empty, logp.double(), logp.double(), empty, empty, eps, ids, None, -1.0, 1.0, 0, 0)
    assert reference(*arguments)[0].shape == shape


@pytest.mark.parametrize("requires_grad", [False, True])
def test_opcheck(requires_grad: bool) -> None:
    inputs = sample_inputs((6, 2, 3))
    inputs["x"].requires_grad_(requires_grad)
    torch.library.opcheck(torch.ops.stic_fast.metropolis_accept.default, op_arguments(inputs))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("x", 1.0, TypeError),
        ("x", torch.tensor(1.0), ValueError),
        ("proposal", torch.zeros(2, 4), ValueError),
        ("grad_x", torch.zeros(2, 3).double(), TypeError),
        ("grad_proposal", torch.zeros(3), ValueError),
        ("logp_x", torch.zeros(3), ValueError),
        ("logp_proposal", torch.zeros(2, 1), ValueError),
        ("logp_proposal", torch.zeros(2).long(), TypeError),
        ("eps3", 0.0, ValueError),
        ("eps3", torch.tensor(-1.0), ValueError),
        ("eps3", float("nan"), ValueError),
        ("eps3", "1", TypeError),
        ("eps1", torch.zeros(3), ValueError),
        ("seed", -1, ValueError),
        ("step", 2**32, ValueError),
        ("chain_ids", torch.zeros(2), TypeError),
        ("support", (1.0,), TypeError),
        ("support", (1.0, 0.0), ValueError),
    ],
)
def test_errors_name_the_argument(name: str, value: Any, error: type[Exception]) -> None:
    state, logp = torch.zeros(2, 3), torch.zeros(2)
    arguments: dict[str, Any] = {"x": state, "proposal": state, "logp_x": logp, "logp_proposal": logp}
    arguments |= {"grad_x": state, "grad_proposal": state, "eps1": 0.1, "eps3": 0.5, "seed": 0, "step": 0}
    with pytest.raises(error, match=rf"^{name}\b"):
        metropolis_accept(**arguments | {name: value})
