# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Langevin update as others write it: as a loop in PyTorch, and torchebm's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Eps = float | Tensor


def eager(x: Tensor, uphill: Tensor, downhill: Tensor, eps1: Eps, eps2: Eps, eps3: Eps) -> Tensor:
    return (x + eps1 * uphill - eps2 * downhill + eps3 * torch.randn_like(x)).clamp(-1, 1)


def eager_in_place(x: Tensor, uphill: Tensor, downhill: Tensor, eps1: Eps, eps2: Eps, eps3: Eps) -> Tensor:
    x += eps1 * uphill - eps2 * downhill + eps3 * torch.randn_like(x)
    return x.clamp_(-1, 1)


def torchebm_step(dtype: torch.dtype, eps1: float, eps3: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The body of the loop of torchebm.samplers.LangevinDynamics.sample (0.8.9), the gradient given.

    x ← clamp(x + η·drift + √(2D)·√η·N(0, 1)) with η = ε1 and D chosen so that the noise is ε3 wide. Its energy would
    have one gradient, so the Gram term counts as already added: one tensor less to read than the other rows have.
    """
    samplers = pytest.importorskip("torchebm.samplers", reason="torchebm is not installed: pip install torchebm")
    from torchebm.core import DoubleWellModel  # any energy: its gradient is never asked for

    sampler = samplers.LangevinDynamics(
        DoubleWellModel(), step_size=eps1, noise_scale=eps3 / (2 * eps1) ** 0.5, clamp=(-1.0, 1.0), dtype=dtype
    )

    def step(x: Tensor, descent: Tensor) -> Tensor:
        moved: Tensor = sampler.integrator.step(
            state={"x": x},
            step_size=sampler.get_scheduled_value("step_size"),
            noise_scale=sampler.get_scheduled_value("noise_scale"),
            drift=lambda _x, _t: -descent,
        )["x"]
        return moved.clamp_(*sampler.clamp)

    return step
