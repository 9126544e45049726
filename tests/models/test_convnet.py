# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The plain convolutional network: layer names, features after their nonlinearity, scales at the start."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.models import ConvNet, FixedPasses


def small(**options: Any) -> ConvNet:
    torch.manual_seed(0)
    return ConvNet(**{"width": 1, "num_classes": 3, **options})


def act(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def test_names_channels_and_positions() -> None:
    model = small(width=2, strides=(2, 1, 2))
    assert model.layer_names == ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6")
    assert model.gram_layers == ("conv5", "conv6")
    asked = ["conv6", "conv1", "conv5", "conv4"]
    logits, features = model.logits_and_features(torch.randn(2, 3, 12, 20), asked)
    assert logits.shape == (2, 4)
    expected = [(2, 128, 3, 5), (2, 32, 6, 10), (2, 128, 3, 5), (2, 64, 6, 10)]
    assert [tuple(feature.shape) for feature in features] == expected


def test_every_feature_equals_the_manual_computation() -> None:
    model = small(width=2).double()
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    logits, features = model.logits_and_features(x, model.layer_names)
    value = x
    strides = (1, 1, 2, 1, 2, 1)
    for name, feature, convolution, stride in zip(
        model.layer_names, features, model.convolutions, strides, strict=True
    ):
        assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
        value = act(F.conv2d(value, convolution.weight, convolution.bias, stride=stride, padding=1))
        torch.testing.assert_close(feature, value, msg=name)
    torch.testing.assert_close(logits, value.mean((2, 3)) @ model.head.weight.T + model.head.bias)
    assert torch.equal(logits, model(x))


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_activations_neither_vanish_nor_blow_up(width: int, channels: int) -> None:
    torch.manual_seed(width + channels)
    model = ConvNet(width=width, num_classes=10, in_channels=channels)
    with torch.no_grad():
        logits, features = model.logits_and_features(torch.randn(4, channels, 32, 32), model.layer_names)
    scales = {name: feature.std().item() for name, feature in zip(model.layer_names, features, strict=True)}
    # PyTorch's own first weights would leave less than 0.1 of conv6.
    assert min(scales.values()) > 0.3, scales
    assert max(scales.values()) < 1.0, scales
    assert 0.03 < logits.std().item() < 0.6


def test_reset_parameters_fills_a_model_built_on_meta() -> None:
    with torch.device("meta"):
        model = ConvNet(width=1, num_classes=3)
    model = model.to_empty(device="cpu")
    torch.manual_seed(5)
    model.reset_parameters()
    weight = model.state_dict()["convolutions.3.weight"].clone()
    assert weight.std().item() == pytest.approx((2 / 1.04 / (9 * 32)) ** 0.5, rel=0.05)
    assert model.state_dict()["convolutions.0.weight"].std().item() == pytest.approx((1 / 27) ** 0.5, rel=0.1)
    torch.manual_seed(5)
    model.reset_parameters()
    assert torch.equal(weight, model.state_dict()["convolutions.3.weight"])


@pytest.mark.parametrize("layout", ["channels_last", "packed"])
def test_fixed_passes_in_every_layout_agree(layout: Any) -> None:
    model = small(width=4).requires_grad_(False)
    x = torch.randn(2, 3, 8, 8)
    logits, features = FixedPasses(model, layout=layout)(x, model.gram_layers)
    expected_logits, expected = model.logits_and_features(x, model.gram_layers)
    torch.testing.assert_close(logits, expected_logits)
    torch.testing.assert_close(features, expected)
