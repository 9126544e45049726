# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Argument checks that the ops share: each raises one sentence with argument, requirement, what came, and the hint.

An op checks its tensors itself, below the dispatcher (`library.register`), so that a raw call of
`torch.ops.stic_fast.*` meets the same checks as a public function. What a public function checks before is what an op's
schema cannot say: Python's types, and numbers that it converts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from stic_fast.ops.differentiation import in_forward_mode
from stic_fast.ops.library import DTYPE_CODES

MAX_SEED = 2**64
MAX_STEP = 2**32
MAX_ELEMENTS = 2**34  # a Philox counter word addresses four elements

KEPT = "what gram_loss returned with its gradient"
"""How messages describe what the gradient of the Gram loss takes back."""

Kind: TypeAlias = tuple[torch.Size, torch.dtype, torch.device]
"""What tensors of one kind share: shape, dtype and device."""


def check_tensor(name: str, value: object) -> Tensor:
    """`value` as a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}; pass torch.as_tensor({name})")
    return value


def check_float(name: str, dtype: torch.dtype, hint: str) -> None:
    """That the kernels know a floating type."""
    if dtype not in DTYPE_CODES:
        raise TypeError(f"{name} must be float32, float64, bfloat16 or float16, got {dtype}; {hint}")


def check_float_tensor(name: str, value: object) -> Tensor:
    """`value` as a tensor of a floating type the kernels know."""
    tensor = check_tensor(name, value)
    check_float(name, tensor.dtype, f"convert it with {name}.float()")
    return tensor


def check_chains(name: str, tensor: Tensor) -> Kind:
    """The kind of a floating tensor whose first dimension counts chains."""
    kind = shape, dtype, _ = tensor.shape, tensor.dtype, tensor.device
    if dtype not in DTYPE_CODES:
        check_float_tensor(name, tensor)
    if not shape:
        raise ValueError(f"{name} must have shape (chains, ...), got a scalar; add a dimension with {name}[None]")
    if tensor.numel() > MAX_ELEMENTS and tensor.numel() // shape[0] > MAX_ELEMENTS:
        raise ValueError(f"{name} must have at most 2**34 elements a chain, got shape {tuple(shape)}; split it")
    return kind


def check_like(name: str, tensor: Tensor, like_name: str, like: Kind) -> None:
    """That a tensor has the shape, dtype and device of another, whose kind is `like`."""
    if (kind := (tensor.shape, tensor.dtype, tensor.device)) == like:
        return
    for what, got, wanted in zip(("shape", "dtype", "device"), kind, like, strict=True):
        if got != wanted:
            got, wanted = (tuple(value) if what == "shape" else value for value in (got, wanted))  # type: ignore[arg-type]
            raise (TypeError if what == "dtype" else ValueError)(
                f"{name} must have the {what} of {like_name}, {wanted}, got {got}; bring both to the same {what}"
            )


def check_numbers(name: str, tensor: Tensor, what: str, kind: Kind) -> None:
    """That a tensor of numbers beside the chains, described by `what`, has the shape, dtype and device of `kind`."""
    if (tensor.shape, tensor.dtype, tensor.device) != kind:
        shape, dtype, device = kind
        raise (ValueError if tensor.dtype == dtype else TypeError)(
            f"{name} must hold {what}, shape {tuple(shape)} on {device} of {dtype}, "
            f"got shape {tuple(tensor.shape)} on {tensor.device} of {tensor.dtype}; reshape, move or convert it"
        )


def check_per_chain(name: str, value: object, chains: int, device: torch.device) -> Tensor:
    """`value` as a floating tensor with one number per chain."""
    tensor = check_float_tensor(name, value)
    check_numbers(name, tensor, "one value per chain", (torch.Size((chains,)), tensor.dtype, device))
    return tensor


def check_chain_ids(chain_ids: object) -> Tensor | None:
    """Chain ids as a tensor, or None for the batch rows."""
    if chain_ids is not None and not isinstance(chain_ids, Tensor):
        raise TypeError(
            f"chain_ids must be an int64 tensor, got {type(chain_ids).__name__}; "
            "pass torch.as_tensor(ids, dtype=torch.int64)"
        )
    return chain_ids


def check_noise_address(
    chain_ids: Tensor | None, step_tensor: Tensor | None, step: int, chains: int, device: torch.device
) -> None:
    """That noise can be addressed by ids, int64 (chains,), and by a step, a number or one int64 on the device."""
    if chain_ids is not None:
        if chain_ids.dtype != torch.int64:
            raise TypeError(
                f"chain_ids must be an int64 tensor, got {chain_ids.dtype}; convert it with chain_ids.long()"
            )
        if chain_ids.shape != (chains,) or chain_ids.device != device:
            raise ValueError(
                f"chain_ids must hold one id per chain, shape ({chains},) on {device}, "
                f"got shape {tuple(chain_ids.shape)} on {chain_ids.device}; reshape or move it"
            )
    if step_tensor is not None and (
        step_tensor.dtype != torch.int64 or step_tensor.numel() != 1 or step_tensor.device != device
    ):
        raise ValueError(
            f"step as a tensor must be int64 with one element on {device}, got {step_tensor.dtype} with "
            f"{step_tensor.numel()} elements on {step_tensor.device}; build it with torch.tensor(step, device=...)"
        )
    if not 0 <= step < MAX_STEP:
        raise ValueError(f"step must be in 0 .. 2**32 - 1, got {step}; a run that long needs a new seed")


def check_seed(seed: object) -> int:
    """A 64-bit seed, as the signed integer that torch passes on."""
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise TypeError(f"seed must be an int, got {type(seed).__name__}; pass a number from 0 to 2**64 - 1")
    if not 0 <= seed < MAX_SEED:
        raise ValueError(f"seed must be in 0 .. 2**64 - 1, got {seed}; reduce it modulo 2**64")
    return seed - MAX_SEED if seed >= MAX_SEED // 2 else seed


def check_step(step: object) -> tuple[int, Tensor | None]:
    """The step as (number, None), or as (0, tensor) where it lives in a tensor."""
    if isinstance(step, Tensor):
        return 0, step
    if not isinstance(step, int) or isinstance(step, bool):
        raise TypeError(f"step must be an int or an int64 tensor, got {type(step).__name__}; count steps from 0")
    return step, None


def check_pair(name: str, bounds: object) -> tuple[float, float]:
    """(low, high) bounds, or ∓infinity for None."""
    if bounds is None:
        return float("-inf"), float("inf")
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise TypeError(f"{name} must be a pair (low, high) or None, got {bounds!r}; images use (-1, 1)")
    return float(bounds[0]), float(bounds[1])


def check_range(name: str, low: float, high: float) -> None:
    if not low <= high:
        raise ValueError(f"{name} must have low <= high, got ({low}, {high}); swap them")


def check_overwritable(
    name: str, target: Tensor, alike: Sequence[Tensor | None], others: Sequence[Tensor | None]
) -> None:
    """That a contiguous `target` may be written while the rest is read, by torch's own rule for in-place operations.

    Each of `alike` may be the target, element for element, or lie apart. `others` must lie apart. What is not
    contiguous is copied before and may lie anywhere.
    """
    begin, size = target.data_ptr(), target.nbytes
    for index, tensor in enumerate((*alike, *others)):
        if tensor is None:
            continue
        at = tensor.data_ptr()
        if at >= begin + size or at + tensor.nbytes <= begin or not tensor.is_contiguous():
            continue
        if index >= len(alike) or at != begin or tensor.nbytes != size:
            raise RuntimeError(
                f"{name} is overwritten and shares a part of its memory with a tensor of shape {tuple(tensor.shape)} "
                "that is read; pass a clone() of that tensor"
            )


def check_step_sizes(sizes: dict[str, object], x: Tensor) -> tuple[list[float], Tensor | None]:
    """Step sizes as floats, or as one (len(sizes), chains) float64 tensor if any is given per chain of x.

    A scalar tensor on another device than the CPU counts as given per chain: reading it would wait for the device.
    """
    if all(type(size) is float for size in sizes.values()):
        return list(sizes.values()), None  # type: ignore[arg-type]
    for name, size in sizes.items():
        if isinstance(size, Tensor) and size.requires_grad:
            raise ValueError(f"{name} must not require grad, step sizes are constants; pass {name}.detach()")
    if not any(_stays_tensor(size) for size in sizes.values()):
        return [_check_number(name, size) for name, size in sizes.items()], None
    (chains, *_), _, device = check_chains("x", x)
    rows = []
    for name, size in sizes.items():
        if isinstance(size, Tensor) and _stays_tensor(size):
            per_chain = size if size.dim() > 0 else size.expand(chains)
            rows.append(check_per_chain(name, per_chain, chains, device).to(torch.float64))
        else:
            rows.append(torch.full((chains,), _check_number(name, size), dtype=torch.float64, device=device))
    return [0.0] * len(sizes), torch.stack(rows)


def _stays_tensor(size: object) -> bool:
    return isinstance(size, Tensor) and (
        size.dim() > 0
        or size.device.type != "cpu"
        or in_forward_mode()
        or torch._C._functorch.is_functorch_wrapped_tensor(size)  # what a slice of vmap has is no number
    )


def _check_number(name: str, size: object) -> float:
    if isinstance(size, bool) or not isinstance(size, int | float | Tensor):
        raise TypeError(f"{name} must be a float or one value per chain, got {type(size).__name__}; pass a number")
    return float(size)
