# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The torch.library namespace `stic_fast`: how each op is registered.

An op has a native kernel for the CPU, where built one for CUDA too, a reference in plain PyTorch that serves every
other device, a fake for tracing, and where it is differentiable an autograd formula.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from stic_fast.native import kernels

LIBRARY = torch.library.Library("stic_fast", "DEF")

DTYPE_CODES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
"""The kernels' names of the storage types (csrc/core/arguments.h, enum DType)."""

_LARGE = 2**23
"""Bytes from which an output asks for large pages: the C library keeps smaller blocks for the next allocation."""


def register(
    name: str,
    arguments: str,
    returns: str,
    *,
    cpu: Callable[..., Any],
    cuda: Callable[..., Any] | None = None,
    reference: Callable[..., Any],
    fake: Callable[..., Any],
) -> None:
    """Defines `torch.ops.stic_fast.NAME` with its native kernels, its reference for other devices, and its fake."""
    LIBRARY.define(f"{name}({arguments}) -> {returns}", tags=(torch.Tag.pt2_compliant_tag,))
    LIBRARY.impl(name, cpu, "CPU")
    LIBRARY.impl(name, reference if cuda is None else native_where_possible(cuda, reference), "CUDA")
    for backend in ("MPS", "XPU"):
        LIBRARY.impl(name, reference, backend)
    if "(a!)" in arguments:
        LIBRARY.impl(name, _counting_mutation(name), "ADInplaceOrView", with_keyset=True)
    torch.library.register_fake(f"stic_fast::{name}", fake, lib=LIBRARY)


@functools.cache
def has_cuda_kernels(device: int) -> bool:
    """Whether this build has kernels for CUDA and the device of that index can run them: compute capability 8.0."""
    return kernels.cuda is not None and kernels.cuda.supports(device)


def native_where_possible(native: Callable[..., Any], reference: Callable[..., Any]) -> Callable[..., Any]:
    """An op for CUDA: native where the device of the first tensor can run the kernels, else the reference."""

    def choose(first: torch.Tensor | list[torch.Tensor], *arguments: Any) -> Any:
        place = (first if isinstance(first, torch.Tensor) else first[0]).device
        return (native if has_cuda_kernels(place.index) else reference)(first, *arguments)

    return choose


def run(kernel: str, place: torch.device, *arguments: Any) -> None:
    """Calls a kernel: on the CPU with torch's number of threads, on CUDA on torch's current stream of the device.

    There it is only put on the stream; nothing waits for it, so that it can be captured in a CUDA graph.
    """
    if place.type == "cuda":
        stream = torch._C._cuda_getCurrentRawStream(place.index)
        getattr(kernels.cuda, kernel)(*arguments, place.index, stream)
    else:
        getattr(kernels, kernel)(*arguments, torch.get_num_threads())


def _counting_mutation(name: str) -> Callable[..., Any]:
    """Counts up the version of the first argument, so that a backward pass that saved its old value refuses to run."""

    def overwrite(keys: torch._C.DispatchKeySet, target: torch.Tensor, *arguments: Any) -> Any:
        torch.autograd.graph.increment_version(target)
        op = getattr(torch.ops.stic_fast, name).default
        return op.redispatch(keys & torch._C._after_ADInplaceOrView_keyset, target, *arguments)

    return overwrite


def register_autograd(name: str, backward: Callable[..., Any], setup_context: Callable[..., None]) -> None:
    """Gives the op its derivative."""
    torch.library.register_autograd(f"stic_fast::{name}", backward, setup_context=setup_context, lib=LIBRARY)


def address(tensor: torch.Tensor | None) -> int:
    """The data pointer a kernel reads or writes; 0 stands for an absent tensor."""
    return 0 if tensor is None else tensor.data_ptr()


def fresh(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor just allocated for a kernel to fill, in large pages if it is large and the system has them."""
    if tensor.nbytes >= _LARGE and tensor.device.type == "cpu":
        kernels.prefer_huge_pages(tensor.data_ptr(), tensor.nbytes)
    return tensor
