# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Features for a synthesis: of the filters by what fits, of a classifier, and of any module."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import ConvNet
from stic_fast.textures import FilterFeatures, ModuleFeatures, features_of


def picture(channels: int = 3, side: int = 24) -> Tensor:
    return torch.linspace(-1, 1, channels * side * side).sin().view(1, channels, side, side)


def classifier() -> ConvNet:
    torch.manual_seed(0)
    return ConvNet(width=1, num_classes=3)


def test_layers_that_source_and_canvas_allow() -> None:
    features = FilterFeatures(3, tile=False)
    assert features.layers((256, 256), (300, 256)) == [
        f"level{level}.{kind}" for level in range(4) for kind in ("size5", "second")
    ]
    small = features.layers((256, 256), (16, 300))
    assert small == features.layers((256, 256), (16, 16)) and "level2.size5" in small and "level3.second" not in small
    assert "level1.second" not in features.layers((16, 40), (256, 256)), (
        "of the source nothing beyond its border is read"
    )


@pytest.mark.parametrize("tile", [False, True])
def test_a_source_and_a_canvas_agree_within(tile: bool) -> None:
    features, x = FilterFeatures(3, tile=tile), picture()
    ((inside,),), ((whole,),) = (of(x, ["level0.size5"]) for of in (features.of_source, features.of_canvas))
    torch.testing.assert_close(whole[..., 2:-2, 2:-2], inside)


def test_of_a_classifier_are_those_of_its_gram_term() -> None:
    network, x = classifier(), picture().requires_grad_()
    features = features_of(network, (), 3, tile=False)
    assert features.layers((24, 24), (24, 24)) == ["conv5", "conv6"] and not features.whitened
    expected = network.logits_and_features(x, ["conv5", "conv6"])[1]
    (found,) = features.of_canvas(x, ["conv5", "conv6"])
    torch.testing.assert_close(found, expected)
    sum(each.sum() for each in found).backward()
    assert x.grad is not None and all(parameter.grad is None for parameter in network.parameters())


def test_of_any_module_and_a_tile() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(4, 5, 1)))
    features, x = ModuleFeatures(module, ["1.0"], tile=True), picture()
    ((own,),), ((tiled,),) = features.of_source(x, ["1.0"]), features.of_canvas(x, ["1.0"])
    assert own.shape == (1, 4, 22, 22) and tiled.shape == (1, 4, 24 + 32 - 2, 24 + 32 - 2)
    torch.testing.assert_close(tiled[..., 16:38, 16:38], own)
    torch.testing.assert_close(tiled[..., :8], tiled[..., 24:32])


@pytest.mark.parametrize(
    ("network", "layers", "message"),
    [
        (None, ["conv1"], "layers are those of a network; give one"),
        (classifier(), ["conv9"], "layers names the unknown layer 'conv9'"),
        (classifier(), "conv1", "write ['conv1']"),
        (nn.Sequential(nn.ReLU()), [], "Sequential has no layers of a Gram term; name layers to compare"),
    ],
)
def test_networks_without_such_layers(network: Any, layers: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        features_of(network, layers, 3, tile=False)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3)), "Sequential cannot read an image of shape (3, 24, 24)"),
        (nn.Sequential(nn.Flatten()), "layer '0' gave no map (1, channels, height, width); name another"),
    ],
)
def test_modules_that_give_no_map(module: nn.Module, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        ModuleFeatures(module, ["0"], tile=False).of_canvas(picture(), ["0"])
