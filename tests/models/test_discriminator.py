# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The discriminator: patch by patch or all at once it says the same, and the paper's form is DCGAN's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from stic_fast.errors import InputError
from stic_fast.models import Discriminator


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("channels", [(6,), (4, 8), (4, 6, 8)])
@pytest.mark.parametrize("smooth", [True, False])
def test_it_slides_over_an_image(channels: tuple[int, ...], smooth: bool) -> None:
    torch.manual_seed(0)
    model = Discriminator(channels=channels, num_classes=2, smooth=smooth).double()
    rows, columns = 3, 2
    x = images(2, 3, model.patch + (rows - 1) * model.stride, model.patch + (columns - 1) * model.stride + 1).double()
    logits, (odds,) = model.logits_and_features(x, ["log_odds"])
    assert odds.shape == (2, 2, rows, columns)
    for row in range(rows):
        for column in range(columns):
            top, left = row * model.stride, column * model.stride
            alone = model(x[:, :, top : top + model.patch, left : left + model.patch])
            torch.testing.assert_close(alone, odds[:, :, row, column])
    torch.testing.assert_close(logits, odds.mean((2, 3)))


@pytest.mark.parametrize(("smooth", "side"), [(True, 14), (False, 13)])
def test_a_patch_is_what_its_log_odds_see(smooth: bool, side: int) -> None:
    torch.manual_seed(0)
    model = Discriminator(channels=(8, 8), smooth=smooth).double()
    x = images(1, 3, 30, 30).double().requires_grad_(True)
    _, (odds,) = model.logits_and_features(x, ["log_odds"])
    (gradient,) = torch.autograd.grad(odds[0, 0, 1, 2], x)
    seen = gradient[0].abs().sum(0).nonzero()
    assert (seen.min(0).values.tolist(), seen.max(0).values.tolist()) == ([4, 8], [3 + side, 7 + side])
    assert model.patch == side


def test_every_pixel_is_read_as_often() -> None:
    """By the first layer, whose gradient otherwise weighs rows 4, 6, 4, 6."""
    for smooth in (True, False):
        model = Discriminator(channels=(1, 2), in_channels=1, smooth=smooth, leak=1.0)
        torch.nn.init.ones_(model.convolutions[0].weight)  # type: ignore[arg-type]
        x = torch.zeros(1, 1, 22, 22, requires_grad=True)
        model.logits_and_features(x, ["conv1"])[1][0].sum().backward()  # type: ignore[no-untyped-call]
        assert x.grad is not None
        inside = x.grad[0, 0, 5:-5, 5:-5]
        assert (len(inside.unique()) == 1) == smooth


def test_the_papers_network_is_dcgans() -> None:
    """Radford et al. 2016, their discriminator in PyTorch's own layers."""
    torch.manual_seed(0)
    model = Discriminator(whole=64, smooth=False, batch_norm=True)
    layers: list[nn.Module] = []
    for number, (before, after) in enumerate(zip((3, 64, 128, 256), (64, 128, 256, 512), strict=True)):
        layers.append(nn.Conv2d(before, after, 5, stride=2, padding=2))
        layers += [nn.BatchNorm2d(after)] if number else []
        layers.append(nn.LeakyReLU(0.2))
    plain = nn.Sequential(*layers, nn.Flatten(), nn.Linear(512 * 16, 1))
    ours = [*(each for pair in zip(model.convolutions, model.norms, strict=True) for each in pair), model.head]
    theirs = [layer for layer in plain if list(layer.parameters())]
    with torch.no_grad():
        for own, other in zip([each for each in ours if list(each.parameters())], theirs, strict=True):
            for one, two in zip(own.parameters(), other.parameters(), strict=True):
                two.copy_(one.reshape(two.shape))
    x = images(5, 3, 64, 64)
    torch.testing.assert_close(model(x), plain(x), rtol=1e-4, atol=1e-4)
    model.eval(), plain.eval()
    torch.testing.assert_close(model(x), plain(x), rtol=1e-4, atol=1e-4)
    assert model.patch == 64 and model.logits_and_features(x, ["log_odds"])[1][0].shape == (5, 1, 1, 1)


def test_activations_keep_their_size() -> None:
    torch.manual_seed(0)
    model = Discriminator()
    logits, features = model.logits_and_features(images(4, 3, 94, 94), [*model.gram_layers, "log_odds"])
    sizes = [feature.square().mean().sqrt().item() for feature in features[:-1]]
    assert all(0.2 < size < 1.5 for size in sizes), sizes
    assert features[-1].abs().max() < 1.5 and logits.shape == (4, 1)


def test_a_checkpoint_rebuilds_it() -> None:
    model = Discriminator(
        channels=(4, 8), in_channels=1, num_classes=3, whole=16, smooth=False, batch_norm=True, leak=0.1
    )
    again = Discriminator(**model.config())
    assert again.config() == model.config()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.eval()(images(2, 1, 16, 16)), model.eval()(images(2, 1, 16, 16)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": ()}, "channels must be at least one number above 0"),
        ({"channels": (8, 0)}, "channels must be at least one number above 0"),
        ({"in_channels": 0}, "in_channels must be at least 1, got 0"),
        ({"leak": 1.5}, "leak must lie in"),
        ({"whole": 15}, "whole must be at least 16, 2 a convolution, got 15; take fewer"),
        ({"gram_layers": ["conv5"]}, "unknown layer 'conv5'"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Discriminator(**arguments)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 3, 61, 62), "at least 62 pixels a side, got"), ((2, 1, 62, 62), r"of shape \(B, 3, H, W\)")],
)
def test_images_that_cannot_be_read(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Discriminator()(images(*shape))
