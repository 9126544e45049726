# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The paper's form: a last layer of the images' shape, which is the score, and a softmax on that."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.models import ScoreWideResNet, WideResNet


def small(**options: Any) -> ScoreWideResNet:
    torch.manual_seed(0)
    return ScoreWideResNet(**{"depth": 10, "width": 1, "num_classes": 3, **options})


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("strides", [(1, 2, 2), (1, 1, 1), (3, 1, 2)])
def test_the_logits_are_a_linear_layer_on_the_score(strides: tuple[int, int, int]) -> None:
    model, x = small(strides=strides, sigma_read=0.2).double(), images(2, 3, 12, 12).double()
    shrinks = strides[0] * strides[1] * strides[2]
    squares = F.pixel_unshuffle(0.2 * model.score(x, 0.2), shrinks)
    assert squares.shape[1] == 3 * shrinks**2
    torch.testing.assert_close(model(x), model.head(squares.mean((2, 3))))


def test_the_score_is_the_wide_resnets_last_layer_at_every_position() -> None:
    model, x = small(sigma_read=0.2).double(), images(2, 3, 8, 8).double()
    total = model.trunk
    last = total.logits_and_features(x, ["conv10"])[1][0]
    made = F.conv2d(last, total.head.weight[:, :, None, None], total.head.bias)
    torch.testing.assert_close(0.2 * model.score(x, 0.2), F.pixel_shuffle(made, 4))
    torch.testing.assert_close(total(x), made.mean((2, 3)))


def test_layers_are_those_of_the_wide_resnet() -> None:
    with torch.device("meta"):
        model, plain = (kind(depth=28, width=10, num_classes=10) for kind in (ScoreWideResNet, WideResNet))
        logits, features = model.logits_and_features(torch.zeros(2, 3, 32, 32), model.gram_layers)
    assert model.layer_names == plain.layer_names and model.gram_layers == plain.gram_layers
    assert model.gram_layers == tuple(f"conv{number}" for number in range(21, 29))
    assert logits.shape == (2, 11) and {feature.shape for feature in features} == {(2, 640, 8, 8)}
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(36.5e6, rel=2e-3)
    assert sum(isinstance(module, nn.Conv2d) for module in model.modules()) == 28


@pytest.mark.parametrize("depth", [10, 28])
def test_scales_at_the_start(depth: int) -> None:
    model = small(depth=depth, in_channels=3, num_classes=10)
    with torch.no_grad():
        logits, _, features = model.at_noise(images(4, 3, 32, 32), 0.3, layers=model.layer_names)
        made = model.score(images(4, 3, 32, 32), 0.3) * 0.3
    assert all(0.4 < feature.std().item() < 1.6 for feature in features.values())
    assert 0.1 < made.std().item() < 0.6 and 0.02 < logits.std().item() < 0.6
    first = model.state_dict()["head.weight"].clone()
    torch.manual_seed(5)
    model.reset_parameters()
    assert not torch.equal(first, model.head.weight) and model.head.bias.count_nonzero() == 0


@pytest.mark.parametrize("sigma", [0.31, 80.0, torch.tensor(0.5), torch.tensor([0.3, 0.31]), float("nan")])
def test_another_noise_level_is_refused(sigma: float | Tensor) -> None:
    with pytest.raises(InputError, match=r"^this network knows the score at sigma_read=0.3 alone, got "):
        small(sigma_read=0.3).score(images(2, 3, 8, 8), sigma)


def test_rounded_noise_levels_are_the_same() -> None:
    model, x = small(sigma_read=0.3), images(2, 3, 8, 8)
    expected = model.at_noise(x, 0.3).denoised
    for sigma in (torch.tensor(0.3, dtype=torch.float64), torch.tensor([0.3, 0.3]), 0.1 + 0.2):
        assert torch.equal(model.at_noise(x, sigma).denoised, expected)
    assert torch.equal(model.double().at_noise(x.double(), torch.tensor(0.3)).logits, model(x.double()))


def test_it_takes_no_label() -> None:
    model = small()
    assert not model.takes_labels
    with pytest.raises(InputError, match="takes no label"):
        model.score(images(2, 3, 8, 8), 0.3, torch.eye(3)[:2])


@pytest.mark.parametrize(
    ("name", "value"), [("depth", 12), ("width", 0), ("leak", 2.0), ("strides", (1, 2)), ("stem_channels", 0)]
)
def test_errors_of_the_wide_resnet_name_the_argument(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{name}\b"):
        small(**{name: value})
