# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""On a GPU the ops give the CPU's results: noise, transitions and batches bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.ops import grmala_step, grmala_step_, metropolis_accept, noise, scaled_silu, vrm_batch
from stic_fast.ops.library import has_cuda_kernels

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
WaitsFail = Callable[[], AbstractContextManager[None]]
SHAPES = ((3, 3, 8, 8), (2, 1), (4, 63), (3, 65), (2, 4097), (5,), (1, 10007), (70, 3, 32, 32), (2, 1_000_003))
EMPTY = ((0, 3, 4, 4), (3, 0), (0,))
IDS = (7, 0, 2**31, 2**32 - 1, 3)


def there(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


def all_there(arguments: dict[str, Any], device: torch.device) -> dict[str, Any]:
    return {name: there(value, device) for name, value in arguments.items()}


def randn(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def misaligned(value: Tensor) -> Tensor:
    """The same numbers one element away from where an allocation begins."""
    buffer = torch.empty(value.numel() + 1, dtype=value.dtype, device=value.device)
    return buffer[1:].view(value.shape).copy_(value)


def test_the_kernels_are_there(cuda: torch.device) -> None:
    """Else all that follows would only see the references in plain PyTorch."""
    assert has_cuda_kernels(cuda.index), "built without nvcc, or for a newer GPU; see stic-fast info"


@pytest.mark.parametrize("draw", [noise.normal, noise.uniform])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES + EMPTY)
def test_noise(cuda: torch.device, draw: Callable[..., Tensor], dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    address: dict[str, Any] = {"seed": 2**63 + 11, "step": 5, "stream": 3, "dtype": dtype}
    ours = draw(shape, device=cuda, **address)
    assert ours.device == cuda and ours.dtype == dtype and ours.is_contiguous()
    assert torch.equal(ours.cpu(), draw(shape, **address))


@pytest.mark.parametrize("draw", [noise.normal, noise.uniform])
@pytest.mark.parametrize("step", [0, 2**31, 2**32 - 1])
def test_noise_of_other_addresses(cuda: torch.device, draw: Callable[..., Tensor], step: int) -> None:
    ids = torch.tensor(IDS)
    for seed in (0, 2**64 - 1):
        expected = draw((5, 4099), seed=seed, step=step, chain_ids=ids)
        for number in (step, torch.tensor(step, device=cuda), torch.tensor([step], device=cuda)):
            assert torch.equal(draw((5, 4099), seed=seed, step=number, chain_ids=ids.to(cuda)).cpu(), expected)
        split = [draw((len(part), 4099), seed=seed, step=step, chain_ids=part) for part in ids.to(cuda).split(2)]
        assert torch.equal(torch.cat(split).cpu(), expected)


def test_words_are_those_of_the_reference(cuda: torch.device) -> None:
    ids = torch.tensor(IDS, device=cuda)
    words = noise.words(ids, 1001, 17, 3, 0)
    uniform = noise.uniform((5, 1001), seed=17, step=3, chain_ids=ids)
    assert torch.equal(uniform, (words >> 8).float() * 2**-24)


def step_inputs(
    shape: tuple[int, ...], dtype: torch.dtype, *, with_gram: bool = True, per_chain: bool = False
) -> dict[str, Any]:
    x, uphill, downhill = (randn(shape, dtype, seed) for seed in range(3))
    sizes: dict[str, Any] = {"eps1": 0.37, "eps2": 0.95, "eps3": 0.11}
    if per_chain:
        sizes = {name: torch.linspace(size, 2 * size, shape[0], dtype=torch.float64) for name, size in sizes.items()}
    return {"x": x, "grad_logp": uphill, "grad_gram": downhill if with_gram else None, **sizes} | {
        "seed": 2**63 + 9,
        "step": 4,
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES + EMPTY)
@pytest.mark.parametrize(("with_gram", "per_chain"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("clamp", [(-1.0, 1.0), None])
def test_grmala_step(
    cuda: torch.device,
    dtype: torch.dtype,
    shape: tuple[int, ...],
    with_gram: bool,
    per_chain: bool,
    clamp: tuple[float, float] | None,
) -> None:
    inputs = step_inputs(shape, dtype, with_gram=with_gram, per_chain=per_chain)
    expected = grmala_step(**inputs, clamp=clamp)
    ours = all_there(inputs, cuda)
    assert torch.equal(grmala_step(**ours, clamp=clamp).cpu(), expected)
    assert grmala_step_(**ours, clamp=clamp) is ours["x"]
    assert torch.equal(ours["x"].cpu(), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_grmala_step_of_any_layout(cuda: torch.device, dtype: torch.dtype) -> None:
    inputs = step_inputs((3, 2, 8, 6), dtype)
    expected = grmala_step(**inputs)
    layouts: list[Callable[[Tensor], Tensor]] = [
        misaligned,
        lambda t: t.contiguous(memory_format=torch.channels_last),
        lambda t: t.transpose(1, 3).contiguous().transpose(1, 3),
        lambda t: torch.stack((t, t), -1)[..., 1],
    ]
    for layout in layouts:
        ours = all_there(inputs, cuda)
        ours |= {name: layout(ours[name]) for name in ("x", "grad_logp", "grad_gram")}
        assert torch.equal(grmala_step(**ours).cpu(), expected)
        assert torch.equal(grmala_step_(**ours).cpu(), expected) and torch.equal(ours["x"].cpu(), expected)


def test_grmala_step_with_nan_and_infinity(cuda: torch.device) -> None:
    inputs = step_inputs((3, 65), torch.float32)
    inputs["x"][0, 3], inputs["grad_logp"][1, 64], inputs["grad_gram"][2, 0] = float("nan"), float("inf"), -float("inf")
    ours, expected = grmala_step(**all_there(inputs, cuda)).cpu(), grmala_step(**inputs)
    assert torch.equal(ours.isnan(), expected.isnan()) and int(ours.isnan().sum()) == 1
    assert torch.equal(ours.nan_to_num(7.0), expected.nan_to_num(7.0))


def test_grmala_step_reads_sizes_and_step_on_the_device(cuda: torch.device, waits_fail: WaitsFail) -> None:
    inputs = step_inputs((3, 65), torch.float32)
    expected = grmala_step(**inputs)
    ours = all_there(inputs, cuda)
    ours["step"] = torch.tensor([4], device=cuda)
    ours |= {name: torch.tensor(ours[name], dtype=torch.float64, device=cuda) for name in ("eps1", "eps2", "eps3")}
    torch.cuda.synchronize()
    with waits_fail():
        result = grmala_step(**ours)
    assert torch.equal(result.cpu(), expected)


def test_gradients_of_a_step(cuda: torch.device) -> None:
    def gradients(device: torch.device) -> list[Tensor]:
        inputs = all_there(step_inputs((4, 200), torch.float32, per_chain=True), device)
        leaves = [inputs[name].requires_grad_() for name in ("x", "grad_logp", "grad_gram")]
        return [g.cpu() for g in torch.autograd.grad(grmala_step(**inputs).square().sum(), leaves)]

    for ours, expected in zip(gradients(cuda), gradients(torch.device("cpu")), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)


def proposals(shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, Any]:
    """Of a standard normal's chains, some of which are accepted."""
    eps3 = torch.linspace(1.4, 2.0, shape[0], dtype=torch.float64) * max(1, math.prod(shape[1:])) ** (-1 / 6)
    x, kick = randn(shape, torch.float64, 0), randn(shape, torch.float64, 1)
    beside = (-1, *[1] * (len(shape) - 1))
    proposal = (x - eps3.view(beside) ** 2 / 2 * x + eps3.view(beside) * kick).to(dtype)
    x = x.to(dtype)
    names = {"logp_x": x, "logp_proposal": proposal}
    size = math.prod(shape[1:])
    logs = {name: -state.double().square().reshape(shape[0], size).sum(1) / 2 for name, state in names.items()}
    states = {"x": x, "proposal": proposal, "grad_x": -x, "grad_proposal": -proposal}
    return states | logs | {"eps1": eps3**2 / 2, "eps3": eps3, "seed": 2**63 + 5, "step": 3}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES[:-1], (64, 7, 11), (3, 200_001)])
@pytest.mark.parametrize("support", [None, (-2.5, 2.5)])
def test_metropolis_accept(cuda: torch.device, dtype: torch.dtype, shape: tuple[int, ...], support: Any) -> None:
    inputs = proposals(shape, dtype)
    expected = metropolis_accept(**inputs, support=support)
    x, accepted, log_alpha = metropolis_accept(**all_there(inputs, cuda), support=support)
    torch.testing.assert_close(log_alpha.cpu(), expected.log_alpha, rtol=1e-9, atol=1e-9)
    assert torch.equal(accepted.cpu(), expected.accepted) and torch.equal(x.cpu(), expected.x)


@pytest.mark.parametrize("shape", EMPTY)
def test_metropolis_accept_of_nothing(cuda: torch.device, shape: tuple[int, ...]) -> None:
    x, accepted, _ = metropolis_accept(**all_there(proposals(shape, torch.float32), cuda))
    assert x.shape == shape and accepted.shape == shape[:1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6, 64, 8, 8), (5, 3, 7, 13), (2, 300, 5, 5), (1, 2, 200, 201), (0, 3, 4, 4)])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_scaled_silu_and_its_gradients(
    cuda: torch.device, dtype: torch.dtype, shape: tuple[int, ...], last: bool, per_channel: bool
) -> None:
    generator = torch.Generator().manual_seed(sum(shape))
    order = torch.channels_last if last else torch.contiguous_format
    x, along = (torch.randn(shape, generator=generator).to(dtype).contiguous(memory_format=order) for _ in range(2))
    scale = torch.randn(shape[:2], generator=generator).to(dtype)

    def results(place: torch.device) -> list[Tensor]:
        leaves = [x.to(place).requires_grad_(), scale.to(place).requires_grad_()][: 1 + per_channel]
        value = scaled_silu(leaves[0], leaves[1] if per_channel else 0.7)
        return [value.detach(), *torch.autograd.grad(value, leaves, along.to(place))]

    for ours, expected, again in zip(results(cuda), results(torch.device("cpu")), results(cuda), strict=True):
        assert ours.stride() == expected.stride() and torch.equal(ours, again)
        within = 4 * torch.finfo(dtype).eps
        largest = float(expected.double().abs().max()) if expected.numel() else 0.0
        torch.testing.assert_close(ours.cpu(), expected, rtol=within, atol=within * max(largest, 1.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6, 3, 8, 8), (5, 1, 7, 13), (3, 2, 65, 67), (2, 1, 1, 66), (0, 3, 4, 4)])
