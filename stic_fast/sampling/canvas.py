# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The canvases chains start from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.ops import noise

Canvas = Literal["uniform", "normal", "blank"]


def canvas(
    kind: Canvas,
    image_shape: Sequence[int],
    chain_ids: Tensor,
    *,
    seed: int,
    step: int = 0,
) -> Tensor:
    """The state x_0 of each chain, float32 (chains, *image_shape) in [−1, 1].

    Args:
        kind: "uniform" noise (STIC, section 4), "normal" noise clamped to the box (section 10), or "blank", all 255
            (the abstract).
        image_shape: (channels, height, width).
        chain_ids: int64 (chains,); with seed and step they address the noise, on the chain-init stream.

    >>> canvas("blank", (1, 2, 2), torch.arange(3), seed=0).unique()
    tensor([1.])
    """
    shape = (len(chain_ids), *image_shape)
    where = {"seed": seed, "step": step, "chain_ids": chain_ids, "stream": noise.Stream.CHAIN_INIT}
    if kind == "uniform":
        return noise.uniform(shape, device=chain_ids.device, **where) * 2 - 1  # type: ignore[arg-type]
    if kind == "normal":
        return noise.normal(shape, device=chain_ids.device, **where).clamp_(-1, 1)  # type: ignore[arg-type]
    if kind == "blank":
        return torch.ones(shape, device=chain_ids.device)
    raise InputError(f"unknown canvas {kind!r}; choose one of {', '.join(get_args(Canvas))}")
