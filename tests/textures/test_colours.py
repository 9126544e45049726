# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Colour spaces by their covariances, and histograms by their ranks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stic_fast.ops import noise
from stic_fast.textures.colours import ColourSpace, match_histograms, with_colours_of


def picture(seed: int = 0, height: int = 24, width: int = 17) -> Tensor:
    """Colours that vary mostly in brightness."""
    drawn = noise.normal((1, 4, height, width), seed=seed)
    return 0.3 * drawn[:, :1] + 0.05 * drawn[:, 1:] + torch.tensor([0.2, -0.1, 0.0])[:, None, None]


def covariance(x: Tensor) -> Tensor:
    return torch.cov(x[0].flatten(1), correction=0)


def test_whitened_colours_vary_alike() -> None:
    x = picture()
    z = ColourSpace.of(x, power=1.0).of_pixels(x)
    torch.testing.assert_close(covariance(z), torch.eye(3), atol=0.15, rtol=0)
    half = torch.linalg.eigvalsh(covariance(ColourSpace.of(x).of_pixels(x)))
    torch.testing.assert_close(half, torch.linalg.eigvalsh(covariance(x)).sqrt(), atol=1e-2, rtol=0.05)
    torch.testing.assert_close(
        ColourSpace.of(x, power=0.0).of_pixels(x).square().sum(), (x - x.mean((2, 3), keepdim=True)).square().sum()
    )


@pytest.mark.parametrize(
    "x", [torch.full((1, 3, 8, 8), 0.5), torch.rand(1, 1, 8, 8).expand(1, 3, 8, 8), torch.zeros(1, 1, 1, 2)]
)
def test_of_one_colour_and_of_grey_in_three_channels(x: Tensor) -> None:
    space = ColourSpace.of(x)
    z = space.of_pixels(x)
    assert z.isfinite().all() and z.abs().max() < 50
    torch.testing.assert_close(space.undo(z), x, atol=1e-5, rtol=0)


def test_colours_are_handed_on() -> None:
    x, source = picture(), picture(1).flip(1) * 0.5
    changed = with_colours_of(x, source)
    torch.testing.assert_close(changed.mean((2, 3)), source.mean((2, 3)))
    torch.testing.assert_close(covariance(changed), covariance(source), atol=2e-3, rtol=0)
    torch.testing.assert_close(with_colours_of(x, x), x, atol=1e-5, rtol=0)


def test_histograms_match_and_ranks_stay() -> None:
    x, reference = picture(), picture(1)
    matched = match_histograms(x, reference)
    for own, before, target in zip(matched[0], x[0], reference[0], strict=True):
        torch.testing.assert_close(own.flatten().sort().values, target.flatten().sort().values)
        assert torch.equal(own.flatten().argsort(), before.flatten().argsort())


def test_histograms_of_another_size() -> None:
    matched = match_histograms(picture(), picture(1, 100, 90))
    for one, other in zip(matched[0], picture(1, 100, 90)[0], strict=True):
        quantiles = torch.tensor([0.1, 0.5, 0.9])
        torch.testing.assert_close(one.quantile(quantiles), other.quantile(quantiles), atol=5e-3, rtol=0)