@pytest.mark.parametrize(
    "options",
    [
        {"noise_std": 0.0},
        {"noise_std": 0.3},
        {"noise_std": 0.0, "flip_probability": 0.5, "max_shift": 3},
        {"noise_std": 0.25, "flip_probability": 0.7, "max_shift": 2, "mixup_alpha": 0.4},
    ],
    ids=str,
)
def test_vrm_batch(cuda: torch.device, dtype: torch.dtype, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(sum(shape))
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    labels, ids = torch.randint(0, 5, shape[:1], generator=generator), torch.arange(shape[0]) * 3 + 1
    arguments = {"num_classes": 5, "seed": 2**63 + 3, "dtype": dtype, **options}
    expected = vrm_batch(images, labels, step=8, chain_ids=ids, **arguments)
    for number in (8, torch.tensor(8, device=cuda)):
        ours = vrm_batch(images.to(cuda), labels.to(cuda), step=number, chain_ids=ids.to(cuda), **arguments)
        assert torch.equal(ours.x.cpu(), expected.x)
        torch.testing.assert_close(ours.y.cpu(), expected.y, rtol=0, atol=1e-6)


@pytest.mark.parametrize("alpha", [None, 1.0])
def test_vrm_batch_of_soft_labels_waits_for_nothing(
    cuda: torch.device, waits_fail: WaitsFail, alpha: float | None
) -> None:
    images, labels = torch.arange(48, dtype=torch.uint8).view(6, 1, 2, 4), torch.arange(6) % 5
    arguments = {"num_classes": 5, "mixup_alpha": alpha, "flip_probability": 0.5, "seed": 3, "step": 8}
    given = images.to(cuda), torch.eye(5, device=cuda)[labels.to(cuda)]
    with waits_fail():
        ours = vrm_batch(*given, **arguments)
    expected = vrm_batch(images, labels, **arguments)
    assert torch.equal(ours.x.cpu(), expected.x)
    torch.testing.assert_close(ours.y.cpu(), expected.y, rtol=0, atol=1e-6)


def test_errors_name_the_device(cuda: torch.device) -> None:
    x = torch.zeros(2, 3, device=cuda)
    with pytest.raises(ValueError, match=r"grad_logp must have the device of x, cuda:\d, got cpu"):
        grmala_step(x, x.cpu(), eps1=1.0, eps3=0.1, seed=0, step=0)
    with pytest.raises(ValueError, match=r"step as a tensor must be int64 with one element on cuda:\d"):
        grmala_step(x, x, eps1=1.0, eps3=0.1, seed=0, step=torch.tensor(0))
    with pytest.raises(ValueError, match=r"chain_ids must hold one id per chain, shape \(2,\) on cuda:\d"):
        noise.normal((2, 3), seed=0, chain_ids=torch.arange(2), device=cuda)
    with pytest.raises(ValueError, match=r"labels must have shape \(1,\) on cuda:\d like the images"):
        images = torch.zeros(1, 1, 2, 2, dtype=torch.uint8, device=cuda)
        vrm_batch(images, torch.tensor([0]), num_classes=2, seed=0, step=0)
