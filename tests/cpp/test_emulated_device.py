# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The ops as they run on CUDA, from Python to the kernels: under the emulation, on tensors of the CPU."""

from __future__ import annotations

import importlib.util
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast import grmala_step, grmala_step_, metropolis_accept, noise, vrm_batch
from stic_fast.models import WideResNet
from stic_fast.ops import gram_loss_cuda, gram_loss_op, library
from stic_fast.ops.gram_loss import GramScale, reference_loss
from stic_fast.sampling import GRMALA

HERE = Path(__file__).parent
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]

pytestmark = pytest.mark.native


@pytest.fixture(scope="session")
def emulated(
    compile_program: Callable[..., subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory
) -> ModuleType:
    """The CUDA part of the native module, built for the host."""
    pybind11 = pytest.importorskip("pybind11")
    library_file = tmp_path_factory.mktemp("device") / f"emulated_device{sysconfig.get_config_var('EXT_SUFFIX')}"
    folders = [f"-I{pybind11.get_include()}", f"-I{sysconfig.get_path('include')}"]
    built = compile_program(
        HERE / "emulated_device.cpp", library_file, ["-fPIC", "-shared", "-fvisibility=hidden", *folders]
    )
    if built.returncode != 0 and "Python.h" in built.stdout:
        pytest.skip("needs Python's headers")
    assert built.returncode == 0, built.stdout
    specification = importlib.util.spec_from_file_location("emulated_device", library_file)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.cuda


class OnDevice:
    """Calls the CUDA kernels in place of the CPU's: a device and a stream instead of the number of threads."""

    def __init__(self, device: ModuleType) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Callable[..., None]:
        kernel = getattr(self._device, name)
        return lambda *arguments: kernel(*arguments[:-1], 0, 0)


Both = Callable[[Callable[[], Any]], tuple[Any, Any]]


@pytest.fixture
def both(emulated: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Both:
    """both(draw): the results of draw() on the CPU and on the emulated device."""

    def results(draw: Callable[[], Any]) -> tuple[Any, Any]:
        on_cpu = draw()
        with monkeypatch.context() as patch:
            patch.setattr(library, "kernels", OnDevice(emulated))
            return on_cpu, draw()

    return results


def test_supports_asks_for_code_and_leaves_nothing_behind(emulated: ModuleType) -> None:
    there_are_two, the_current_one, no_error = 2, 0, 0
    assert [emulated.supports(device) for device in range(there_are_two + 1)] == [True, False, False]
    assert emulated.left_behind() == (the_current_one, no_error)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [noise.normal, noise.uniform])
def test_noise_has_the_same_bits(kind: Callable[..., Tensor], dtype: torch.dtype, both: Both) -> None:
    ids = torch.tensor([5, 2**31, 2**40 + 3])
    for step in (7, torch.tensor([7])):
        cpu, device = both(lambda at=step: kind((3, 5, 7), seed=2**63 + 1, step=at, chain_ids=ids, dtype=dtype))
        assert torch.equal(cpu, device)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("per_chain", [False, True])
def test_a_transition_has_the_same_bits(dtype: torch.dtype, per_chain: bool, both: Both) -> None:
    x, uphill, downhill = torch.randn(3, 4, 9, 11, generator=torch.Generator().manual_seed(0)).to(dtype).unbind(0)
    eps1 = torch.tensor([0.1, 0.5, 0.0, 2.0]) if per_chain else 0.3

    def step() -> Tensor:
        return grmala_step(x, uphill, downhill, eps1=eps1, eps2=0.2, eps3=0.1, seed=1, step=3)

    def step_in_place() -> Tensor:
        return grmala_step_(x.clone().mT, uphill.mT, eps1=eps1, eps3=0.1, seed=1, step=torch.tensor(4), clamp=None)

    for draw in (step, step_in_place):
        cpu, device = both(draw)
        assert torch.equal(cpu, device)


@pytest.mark.parametrize("dtype", DTYPES)
def test_metropolis_accept_decides_alike(dtype: torch.dtype, both: Both) -> None:
    generator = torch.Generator().manual_seed(0)
    x, uphill, other = torch.randn(3, 16, 37, generator=generator).to(dtype).unbind(0)
    proposal = (x + 0.1 * other).to(dtype)
    logs = torch.randn(2, 16, generator=generator)
    cpu, device = both(
        lambda: metropolis_accept(
            x, proposal, *logs, uphill, other, eps1=0.01, eps3=0.3, seed=0, step=1, support=(-3.5, 3.5)
        )
    )
    assert torch.equal(cpu.accepted, device.accepted) and torch.equal(cpu.x, device.x)
    assert 0 < cpu.accepted.sum() < 16
    torch.testing.assert_close(cpu.log_alpha, device.log_alpha, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_vrm_batch_has_the_same_bits(dtype: torch.dtype, both: Both) -> None:
    images = torch.randint(0, 256, (5, 3, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(5)
    cpu, device = both(
        lambda: vrm_batch(
            images, labels, num_classes=5, mixup_alpha=0.4, noise_std=0.3, max_shift=2, seed=3, step=5, dtype=dtype
        )
    )
    assert torch.equal(cpu.x, device.x) and torch.equal(cpu.y, device.y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_scaled_silu_and_its_gradient_agree(dtype: torch.dtype, last: bool, per_channel: bool, both: Both) -> None:
    generator = torch.Generator().manual_seed(0)
    order = torch.channels_last if last else torch.contiguous_format
    x, grad = torch.randn(2, 3, 20, 5, 7, generator=generator).to(dtype).unbind(0)
    x = x.contiguous(memory_format=order)
    scale = torch.randn(3, 20, generator=generator).to(dtype) if per_channel else None

    def draw() -> tuple[Tensor, ...]:
        value = torch.ops.stic_fast.scaled_silu(x, scale, 0.7)
        return value, *torch.ops.stic_fast.scaled_silu_backward(grad, x, scale, 0.7)

    for cpu, device in zip(*both(draw), strict=True):
        assert cpu.stride() == device.stride()
        torch.testing.assert_close(cpu, device, rtol=2 * torch.finfo(dtype).eps, atol=20 * torch.finfo(dtype).eps)


LAYERS = [(33, 7, 7), (64, 8, 8), (20, 12, 5), (6, 10, 10), (5, 1, 3)]


def gram_arguments(dtype: torch.dtype, last: bool) -> tuple[list[Tensor], list[Tensor], list[bool], list[bool]]:
    """Layers of both forms, references of their own size, one for all, and a given Gram matrix."""
    generator = torch.Generator().manual_seed(0)

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    layers = [randn(2, *shape) for shape in LAYERS]
    if last:
        layers = [layer.to(memory_format=torch.channels_last) for layer in layers]
    targets = [randn(2, 33, 5, 5), randn(1, 64, 8, 8), randn(2, 20, 9, 9), randn(1, 6, 6), randn(2, 5, 4)]
    is_gram, is_dual = [False, False, False, True, False], [True, True, False, False, True]
    return layers, targets, is_gram, is_dual


@pytest.mark.parametrize("dtype", DTYPES[:1] + DTYPES[2:])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("normalize", ["log", "gatys"])
def test_gram_loss(
    dtype: torch.dtype, last: bool, normalize: GramScale, emulated: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "kernels", OnDevice(emulated))
    monkeypatch.setattr(gram_loss_cuda, "takes", lambda layers: True)
    layers, targets, is_gram, is_dual = gram_arguments(dtype, last)
    arguments = (layers, targets, is_gram, is_dual, normalize)
    exact_layers = [layer.double().requires_grad_() for layer in layers]
    exact = reference_loss(exact_layers, [target.double() for target in targets], is_gram, normalize)
    grad_loss = torch.tensor([0.5, -2.0])
    exact_gradients = torch.autograd.grad((exact * grad_loss).sum(), exact_layers)

    loss, slopes, kept = gram_loss_op._on_cuda(*arguments, True, False)
    for result, fake in zip((loss, slopes, kept), gram_loss_op._fake(*arguments, True, False), strict=True):
        assert (result.shape, result.dtype) == (fake.shape, fake.dtype)
    torch.testing.assert_close(loss, exact.float().detach(), rtol=1e-5, atol=1e-6)
    references = [target if dual else None for target, dual in zip(targets, is_dual, strict=True)]
    gradients = gram_loss_op._gradient_on_cuda(grad_loss, slopes, kept, layers, references)
    for gradient, wanted, layer in zip(gradients, exact_gradients, layers, strict=True):
        assert gradient.stride() == layer.stride() and gradient.dtype == dtype
        largest = wanted.abs().max().item()
        within = max(5e-4, 2 * torch.finfo(dtype).eps) * largest
        torch.testing.assert_close(gradient.double(), wanted.detach(), rtol=0, atol=within)

    alone, _, nothing = gram_loss_op._on_cuda(*arguments, False, False)
    assert torch.equal(alone, loss) and nothing.numel() == 0
    rough, *_ = gram_loss_op._on_cuda(*arguments, False, True)
    torch.testing.assert_close(rough, loss, rtol=2e-3, atol=1e-4)
    assert dtype != torch.float32 or not torch.equal(rough, loss)


def test_small_float16_gradients_outlive_the_pass_before_they_are_scaled(
    emulated: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "kernels", OnDevice(emulated))
    monkeypatch.setattr(gram_loss_cuda, "takes", lambda layers: True)
    features, reference = (1000 * torch.randn(2, 1, 64, 4, 4, generator=torch.Generator().manual_seed(0))).half()
    scale = torch.tensor([2.0**16])
    _, slopes, kept = gram_loss_op._on_cuda([features], [reference], [False], [True], "relative", True, True)
    (gradient,) = gram_loss_op._gradient_on_cuda(scale, slopes, kept, [features], [reference])
    exact = features.double().requires_grad_()
    (wanted,) = torch.autograd.grad(reference_loss([exact], [reference.double()], [False], "relative") * scale, exact)
    assert 0 < wanted.abs().max() / scale < torch.finfo(torch.float16).smallest_normal
    torch.testing.assert_close(gradient.double(), wanted, rtol=0, atol=2e-3 * wanted.abs().max().item())


def test_gram_loss_of_no_chains(emulated: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "kernels", OnDevice(emulated))
    monkeypatch.setattr(gram_loss_cuda, "takes", lambda layers: True)
    layers, target = [torch.zeros(0, 3, 4, 4)], [torch.zeros(0, 3, 4, 4)]
    loss, slopes, kept = gram_loss_op._on_cuda(layers, target, [False], [True], "log", True, True)
    (gradient,) = gram_loss_op._gradient_on_cuda(loss, slopes, kept, layers, target)
    assert loss.shape == (0,) and gradient.shape == (0, 3, 4, 4)


def test_a_chain_has_the_same_bits(both: Both) -> None:
    model = WideResNet(depth=10, width=1, num_classes=3, in_channels=1)
    start = noise.uniform((2, 1, 8, 8), seed=1) * 2 - 1
    cpu, device = both(lambda: GRMALA(steps=3, eps2=0.0).run(model, start, torch.tensor([0, 1]), seed=0).x)
    assert torch.equal(cpu, device)
