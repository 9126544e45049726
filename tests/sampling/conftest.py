# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the sampler tests share: a small network, images of three classes, and chains to start from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stic_fast.models import WideResNet


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


@pytest.fixture
def net() -> WideResNet:
    """WRN-10-1 in float64, so that rounding hides nothing: three classes and the fake one, 8x8 grey images."""
    torch.manual_seed(0)
    return WideResNet(depth=10, width=1, num_classes=3, in_channels=1).double()


@pytest.fixture
def images() -> Tensor:
    """Twelve bytes images of noise, (12, 1, 8, 8)."""
    return torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def labels() -> Tensor:
    """Their classes: three of class 0, four of 1, five of 2, in no order."""
    return torch.tensor([1, 2, 0, 2, 1, 0, 2, 1, 1, 2, 0, 2])


@pytest.fixture
def start() -> Tensor:
    """Six chains, float64."""
    return torch.rand((6, 1, 8, 8), dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.fixture
def target() -> Tensor:
    """What the six chains are asked to become."""
    return torch.tensor([0, 1, 2, 0, 1, 2])
