# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The torch.library namespace `stic_fast`: how each op is registered.

An op has a check of its arguments, a native kernel for the CPU, where built one for CUDA too, a reference in plain
PyTorch that serves every other device, a fake for tracing, a rule for torch.func.vmap, and where it is differentiable a
kernel for autograd. The check stands before each of them, below the dispatcher, so that no call of an op reaches a
kernel without it; `run` takes the addresses.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch

from stic_fast.native import kernels
from stic_fast.ops.batching import Rule, joined_chains
from stic_fast.ops.differentiation import autograd_kernel

LIBRARY = torch.library.Library("stic_fast", "DEF")

DTYPE_CODES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
"""The kernels' names of the storage types (csrc/core/arguments.h, enum DType)."""

_PROCESS = os.getpid()
"""That imported this. A child that is forked from it has none of its OpenMP threads, and would wait for them for ever:
it computes on one."""
_LARGE = 2**23
"""Bytes from which an output asks for large pages: the C library keeps smaller blocks for the next allocation."""


def register(
    name: str,
    arguments: str,
    returns: str,
    *,
    check: Callable[..., None],
    cpu: Callable[..., Any],
    cuda: Callable[..., Any] | None = None,
    reference: Callable[..., Any],
    fake: Callable[..., Any],
    vmap: Callable[..., Rule] = joined_chains,
    derivative: tuple[Callable[..., Any], Callable[..., None]] | None = None,
    plain: Callable[..., Any] | None = None,
) -> None:
    """Defines `torch.ops.stic_fast.NAME`.

    Args:
        name, arguments, returns: its schema.
        check: raises for arguments that do not fit together: a kernel trusts every shape, dtype and device.
        cpu, cuda: its native kernels.
        reference: the op in plain PyTorch, for other devices.
        fake: for tracing.
        vmap: makes its rule for torch.func.vmap of the op and its check.
        derivative: its backward pass and what that keeps, see `differentiation.autograd_kernel`.
        plain: the differentiable form of `reference`, where that is another.
    """
    LIBRARY.define(f"{name}({arguments}) -> {returns}", tags=(torch.Tag.pt2_compliant_tag,))
    on_cuda = reference if cuda is None else native_where_possible(cuda, reference)
    for backend, implementation in (("CPU", cpu), ("CUDA", on_cuda), ("MPS", reference), ("XPU", reference)):
        LIBRARY.impl(name, _after(name, check, implementation), backend)
    torch.library.register_fake(f"stic_fast::{name}", _after(name, check, fake), lib=LIBRARY)
    op = getattr(torch.ops.stic_fast, name).default
    rule = vmap(op, _after(name, check, lambda *_: None))
    torch.library.register_vmap(f"stic_fast::{name}", rule, lib=LIBRARY)
    if derivative is not None:
        kernel = autograd_kernel(op, *derivative, _after(name, check, reference if plain is None else plain))
        LIBRARY.impl(name, kernel, "Autograd", with_keyset=True)


def _after(name: str, check: Callable[..., None], implementation: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*arguments: Any) -> Any:
        try:
            check(*arguments)
        except AttributeError:  # the dispatcher lets None pass for any tensor
            _refuse_none(name, arguments)
            raise
        return implementation(*arguments)

    return checked


def _refuse_none(name: str, arguments: Sequence[Any]) -> None:
    schema = getattr(torch.ops.stic_fast, name).default._schema
    for argument, value in zip(schema.arguments, arguments, strict=True):
        entries = value if isinstance(value, list) else [value]
        if any(entry is None for entry in entries) and "Optional" not in str(argument.type):
            raise TypeError(f"{argument.name} must be a torch.Tensor, got None; pass one")


@functools.cache
def has_cuda_kernels(device: int) -> bool:
    """Whether this build has kernels for CUDA and the device of that index can run them: it holds code for it."""
    return kernels.cuda is not None and kernels.cuda.supports(device)


def native_where_possible(native: Callable[..., Any], reference: Callable[..., Any]) -> Callable[..., Any]:
    """An op for CUDA: native where the device of the first tensor can run the kernels, else the reference."""

    def choose(first: torch.Tensor | list[torch.Tensor], *arguments: Any) -> Any:
        place = (first if isinstance(first, torch.Tensor) else first[0]).device
        return (native if has_cuda_kernels(place.index) else reference)(first, *arguments)

    return choose


def run(
    kernel: str,
    place: torch.device,
    outputs: Sequence[torch.Tensor],
    inputs: Sequence[torch.Tensor | None],
    *numbers: Any,
) -> None:
    """Calls a kernel with the addresses of its outputs and inputs, then its numbers.

    It runs on the CPU with torch's number of threads, or on one in a forked child; on CUDA on torch's current stream of
    the device. There it is only put on the stream; nothing waits for it, so that it can be captured in a CUDA graph.

    Args:
        kernel: its name in the native module.
        place: the device of all tensors.
        outputs: contiguous, written.
        inputs: read; those that are not contiguous are copied before, and kept until the kernel is on its way.
        numbers: the arguments that are no tensors.
    """
    dense = [None if tensor is None else tensor.contiguous() for tensor in inputs]
    addresses = [0 if tensor is None else tensor.data_ptr() or _empty(tensor) for tensor in (*outputs, *dense)]
    launch(kernel, place, *addresses, *numbers)


def launch(kernel: str, place: torch.device, *arguments: Any) -> None:
    """Calls a kernel with what the native module takes."""
    if place.type == "cuda":
        stream = torch._C._cuda_getCurrentRawStream(place.index)
        getattr(kernels.cuda, kernel)(*arguments, place.index, stream)
    else:
        getattr(kernels, kernel)(*arguments, torch.get_num_threads() if os.getpid() == _PROCESS else 1)


def address(tensor: torch.Tensor | None) -> int:
    """The data pointer a kernel reads or writes; 0 stands for an absent tensor and for one without elements."""
    return 0 if tensor is None else tensor.data_ptr() or _empty(tensor)


def _empty(tensor: torch.Tensor) -> int:
    """The address of a tensor without memory, which must be one without elements."""
    if tensor.numel():
        raise ValueError(f"a tensor of shape {tuple(tensor.shape)} has no memory, its storage was freed; fill it anew")
    return 0


def fresh(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor just allocated for a kernel to fill, in large pages if it is large and the system has them."""
    if tensor.nbytes >= _LARGE and tensor.device.type == "cpu":
        kernels.prefer_huge_pages(tensor.data_ptr(), tensor.nbytes)
    return tensor
