# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What holds of both convolutional networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import ConvNet, WideResNet
from stic_fast.models.convolutional import ConvolutionalClassifier

Make = Callable[..., ConvolutionalClassifier]
FIRST_OPTIONS: dict[type[ConvolutionalClassifier], dict[str, Any]] = {ConvNet: {}, WideResNet: {"depth": 10}}


@pytest.fixture(params=FIRST_OPTIONS, ids=lambda kind: kind.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    """make(**options): a small network of three classes."""

    def build(**options: Any) -> ConvolutionalClassifier:
        torch.manual_seed(0)
        return request.param(**{"width": 1, "num_classes": 3, **FIRST_OPTIONS[request.param], **options})

    return build


def images(*shape: int, **options: Any) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), **options)


def test_one_pass_keeps_only_what_is_asked_and_leaves_no_hooks(make: Make) -> None:
    model, calls = make(), []
    names = {model.layer_names[1], model.layer_names[-2]}
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    handle = first.register_forward_pre_hook(lambda *_: calls.append(1))
    _, kept = model.forward_keeping(images(1, 3, 8, 8), frozenset(names))
    handle.remove()
    assert len(calls) == 1 and set(kept) == names
    assert not any(module._forward_hooks for module in model.modules())


def test_gradient_reaches_the_images_with_frozen_parameters(make: Make) -> None:
    model, x = make().requires_grad_(False), images(2, 3, 8, 8, requires_grad=True)
    logits, features = model.logits_and_features(x, model.gram_layers)
    for scalar in (logits.sum(), features[0].square().sum(), features[1].square().sum()):
        (gradient,) = torch.autograd.grad(scalar, x, retain_graph=True)
        assert gradient.shape == x.shape and gradient.abs().flatten(1).sum(1).min() > 0


def test_first_and_second_derivatives_in_float64(make: Make) -> None:
    model, x = make(in_channels=1).double(), images(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, (x,))
    assert torch.autograd.gradgradcheck(model, (x,))


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 1, 1), (3, 1, 7), (5, 9, 2), (4, 33, 31)])
def test_any_image_size_and_channels(make: Make, channels: int, height: int, width: int) -> None:
    model = make(in_channels=channels)
    assert model(images(2, channels, height, width)).isfinite().all()
    assert model(images(0, channels, height, width)).shape == (0, 4)


def test_without_fake_class_there_are_c_logits(make: Make) -> None:
    model = make(fake_class=False)
    assert model(torch.zeros(1, 3, 4, 4)).shape == (1, 3) and model.fake_class is None
    assert make().fake_class == 3


def test_compiles_to_one_graph(make: Make) -> None:
    model, x = make(), images(2, 3, 8, 8, requires_grad=True)
    layers = [model.layer_names[-1], model.layer_names[0]]
    torch.compiler.reset()
    compiled = torch.compile(model.logits_and_features, fullgraph=True, backend="aot_eager")
    outcomes = []
    for passes in (compiled, model.logits_and_features):
        logits, features = passes(x, layers)
        outcomes.append((logits, features, torch.autograd.grad(features[0].square().sum() + logits.sum(), x)))
    torch.testing.assert_close(*outcomes)


def test_bf16_autocast_keeps_float32_logits(make: Make) -> None:
    model, x = make(), images(2, 3, 8, 8)
    expected = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, features = model.logits_and_features(x, model.gram_layers)
    assert logits.dtype == torch.float32 and {feature.dtype for feature in features} == {torch.bfloat16}
    torch.testing.assert_close(logits, expected, atol=0.02, rtol=0.05)
    assert model.bfloat16()(x.bfloat16()).dtype == torch.bfloat16


def test_config_and_state_rebuild_the_model(make: Make) -> None:
    model = make(in_channels=1, fake_class=False, leak=0.1, strides=(2, 1, 2), gram_layers=["conv6"])
    rebuilt = type(model)(**json.loads(json.dumps(model.config())))
    rebuilt.load_state_dict(model.state_dict())
    x = images(2, 1, 9, 9)
    assert rebuilt.config() == model.config() and rebuilt.gram_layers == ("conv6",)
    assert torch.equal(rebuilt(x), model(x))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 0),
        ("in_channels", 0),
        ("leak", -0.1),
        ("leak", 1.1),
        ("strides", (1, 2)),
        ("strides", (1, 2, 0)),
        ("gram_layers", ["conv11"]),
        ("num_classes", 0),
    ],
)
def test_errors_name_the_argument(make: Make, name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{name}\b"):
        make(**{name: value})


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 1, 8, 8), (2, 3, 0, 8)])
def test_wrong_image_shapes_are_refused(make: Make, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"^x .*\(B, 3, H, W\)"):
        make()(torch.zeros(shape))
