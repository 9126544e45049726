# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Textures that tests make themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Spots = Callable[..., Tensor]
"""(seed, height, width, radius, channels) to a texture, uint8 (C, H, W)."""


@pytest.fixture
def spots() -> Spots:
    """Discs of random place and colour on one another: never the same again, and sharp at every scale up to theirs."""

    def drawn(seed: int, height: int = 96, width: int = 96, radius: int = 6, channels: int = 3) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        count = 4 * height * width // radius**2
        places = torch.rand(count, 2, generator=generator) * torch.tensor([height, width])
        colours = torch.randint(0, 256, (count, channels, 1), generator=generator, dtype=torch.uint8)
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        image = torch.zeros(channels, height, width, dtype=torch.uint8)
        for (top, left), colour in zip(places, colours, strict=True):
            image[:, (rows - top).square() + (columns - left).square() <= radius**2] = colour
        return image

    return drawn
