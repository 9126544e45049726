# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Features, Gram loss and gradient of an image in tiles are those of the whole image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stic_fast import gram_loss
from stic_fast.ops import noise
from stic_fast.textures import FilterFeatures
from stic_fast.textures.tiles import cuts, gram_of, tiled_gram_loss

pytestmark = pytest.mark.usefixtures("one_thread")


class Small(FilterFeatures):
    """Tiles of 32 pixels, where others have 1024."""

    side = 32


def picture(height: int, width: int) -> Tensor:
    return noise.normal((1, 3, height, width), seed=4).double()


@pytest.mark.parametrize("length", [20, 32, 33, 64, 95, 96, 130])
def test_cuts_cover_the_length_once(length: int) -> None:
    own = []
    for cut in cuts(length, 32, 16, 48):
        read = torch.arange(length)[cut.read]
        own.append(read[cut.first : cut.last])
        assert cut.read.start % 16 == 0 and cut.first % 16 == 0
    assert torch.cat(own).tolist() == list(range(length))


@pytest.mark.parametrize(
    ("height", "width", "tile"), [(130, 97, False), (200, 36, False), (103, 161, False), (112, 80, True)]
)
def test_tiles_are_parts_of_the_whole(height: int, width: int, tile: bool) -> None:
    x, small, large = picture(height, width), Small(3, tile=tile), FilterFeatures(3, tile=tile)
    layers = large.layers((height, width), (height, width))
    for of in ("of_source", "of_canvas"):
        (whole,), tiles = getattr(large, of)(x, layers), list(getattr(small, of)(x, layers))
        assert len(tiles) > 1
        for index, feature in enumerate(whole):
            parts = torch.cat([each[index].flatten(2) for each in tiles], 2)
            assert parts.shape == feature.flatten(2).shape, layers[index]
            torch.testing.assert_close(parts.sort(2).values, feature.flatten(2).sort(2).values)


@pytest.mark.parametrize("tile", [False, True])
def test_the_loss_and_its_gradient(tile: bool) -> None:
    x, source = picture(128, 96), picture(140, 101) / 2
    small, large = Small(3, tile=tile), FilterFeatures(3, tile=tile)
    layers = large.layers((128, 96), (128, 96))
    targets = gram_of(small.of_source(source, layers))
    torch.testing.assert_close(targets, gram_of(large.of_source(source, layers)))
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    (features,) = large.of_canvas(one, layers)
    expected = gram_loss(features, gram=targets).sum()
    found = tiled_gram_loss(other, lambda x: small.of_canvas(x, layers), targets)
    torch.testing.assert_close(found, expected)
    (3 * expected).backward()
    (3 * found).backward()
    torch.testing.assert_close(other.grad, one.grad)


def test_a_tile_of_odd_sides_stays_whole() -> None:
    """Its levels' other ends lie elsewhere than its own."""
    features = Small(3, tile=True)
    assert not features.in_tiles((100, 100)) and features.in_tiles((96, 96))
