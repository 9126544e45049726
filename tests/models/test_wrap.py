# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Wrapped classifiers: features by hooks that leave no trace, and errors that name the hint."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import Classifier, Normalize, WideResNet, wrap


def small_net(*, inplace: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    layers = OrderedDict(
        conv=nn.Conv2d(3, 4, 3),
        relu=nn.ReLU(inplace=inplace),
        wider=nn.Conv2d(4, 6, 3, stride=2),
        pool=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(),
        head=nn.Linear(6, 5),
    )
    return nn.Sequential(layers)


def hooks_left(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) for part in module.modules())


class Odd(nn.Module):
    """A network with one layer for each way in which a layer has no feature."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 1)
        self.unused = nn.Conv2d(3, 3, 1)
        self.pair = Pair()
        self.turned = Turned()
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.pair(self.twice(self.twice(x)))
        return self.head(self.turned(x).mean((2, 3)).T)


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1)


def test_features_and_logits_of_a_sequential() -> None:
    net = small_net()
    model = wrap(net, gram_layers=["relu"], num_classes=5)
    assert isinstance(model, Classifier)
    assert model.layer_names == ("conv", "relu", "wider", "pool", "flat", "head")
    x = torch.randn(2, 3, 8, 8)
    logits, features = model.logits_and_features(x, ["wider", "conv", "relu"])
    assert torch.equal(logits, net(x))
    assert torch.equal(features[0], net[:3](x))
    assert torch.equal(features[1], net[:1](x))
    assert torch.equal(features[2], net[:2](x))
    assert torch.equal(model(x), logits)


def test_an_inplace_activation_does_not_overwrite_the_feature() -> None:
    x = torch.randn(2, 3, 8, 8)
    logits, (feature,) = wrap(small_net(inplace=True), gram_layers=["conv"], num_classes=5).logits_and_features(
        x, ["conv"]
    )
    expected, (plain,) = wrap(small_net(), gram_layers=["conv"], num_classes=5).logits_and_features(x, ["conv"])
    assert torch.equal(logits, expected)
    assert torch.equal(feature, plain)
    assert feature.min() < 0


def test_gradients_of_features_and_logits_reach_the_images() -> None:
    net = small_net(inplace=True)
    model = wrap(net, gram_layers=["conv"], num_classes=5).requires_grad_(False)
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    logits, (feature,) = model.logits_and_features(x, ["conv"])
    (gradient,) = torch.autograd.grad(logits.sum() + feature.square().sum(), x)
    (expected,) = torch.autograd.grad(net(x).sum() + net.conv(x).square().sum(), x)
    torch.testing.assert_close(gradient, expected)


def test_batch_norm_follows_the_mode() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    net(torch.randn(32, 1, 6, 6))
    model = wrap(net, gram_layers=["1"], num_classes=2)
    x = torch.randn(4, 1, 6, 6)
    model.eval()
    together, (feature,) = model.logits_and_features(x, ["1"])
    alone = torch.cat([model(image[None]) for image in x])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(feature, net[:2](x))
    model.train()
    assert not torch.allclose(model(x), together)


def test_hooks_are_gone_after_a_call_and_after_an_error() -> None:
    net = small_net()
    model = wrap(net, gram_layers=["conv"], num_classes=5)
    model.logits_and_features(torch.randn(1, 3, 8, 8), ["conv", "relu"])
    assert hooks_left(net) == 0
    with pytest.raises(RuntimeError, match="expected input"):
        model.logits_and_features(torch.randn(1, 2, 8, 8), ["conv", "relu"])
    assert hooks_left(net) == 0


def test_one_pass_per_call() -> None:
    net = small_net()
    calls = []
    net.conv.register_forward_hook(lambda *_: calls.append(1))
    wrap(net, gram_layers=["conv"], num_classes=5).logits_and_features(torch.randn(1, 3, 8, 8), ["conv", "wider"])
    assert len(calls) == 1


def test_a_fake_class_is_one_more_logit() -> None:
    model = wrap(small_net(), gram_layers=[], num_classes=4, has_fake_class=True)
    logits = model(torch.randn(2, 3, 8, 8))
    assert model.fake_class == 4
    assert model.class_logits(logits).shape == (2, 4)


def test_a_classifier_can_be_wrapped_too() -> None:
    torch.manual_seed(0)
    net = WideResNet(depth=10, width=1, num_classes=3)
    model = wrap(net, gram_layers=["blocks.2"], num_classes=3, has_fake_class=True)
    x = torch.randn(2, 3, 8, 8)
    logits, (feature,) = model.logits_and_features(x, ["stem"])
    assert torch.equal(logits, net(x))
    assert torch.equal(feature, net.stem(x))


@pytest.mark.parametrize(("num_classes", "fake", "wanted"), [(5, True, 6), (4, False, 4), (10, False, 10)])
def test_wrong_number_of_logits(num_classes: int, fake: bool, wanted: int) -> None:
    model = wrap(small_net(), gram_layers=[], num_classes=num_classes, has_fake_class=fake)
    with pytest.raises(InputError, match=rf"num_classes={num_classes} .*\(2, {wanted}\)"):
        model(torch.randn(2, 3, 8, 8))


def test_logits_must_be_a_tensor() -> None:
    with pytest.raises(InputError, match="wrapped Pair returned a tuple"):
        wrap(Pair(), gram_layers=[], num_classes=2)(torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("twice", "'twice' was called 2 times"),
        ("unused", "'unused' was not called"),
        ("pair", "'pair' returned a tuple"),
        ("head", r"'head' returned shape \(4, 2\)"),
        ("turned", r"'turned' returned shape \(3, 4, 5, 5\)"),
    ],
)
def test_layers_without_a_feature(layer: str, message: str) -> None:
    net = Odd()
    model = wrap(net, gram_layers=[layer], num_classes=2)
    with pytest.raises(InputError, match=message):
        model.logits_and_features(torch.randn(4, 3, 5, 5), [layer])
    assert hooks_left(net) == 0


def test_unknown_layers_list_close_matches() -> None:
    with pytest.raises(InputError, match=r"^gram_layers .*'convs'; .*conv"):
        wrap(small_net(), gram_layers=["convs"], num_classes=5)
    model = wrap(small_net(), gram_layers=["conv"], num_classes=5)
    with pytest.raises(InputError, match=r"^layers .*'rleu'; .*relu"):
        model.logits_and_features(torch.zeros(1, 3, 8, 8), ["rleu"])


def test_preprocess_is_applied_once_before_the_module() -> None:
    net = small_net()
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.4])
    normalised = ((x + 1) / 2 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    by_module = wrap(net, gram_layers=[], num_classes=5, preprocess=Normalize(mean.tolist(), std.tolist()))
    by_function = wrap(net, gram_layers=[], num_classes=5, preprocess=lambda image: image.neg())
    torch.testing.assert_close(by_module(x), net(normalised))
    torch.testing.assert_close(by_function(x), net(-x))


def test_normalize_keeps_the_dtype_and_moves_with_the_model() -> None:
    normalize = Normalize([0.5], [0.5])
    for dtype in (torch.bfloat16, torch.float64):
        x = torch.ones(1, 1, 2, 2, dtype=dtype)
        assert torch.equal(normalize(x), x)
        assert normalize(x).dtype == dtype
    model = wrap(small_net(), gram_layers=[], num_classes=5, preprocess=Normalize([0.5] * 3, [0.5] * 3))
    assert model.to("meta").preprocess.scale.is_meta
    assert all(name.startswith("module.") for name in model.state_dict())


@pytest.mark.parametrize(("mean", "std"), [([0.5], [0.5, 0.5]), ([], []), ([0.5], [0.0]), ([0.5], [-1.0])])
def test_normalize_refuses_wrong_statistics(mean: list[float], std: list[float]) -> None:
    with pytest.raises(InputError, match=r"^Normalize .*std="):
        Normalize(mean, std)


def test_normalize_refuses_other_channels() -> None:
    with pytest.raises(InputError, match=r"3 channels, got x .*\(2, 1, 4, 4\)"):
        Normalize([0.5] * 3, [0.5] * 3)(torch.zeros(2, 1, 4, 4))


def test_a_compiled_module_hides_its_layers() -> None:
    torch.compiler.reset()
    compiled = torch.compile(small_net(), backend="eager")
    model = wrap(compiled, gram_layers=["_orig_mod.conv"], num_classes=5)
    x = torch.randn(1, 3, 8, 8)
    assert model(x).shape == (1, 5)
    with pytest.raises(InputError, match=r"'_orig_mod\.conv' was not called.*compiled"):
        model.logits_and_features(x, model.gram_layers)
