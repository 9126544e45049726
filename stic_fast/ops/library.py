# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The torch.library namespace `stic_fast`: how each op is registered.

An op has a native CPU kernel, a reference in plain PyTorch that also serves every other device, a fake for tracing,
and where it is differentiable an autograd formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from stic_fast.native import kernels

LIBRARY = torch.library.Library("stic_fast", "DEF")

DTYPE_CODES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
"""The kernels' names of the storage types (csrc/cpu/kernels.h, enum DType)."""

_LARGE = 2**23
"""Bytes from which an output asks for large pages: the C library keeps smaller blocks for the next allocation."""


def register(
    name: str,
    arguments: str,
    returns: str,
    *,
    cpu: Callable[..., Any],
    reference: Callable[..., Any],
    fake: Callable[..., Any],
) -> None:
    """Defines `torch.ops.stic_fast.NAME` with its native CPU kernel, its reference for other devices, and its fake."""
    LIBRARY.define(f"{name}({arguments}) -> {returns}", tags=(torch.Tag.pt2_compliant_tag,))
    LIBRARY.impl(name, cpu, "CPU")
    for backend in ("CUDA", "MPS", "XPU"):
        LIBRARY.impl(name, reference, backend)
    if "(a!)" in arguments:
        LIBRARY.impl(name, _counting_mutation(name), "ADInplaceOrView", with_keyset=True)
    torch.library.register_fake(f"stic_fast::{name}", fake, lib=LIBRARY)


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
