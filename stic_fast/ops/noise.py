# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Noise as a pure function: normal(seed, chain, step, element, stream).

Philox4x32-10 (Salmon et al., SC 2011) with the 64-bit seed as key and the counter (element // 4, chain, step, stream);
its four words serve elements 4k .. 4k + 3. Normals are two Box–Muller pairs, uniforms the upper 24 bits of each word.
The same chain gets the same noise whatever the batch it sits in, the number of threads or the instruction set.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stic_fast.ops.checks import (
    MAX_ELEMENTS,
    check_chain_ids,
    check_float,
    check_noise_address,
    check_seed,
    check_step,
)
from stic_fast.ops.library import DTYPE_CODES, fresh, register, run


class Stream(enum.IntEnum):
    """The uses noise is put to; each has its own stream, so that no two share a random word."""

    LANGEVIN = 0
    CHAIN_INIT = 1
    REINIT_COIN = 2
    INSTANCE_NOISE = 3
    MIXUP = 4
    AUGMENTATION = 5
    METROPOLIS = 6
    BATCH_ORDER = 7
    LATENT = 8
    PATCH = 9
    NOISE_LEVEL = 10
    PROBE = 11
    FILTERS = 12


def normal(
    shape: Sequence[int],
    *,
    seed: int,
    step: int | Tensor = 0,
    chain_ids: Tensor | None = None,
    stream: int = Stream.LANGEVIN,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Standard normal noise of the noise contract.

    Args:
        shape: (chains, *sample); the element index runs row-major inside one sample.
        seed: 0 .. 2⁶⁴ − 1.
        step: 0 .. 2³² − 1, or a one-element int64 tensor on the device (a captured graph then draws anew).
        chain_ids: int64 (chains,), taken modulo 2³²; if None the batch rows, in torch.func.vmap those of each slice.
        stream: which use of noise this is, 0 .. 2³² − 1.
        dtype: float32, float64, bfloat16 or float16; the values are those of float32, rounded.
        device: where the result lives; where chain_ids does, or the CPU, if None.

    Returns:
        Tensor of `shape`; |value| ≤ 6.66.

    Raises:
        TypeError, ValueError: an argument out of range; the message names it.

    >>> from stic_fast import noise
    >>> batch = noise.normal((8, 3), seed=7)
    >>> torch.equal(batch[5:6], noise.normal((1, 3), seed=7, chain_ids=torch.tensor([5])))
    True
    """
    return _draw("normal", shape, seed, step, chain_ids, stream, dtype, device)


def uniform(
    shape: Sequence[int],
    *,
    seed: int,
    step: int | Tensor = 0,
    chain_ids: Tensor | None = None,
    stream: int = Stream.LANGEVIN,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Uniform noise on [0, 1), multiples of 2⁻²⁴; arguments as for `normal`.

    In bfloat16 and float16 the rounding can reach 1.

    >>> from stic_fast import noise
    >>> u = noise.uniform((2, 1000), seed=7)
    >>> bool((u >= 0).all() and (u < 1).all())
    True
    """
    return _draw("uniform", shape, seed, step, chain_ids, stream, dtype, device)


def _draw(
    kind: str,
    shape: Sequence[int],
    seed: int,
    step: int | Tensor,
    chain_ids: Tensor | None,
    stream: int,
    dtype: torch.dtype,
    device: torch.device | str | None,
) -> Tensor:
    shape = [int(size) for size in shape]
    if not shape or min(shape) < 0:
        raise ValueError(f"shape must be (chains, *sample) of sizes >= 0, got {tuple(shape)}; name the chains first")
    if not isinstance(stream, int):
        raise TypeError(f"stream must be an int, got {type(stream).__name__}; see stic_fast.noise.Stream")
    ids = check_chain_ids(chain_ids)
    if device is None:
        device = "cpu" if ids is None else ids.device
    if ids is None:
        ids = torch.arange(shape[0], device=device)
    else:
        place = torch.empty(0, device=device).device  # with its index, as tensors have it
        check_noise_address(ids, None, 0, shape[0], place)
    number, step_tensor = check_step(step)
    op = torch.ops.stic_fast.normal.default if kind == "normal" else torch.ops.stic_fast.uniform.default
    return op(ids, step_tensor, shape[1:], check_seed(seed), number, int(stream), dtype)


def _check(
    chain_ids: Tensor,
    step_tensor: Tensor | None,
    sample: Sequence[int],
    seed: int,
    step: int,
    stream: int,
    dtype: torch.dtype,
) -> None:
    if chain_ids.dim() != 1:
        raise ValueError(f"chain_ids must have shape (chains,), got {tuple(chain_ids.shape)}; flatten them")
    check_noise_address(chain_ids, step_tensor, step, chain_ids.shape[0], chain_ids.device)
    elements = 1
    for size in sample:
        if size < 0:
            raise ValueError(f"the sample's shape must have sizes >= 0, got {tuple(sample)}; name them anew")
        elements *= size
    if elements > MAX_ELEMENTS:
        raise ValueError(f"shape must have at most 2**34 elements a chain, got {tuple(sample)}; split the sample")
    check_float("dtype", dtype, "convert afterwards")
    if not 0 <= stream < 2**32:
        raise ValueError(f"stream must be in 0 .. 2**32 - 1, got {stream}; see stic_fast.noise.Stream")


def words(chain_ids: Tensor, elements: int, seed: int, step: int | Tensor, stream: int) -> Tensor:
    """Reference: the Philox words of each element, int64 (chains, elements) in 0 .. 2³² − 1, in PyTorch integers."""
    mask = 0xFFFFFFFF
    quads = torch.arange((elements + 3) // 4, device=chain_ids.device)
    counter = [
        quads.expand(len(chain_ids), -1),
        (chain_ids & mask)[:, None].expand(-1, len(quads)),
        torch.as_tensor(step, device=chain_ids.device).reshape(()).expand(len(chain_ids), len(quads)) & mask,
        torch.full((len(chain_ids), len(quads)), stream & mask, device=chain_ids.device),
    ]
    block = philox4x32_10(counter, seed & mask, (seed >> 32) & mask)
    return torch.stack(block, dim=-1).flatten(1)[:, :elements]


def philox4x32_10(counter: Sequence[Tensor], key0: int, key1: int) -> list[Tensor]:
    """Reference: ten rounds of Philox on four int64 tensors of 32-bit words.

    >>> [f"{int(word):08x}" for word in philox4x32_10([torch.tensor(0)] * 4, 0, 0)]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    mask = 0xFFFFFFFF
    counter = list(counter)
    for _ in range(10):
        product0, product1 = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [
            ((product1 >> 32) & mask) ^ counter[1] ^ key0,
            product1 & mask,
            ((product0 >> 32) & mask) ^ counter[3] ^ key1,
            product0 & mask,
        ]
        key0, key1 = (key0 + 0x9E3779B9) & mask, (key1 + 0xBB67AE85) & mask
    return counter


def reference_normal(
    chain_ids: Tensor,
    step_tensor: Tensor | None,
    sample: Sequence[int],
    seed: int,
    step: int,
    stream: int,
    dtype: torch.dtype,
) -> Tensor:
    """Reference: Box–Muller in float64 on the kernels' fp32 uniforms; the kernels agree with it to fp32 rounding."""
    elements = math.prod(sample)
    word = words(chain_ids, (elements + 3) // 4 * 4, seed, step if step_tensor is None else step_tensor, stream)
    a, b = (word[:, 0::2] >> 1).float().double(), word[:, 1::2].double()
    radius = torch.sqrt(-2 * torch.log((a * 2**-31 + 2**-32).float().double()))
    turn = 2 * math.pi * _centred_quarter_turns(b)
    pair = torch.stack((radius * torch.cos(turn), radius * torch.sin(turn)), dim=-1)
    return pair.flatten(1)[:, :elements].reshape(len(chain_ids), *sample).float().to(dtype)


def _centred_quarter_turns(word: Tensor) -> Tensor:
    """The angle of a word in turns: its top two bits choose the quarter, the rest the signed place within it."""
    quarter = torch.floor(word / 2**30)
    rest = word - quarter * 2**30
    return (quarter + torch.where(rest < 2**29, rest, rest - 2**30) / 2**30) / 4


def reference_uniform(
    chain_ids: Tensor,
    step_tensor: Tensor | None,
    sample: Sequence[int],
    seed: int,
    step: int,
    stream: int,
    dtype: torch.dtype,
) -> Tensor:
    """Reference: the upper 24 bits of the same words."""
    word = words(chain_ids, math.prod(sample), seed, step if step_tensor is None else step_tensor, stream)
    return ((word >> 8).float() * 2**-24).reshape(len(chain_ids), *sample).to(dtype)


def _native(is_normal: bool):
    def draw(
        chain_ids: Tensor,
        step_tensor: Tensor | None,
        sample: Sequence[int],
        seed: int,
        step: int,
        stream: int,
        dtype: torch.dtype,
    ) -> Tensor:
        chains = chain_ids.shape[0]
        out = fresh(chain_ids.new_empty((chains, *sample), dtype=dtype))
        run(
            "noise_fill",
            chain_ids.device,
            (out,),
            (chain_ids, step_tensor),
            DTYPE_CODES[dtype],
            chains,
            math.prod(sample),
            seed,
            step,
            stream,
            is_normal,
        )
        return out

    return draw


def _fake(chain_ids: Tensor, step_tensor: Tensor | None, sample: Sequence[int], *numbers: Any) -> Tensor:
    *_, dtype = numbers
    return chain_ids.new_empty((chain_ids.shape[0], *sample), dtype=dtype)


for _name, _reference in (("normal", reference_normal), ("uniform", reference_uniform)):
    _draw_native = _native(_name == "normal")
    register(
        _name,
        "Tensor chain_ids, Tensor? step_tensor, SymInt[] sample, int seed, SymInt step, int stream, ScalarType dtype",
        "Tensor",
        check=_check,
        cpu=_draw_native,
        cuda=_draw_native,
        reference=_reference,
        fake=_fake,
    )
