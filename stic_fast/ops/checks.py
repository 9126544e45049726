# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Argument checks that the ops share: each raises one sentence with argument, requirement, what came, and the mend."""

from __future__ import annotations

import torch
from torch import Tensor

from stic_fast.ops.library import DTYPE_CODES

MAX_SEED = 2**64
MAX_STEP = 2**32
MAX_ELEMENTS = 2**34  # a Philox counter word addresses four elements


def check_float_tensor(name: str, value: object) -> Tensor:
    """`value` as a tensor of a floating type the kernels know."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}; pass torch.as_tensor({name})")
    if value.dtype not in DTYPE_CODES:
        raise TypeError(
            f"{name} must be float32, float64, bfloat16 or float16, got {value.dtype}; convert it with {name}.float()"
        )
    return value


def check_chains(name: str, value: object) -> Tensor:
    """`value` as a floating tensor whose first dimension counts chains."""
    tensor = check_float_tensor(name, value)
    if tensor.dim() < 1:
        raise ValueError(f"{name} must have shape (chains, ...), got a scalar; add a dimension with {name}[None]")
    if tensor.numel() and tensor.numel() // tensor.shape[0] > MAX_ELEMENTS:
        raise ValueError(f"{name} must have at most 2**34 elements a chain, got shape {tuple(tensor.shape)}; split it")
    return tensor


def check_like(name: str, value: object, like_name: str, like: Tensor) -> Tensor:
    """`value` as a tensor of the shape, dtype and device of `like`."""
    tensor = check_float_tensor(name, value)
    if tensor.shape == like.shape and tensor.dtype == like.dtype and tensor.device == like.device:
        return tensor
    for what, got, wanted in (
        ("shape", tuple(tensor.shape), tuple(like.shape)),
        ("dtype", tensor.dtype, like.dtype),
        ("device", tensor.device, like.device),
    ):
        if got != wanted:
            raise (TypeError if what == "dtype" else ValueError)(
                f"{name} must have the {what} of {like_name}, {wanted}, got {got}; bring both to the same {what}"
            )
    return tensor


def check_per_chain(name: str, value: object, chains: int, device: torch.device) -> Tensor:
    """`value` as a floating tensor with one number per chain."""
    tensor = check_float_tensor(name, value)
    if tuple(tensor.shape) != (chains,) or tensor.device != device:
        raise ValueError(
            f"{name} must hold one value per chain, shape ({chains},) on {device}, "
            f"got shape {tuple(tensor.shape)} on {tensor.device}; reshape or move it"
        )
    return tensor


def check_chain_ids(chain_ids: object, chains: int, device: torch.device) -> Tensor | None:
    """Chain ids as int64 (chains,) on the op's device, or None for the batch rows."""
    if chain_ids is None:
        return None
    if not isinstance(chain_ids, Tensor) or chain_ids.dtype != torch.int64:
        came = chain_ids.dtype if isinstance(chain_ids, Tensor) else type(chain_ids).__name__
        raise TypeError(f"chain_ids must be an int64 tensor, got {came}; pass torch.as_tensor(ids, dtype=torch.int64)")
    if tuple(chain_ids.shape) != (chains,) or chain_ids.device != device:
        raise ValueError(
            f"chain_ids must hold one id per chain, shape ({chains},) on {device}, "
            f"got shape {tuple(chain_ids.shape)} on {chain_ids.device}; reshape or move it"
        )
    return chain_ids.contiguous()


def check_seed(seed: object) -> int:
    """A 64-bit seed, as the signed integer that torch passes on."""
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise TypeError(f"seed must be an int, got {type(seed).__name__}; pass a number from 0 to 2**64 - 1")
    if not 0 <= seed < MAX_SEED:
        raise ValueError(f"seed must be in 0 .. 2**64 - 1, got {seed}; reduce it modulo 2**64")
    return seed - MAX_SEED if seed >= MAX_SEED // 2 else seed


def check_step(step: object, device: torch.device) -> tuple[int, Tensor | None]:
    """The step as (number, None), or (0, tensor) where it lives in a one-element int64 tensor on the device."""
    if isinstance(step, Tensor):
        if step.dtype != torch.int64 or step.numel() != 1 or step.device != device:
            raise ValueError(
                f"step as a tensor must be int64 with one element on {device}, got {step.dtype} with "
                f"{step.numel()} elements on {step.device}; build it with torch.tensor(step, device=...)"
            )
        return 0, step
    if not isinstance(step, int) or isinstance(step, bool):
        raise TypeError(f"step must be an int or an int64 tensor, got {type(step).__name__}; count steps from 0")
    if not 0 <= step < MAX_STEP:
        raise ValueError(f"step must be in 0 .. 2**32 - 1, got {step}; a run that long needs a new seed")
    return step, None


def check_range(name: str, bounds: object) -> tuple[float, float]:
    """(low, high) bounds, or ∓infinity for None."""
    if bounds is None:
        return float("-inf"), float("inf")
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise TypeError(f"{name} must be a pair (low, high) or None, got {bounds!r}; images use (-1, 1)")
    low, high = float(bounds[0]), float(bounds[1])
    if not low <= high:
        raise ValueError(f"{name} must have low <= high, got ({low}, {high}); swap them")
    return low, high


def check_step_sizes(sizes: dict[str, object], chains: int, device: torch.device) -> tuple[list[float], Tensor | None]:
    """Step sizes as floats, or as one (len(sizes), chains) float64 tensor if any is given per chain.

    A scalar tensor on another device than the CPU counts as given per chain: reading it would wait for the device.
    """
    if all(type(size) is float for size in sizes.values()):
        return list(sizes.values()), None  # type: ignore[arg-type]
    for name, size in sizes.items():
        if isinstance(size, Tensor) and size.requires_grad:
            raise ValueError(f"{name} must not require grad, step sizes are constants; pass {name}.detach()")
    if not any(_stays_tensor(size) for size in sizes.values()):
        return [_check_number(name, size) for name, size in sizes.items()], None
    rows = []
    for name, size in sizes.items():
        if isinstance(size, Tensor) and _stays_tensor(size):
            per_chain = size if size.dim() > 0 else size.expand(chains)
            rows.append(check_per_chain(name, per_chain, chains, device).to(torch.float64))
        else:
            rows.append(torch.full((chains,), _check_number(name, size), dtype=torch.float64, device=device))
    return [0.0] * len(sizes), torch.stack(rows)


def _stays_tensor(size: object) -> bool:
    return isinstance(size, Tensor) and (size.dim() > 0 or size.device.type != "cpu")


def _check_number(name: str, size: object) -> float:
    if isinstance(size, bool) or not isinstance(size, int | float | Tensor):
        raise TypeError(f"{name} must be a float or one value per chain, got {type(size).__name__}; pass a number")
    return float(size)
