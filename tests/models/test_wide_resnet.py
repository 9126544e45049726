# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Wide ResNet: the paper's layer names, features after their nonlinearity, scales at the start."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.models import WideResNet
from stic_fast.models.wide_resnet import ResidualBlock


def small(**options: Any) -> WideResNet:
    torch.manual_seed(0)
    return WideResNet(**{"depth": 10, "width": 1, "num_classes": 3, **options})


def names(first: int, last: int) -> tuple[str, ...]:
    return tuple(f"conv{number}" for number in range(first, last + 1))


def act(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


@pytest.mark.parametrize("width", [1, 10])
def test_wrn_28_has_the_papers_names_at_every_width(width: int) -> None:
    with torch.device("meta"):
        model = WideResNet(depth=28, width=width, num_classes=10)
    assert model.layer_names == ("conv1", *names(3, 10), *names(12, 19), *names(21, 28))
    assert model.gram_layers == names(21, 28)
    assert all(convolution.bias is not None for convolution in model.modules() if isinstance(convolution, nn.Conv2d))


def test_wrn_28_10_is_the_papers_size() -> None:
    with torch.device("meta"):
        model = WideResNet(depth=28, width=10, num_classes=10)
        logits, features = model.logits_and_features(torch.zeros(2, 3, 32, 32), model.gram_layers)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 28
    # Zagoruyko and Komodakis, table 4: 36.5 million parameters.
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(36.5e6, rel=2e-3)
    assert logits.shape == (2, 11)
    assert {feature.shape for feature in features} == {(2, 640, 8, 8)}


@pytest.mark.parametrize("depth", [10, 16, 22, 40])
def test_the_last_layer_carries_the_depth(depth: int) -> None:
    with torch.device("meta"):
        model = WideResNet(depth=depth, width=1, num_classes=3)
    assert model.layer_names[-1] == f"conv{depth}"
    assert len(model.gram_layers) == (depth - 4) // 3


def test_feature_shapes_and_order() -> None:
    model = small(width=2, stem_channels=8)
    asked = ["conv10", "conv1", "conv9", "conv3", "conv7"]
    logits, features = model.logits_and_features(torch.randn(2, 3, 12, 20), asked)
    assert logits.shape == (2, 4)
    expected = [(2, 128, 3, 5), (2, 8, 12, 20), (2, 128, 3, 5), (2, 32, 12, 20), (2, 64, 6, 10)]
    assert [tuple(feature.shape) for feature in features] == expected


def test_every_feature_equals_the_manual_computation() -> None:
    model = small(width=2, depth=16).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    logits, features = model.logits_and_features(x, model.layer_names)

    expected = []
    total = F.conv2d(x, model.stem.weight, model.stem.bias, padding=1)
    expected.append(act(total))
    for block in model.blocks:
        assert isinstance(block, ResidualBlock)
        stride = block.first.stride
        inner = act(F.conv2d(act(total), block.first.weight, block.first.bias, stride=stride, padding=1))
        if block.shortcut is not None:
            total = F.conv2d(act(total), block.shortcut.weight, block.shortcut.bias, stride=stride)
        total = total + F.conv2d(inner, block.second.weight, block.second.bias, padding=1)
        expected += [inner, act(total)]
    assert len(expected) == len(features) == 13
    for name, feature, value in zip(model.layer_names, features, expected, strict=True):
        torch.testing.assert_close(feature, value, msg=name)
    torch.testing.assert_close(logits, model.head(act(total).mean((2, 3))))
    assert torch.equal(logits, model(x))


def test_identity_shortcut_only_where_the_shape_stays() -> None:
    narrow, wide = small(), small(width=2)
    assert [block.shortcut is None for block in narrow.blocks] == [True, False, False]
    assert [block.shortcut is None for block in wide.blocks] == [False, False, False]
    assert [block.shortcut is None for block in small(strides=(2, 1, 1)).blocks] == [False, False, False]
    assert narrow.layer_names == wide.layer_names


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("depth", [10, 16, 28, 40])
def test_activations_neither_vanish_nor_blow_up_with_depth(depth: int, width: int) -> None:
    torch.manual_seed(depth + width)
    model = WideResNet(depth=depth, width=width, num_classes=10)
    with torch.no_grad():
        logits, features = model.logits_and_features(torch.randn(4, 3, 32, 32), model.layer_names)
    scales = {name: feature.std().item() for name, feature in zip(model.layer_names, features, strict=True)}
    assert min(scales.values()) > 0.4, scales
    assert max(scales.values()) < 1.6, scales
    assert 0.05 < logits.std().item() < 0.6


def test_reset_parameters_fills_a_model_built_on_meta() -> None:
    with torch.device("meta"):
        model = WideResNet(depth=10, width=1, num_classes=3)
    model = model.to_empty(device="cpu")
    torch.manual_seed(5)
    model.reset_parameters()
    first = model.state_dict()["blocks.0.second.weight"].clone()
    assert first.std().item() == pytest.approx((2 / 1.04 / (9 * 16) / 3) ** 0.5, rel=0.05)
    torch.manual_seed(5)
    model.reset_parameters()
    assert torch.equal(first, model.state_dict()["blocks.0.second.weight"])


def test_channels_last_stays_and_agrees() -> None:
    model = small()
    x = torch.randn(2, 3, 8, 8)
    expected_logits, expected = model.logits_and_features(x, model.gram_layers)
    model = model.to(memory_format=torch.channels_last)
    logits, features = model.logits_and_features(x.to(memory_format=torch.channels_last), model.gram_layers)
    torch.testing.assert_close(logits, expected_logits)
    torch.testing.assert_close(features, expected)
    assert all(feature.is_contiguous(memory_format=torch.channels_last) for feature in features)


@pytest.mark.parametrize(
    ("depth", "nearest"), [(29, "28 or 34"), (12, "10 or 16"), (4, "10"), (9, "10"), (0, "10"), (-2, "10")]
)
def test_wrong_depth_names_the_nearest(depth: int, nearest: str) -> None:
    with pytest.raises(InputError, match=f"^depth .*{depth}; .*{nearest}$"):
        small(depth=depth)


def test_a_stem_has_channels() -> None:
    assert WideResNet(**small(stem_channels=7).config()).stem.out_channels == 7
    with pytest.raises(InputError, match=r"^stem_channels "):
        small(stem_channels=-1)
