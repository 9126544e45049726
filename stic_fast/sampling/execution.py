# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How the network of a chain is executed: precision, layout and capture, apart from what is sampled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from torch import Tensor

from stic_fast.counts import LATER
from stic_fast.errors import InputError
from stic_fast.models import FixedPasses, Layout, Precision
from stic_fast.sampling.captured_step import pays


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Changes how fast chains run and how they are rounded, and nothing else about them.

    Raises:
        InputError: an unknown precision or layout.
    """

    precision: Precision | None = None
    """Of the network's passes: fp32, bf16, or auto, which is bf16 where the hardware multiplies it and else fp32. None
    is auto on a CUDA device and fp32 on a CPU. The chain's state and log p stay fp32. A network whose own weights are
    float16 loses what `stic_fast.sampling.outputs` names, no more."""
    layout: Layout | None = field(default=None, metadata=LATER)
    """Of the network's weights and features: plain, as the model has them; channels_last; or packed, which is
    channels_last with large weights in the CPU library's own form, there the fastest. None is channels_last on a CUDA
    device and plain on a CPU. They agree within rounding; see `stic_fast.models.FixedPasses`."""
    capture: bool = field(default=True, metadata=LATER)
    """On a CUDA device, run a chain's steps as replays of one CUDA graph, with the same result; a CPU has none. Steps
    that are traced or may stop run eagerly, and so does all of a run that is short or whose model torch.compile has
    compiled. The model's weights must not change meanwhile. See `stic_fast.sampling.captured_step`."""

    def __post_init__(self) -> None:
        for name, kind in (("precision", Precision), ("layout", Layout)):
            value, options = getattr(self, name), get_args(kind)
            if value is not None and value not in options:
                raise InputError(f"{name} must be one of {', '.join(options)}, got {value!r}; choose one")

    def captures(self, network: object, x: Tensor, steps: int) -> bool:
        """Whether so many steps of these chains are run as replays of one graph."""
        compiled = isinstance(network, FixedPasses) and network.compiled
        return self.capture and len(x) > 0 and not compiled and pays(x.device, steps)
