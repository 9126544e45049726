# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The bank of random filters: weights by the noise contract, features by the formula, borders, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.models import FilterBank
from stic_fast.models.filter_bank import Border
from stic_fast.ops import noise

BORDERS: tuple[Border, ...] = ("inside", "mirror", "tile")


def small(**options: Any) -> FilterBank:
    return FilterBank(**{"sizes": (3, 5), "filters": 8, "levels": 3, **options})


def picture(height: int = 40, width: int = 33, channels: int = 3) -> torch.Tensor:
    return noise.uniform((2, channels, height, width), seed=1) * 2 - 1


def test_a_filter_depends_on_its_seed_size_and_number_alone() -> None:
    few, many = small(filters=3, levels=1), small(sizes=(7, 5, 3), filters=9)
    assert torch.equal(few.size3, many.size3[:3]) and torch.equal(few.size5, many.size5[:3])
    assert not torch.equal(few.size3, small(filters=3, seed=1).size3)
    torch.testing.assert_close(many.size7.mean((1, 2, 3)), torch.zeros(9))
    torch.testing.assert_close(many.size7.flatten(1).norm(dim=1), torch.ones(9))
    global_state = torch.get_rng_state()
    small()
    assert torch.equal(global_state, torch.get_rng_state())


@pytest.mark.parametrize("channels", [1, 3])
def test_features_equal_the_manual_computation(channels: int) -> None:
    bank, x = small(in_channels=channels, border="tile"), picture(channels=channels)
    first, second = bank.features(x, ["level0.size5", "level1.size3"])
    wide = F.pad(x, (2, 2, 2, 2), mode="circular")
    torch.testing.assert_close(first, F.conv2d(wide, bank.size5).clamp_min(0))
    blur = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    rows = sum(w * x.roll(2 - k, dims=2) for k, w in enumerate(blur))
    half = sum(w * rows.roll(2 - k, dims=3) for k, w in enumerate(blur))[..., ::2, ::2]
    torch.testing.assert_close(second, F.conv2d(F.pad(half, (1, 1, 1, 1), mode="circular"), bank.size3).clamp_min(0))
    features = [*bank(x)]
    assert len(features) == 6 and torch.equal(features[1], first) and torch.equal(features[2], second)


def test_the_second_layer_reads_the_first() -> None:
    bank, x = small(second=6, border="tile"), picture()
    assert bank.layer_names[:4] == ("level0.size3", "level0.size5", "level0.second", "level1.size3")
    first, second = bank.features(x, ["level1.size5", "level1.second"])
    pooled = F.avg_pool2d(first, 2, ceil_mode=True)
    expected = F.conv2d(F.pad(pooled, (1, 1, 1, 1), mode="circular"), bank.second).clamp_min(0)
    torch.testing.assert_close(second, expected)
    assert second.shape == (2, 6, 10, 9)
    torch.testing.assert_close(bank.second.mean((2, 3)), torch.zeros(6, 8), atol=1e-6, rtol=0)
    assert torch.equal(bank.size5, small().size5), "which the second layer does not change"


def test_names_shapes_and_order() -> None:
    bank = small()
    names = tuple(f"level{level}.size{size}" for level in range(3) for size in (3, 5))
    assert bank.layer_names == names and bank.features(picture(), []) == []
    shapes = {name: tuple(feature.shape) for name, feature in zip(names, bank(picture()), strict=True)}
    assert shapes["level2.size5"] == (2, 8, 10, 9) and shapes["level1.size3"] == (2, 8, 20, 17)
    backwards = bank.features(picture(), names[::-1])
    assert all(torch.equal(one, other) for one, other in zip(backwards[::-1], bank(picture()), strict=True))


def test_brightness_makes_no_difference() -> None:
    bank, x = small(border="tile"), picture()
    for one, other in zip(bank(x), bank(x + 0.5), strict=True):
        torch.testing.assert_close(one, other, atol=2e-6, rtol=1e-4)


def test_within_the_image_the_border_makes_no_difference() -> None:
    x = picture()
    inside, *others = (small(border=border).features(x, ["level1.size5"])[0] for border in BORDERS)
    for other in others:
        # Two pixels of the level for the filter, and one for what its blur reaches beyond.
        torch.testing.assert_close(other[..., 3:-3, 3:-3], inside[..., : other.shape[2] - 6, : other.shape[3] - 6])


def test_a_tile_has_no_seam() -> None:
    bank, x = small(border="tile"), picture(40, 24)
    for one, other in zip(bank(x), bank(x.roll((4, 8), (2, 3))), strict=True):
        scale = 40 // one.shape[2]
        torch.testing.assert_close(one.roll((4 // scale, 8 // scale), (2, 3)), other)


@pytest.mark.parametrize("kind", ["size3", "size5", "second"])
@pytest.mark.parametrize("border", BORDERS)
def test_the_smallest_side_is_the_smallest(border: Border, kind: str) -> None:
    bank = small(border=border, second=4)
    for level in range(3):
        name = f"level{level}.{kind}"
        side = bank.smallest_side(name)
        (feature,) = bank.features(picture(side, side + 3), [name])
        assert min(feature.shape[2:]) >= 1 and feature.isfinite().all()
        with pytest.raises(InputError, match=f"{name} needs images of {side} pixels a side, got {side - 1}x{side}"):
            bank.features(picture(side - 1, side), [name])


def test_weights_are_constants_that_no_checkpoint_holds() -> None:
    bank = small()
    assert not [*bank.parameters()] and not bank.state_dict()
    assert {feature.dtype for feature in bank.double()(picture().double())} == {torch.float64}
    x = picture(20, 20).requires_grad_()
    sum(feature.sum() for feature in small(levels=2)(x)).backward()
    assert x.grad is not None and x.grad.abs().min() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": (3, 4)}, "sizes must be different odd numbers of at least 3, got (3, 4)"),
        ({"sizes": (1,)}, "of at least 3, got (1,)"),
        ({"sizes": ()}, "got ()"),
        ({"sizes": (3, 3)}, "got (3, 3)"),
        ({"filters": 0}, "filters must be from 1"),
        ({"second": -1}, "second must be from 0"),
        ({"levels": 0}, "levels must be from 1"),
        ({"in_channels": 0}, "in_channels must be from 1"),
        ({"border": "zeros"}, "unknown border 'zeros'; choose one of inside, mirror, tile"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        small(**options)


@pytest.mark.parametrize(
    ("x", "layers", "message"),
    [
        (picture(), ["level0.size4"], "layers names the unknown layer 'level0.size4'; close matches: "),
        (picture(), "level0.size3", "write ['level0.size3']"),
        (picture(channels=1), ["level0.size3"], "x must be images of shape (B, 3, H, W), got (2, 1, 40, 33)"),
        (picture().to(torch.uint8), ["level0.size3"], "x must be float images in [-1, 1], got torch.uint8"),
    ],
)
def test_what_features_cannot_be_taken_of(x: torch.Tensor, layers: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        small().features(x, layers)
