# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How the ops come to their CUDA kernels, as far as that shows without a GPU."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from stic_fast import grmala_step, grmala_step_, metropolis_accept, noise
from stic_fast.ops import library
from stic_fast.ops.vrm_batch import _native as native_vrm_batch

OPS = ("normal", "uniform", "grmala_step", "grmala_step_", "metropolis_accept", "scaled_silu", "vrm_batch")


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("backend", ["CPU", "CUDA", "MPS", "XPU"])
def test_every_op_is_registered(name: str, backend: str) -> None:
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"stic_fast::{name}", backend)


def test_the_reference_serves_devices_that_cannot_run_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    op = library.native_where_possible(lambda *arguments: "native", lambda *arguments: "reference")
    for possible, wanted in ((True, "native"), (False, "reference")):
        monkeypatch.setattr(library, "has_cuda_kernels", lambda index, possible=possible: possible)
        assert op(torch.zeros(2), 1) == op([torch.zeros(2)], 1) == wanted


def test_a_device_has_kernels_only_if_the_build_does(monkeypatch: pytest.MonkeyPatch) -> None:
    has_kernels = library.has_cuda_kernels.__wrapped__
    monkeypatch.setattr(library, "kernels", SimpleNamespace(cuda=None))
    assert not has_kernels(0)
    monkeypatch.setattr(library, "kernels", SimpleNamespace(cuda=SimpleNamespace(supports=lambda index: index == 1)))
    assert has_kernels(1) and not has_kernels(0)


def test_a_kernel_gets_its_device_and_torchs_current_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    cuda = SimpleNamespace(grmala_step=lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(library, "kernels", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(torch._C, "_cuda_getCurrentRawStream", lambda index: 1000 + index, raising=False)
    library.launch("grmala_step", torch.device("cuda", 3), 7, 0.5)
    assert calls == [(7, 0.5, 3, 1003)]


def test_nothing_waits_for_the_device() -> None:
    """A fake tensor has no value: whatever would read one, as `float(size)` or `int(step)`, raises here."""
    with FakeTensorMode():
        x, per_chain, scalar = (torch.empty(shape, device="cuda:0") for shape in ((4, 3, 8, 8), (4,), ()))
        step, ids = (torch.empty(shape, dtype=torch.int64, device="cuda:0") for shape in ((1,), (4,)))
        address = {"seed": 1, "step": step, "chain_ids": ids}
        for sizes in ((0.1, 0.2, 0.3), (scalar, 0.2, per_chain), (scalar, scalar, scalar)):
            eps = dict(zip(("eps1", "eps2", "eps3"), sizes, strict=True))
            assert grmala_step(x, x, x, **eps, **address).device == x.device
            assert grmala_step_(x, x, x, **eps, **address) is x
            del eps["eps2"]
            accepted = metropolis_accept(x, x, per_chain, per_chain, x, x, **eps, **address)
            assert accepted.x.device == accepted.log_alpha.device == x.device
        assert noise.normal((4, 5), **address).device == noise.uniform((4, 5), **address).device == x.device


@pytest.mark.parametrize(("alpha", "waits"), [(0.0, False), (1.0, False), (0.4, True)])
def test_a_batch_of_soft_labels_waits_for_nothing(monkeypatch: pytest.MonkeyPatch, alpha: float, waits: bool) -> None:
    """Nor has a tensor on the meta device a value."""
    monkeypatch.setattr(sys.modules["stic_fast.ops.vrm_batch"], "run", lambda *_: None)  # nor an address
    images = torch.empty(4, 1, 8, 8, dtype=torch.uint8, device="meta")
    soft, classes = torch.empty(4, 3, device="meta"), torch.empty(4, dtype=torch.int64, device="meta")
    options = (torch.arange(4, device="meta"), None, 3, alpha, 0.3, 0.5, 2, 1, 0, torch.float32)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta") if waits else nullcontext():
        assert native_vrm_batch(images, soft, *options)[1].shape == (4, 3)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        native_vrm_batch(images, classes, *options)
