# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Networks in float16 and bfloat16: Gram losses, gradients and chains are those of float32, within their rounding."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from stic_fast.models import Classifier, ConvNet, WideResNet, wrap
from stic_fast.ops.gram_loss import GramScale
from stic_fast.sampling import GRMALA, GramRegulariser
from stic_fast.sampling.outputs import Outputs

TARGET = torch.tensor([0, 1])
LARGE, SMALL = 200.0, 3e-5
"""Of VGG's activations, and of those that a weak first layer gives."""


def network(kind: str, scale: float) -> Classifier:
    """A classifier whose features are about as large as `scale`."""
    torch.manual_seed(0)
    if kind in ("wide resnet", "convnet"):
        model = ConvNet(width=1, num_classes=3, in_channels=1)
        if kind == "wide resnet":
            model = WideResNet(depth=10, width=1, num_classes=3, in_channels=1)
        first = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
        with torch.no_grad():
            first.weight.mul_(scale)
        return model
    channels, stride = (64, 1) if kind == "grams kept" else (256, 4)
    convolution = nn.Conv2d(1, channels, 3, padding=1, stride=stride, bias=False)
    with torch.no_grad():
        convolution.weight.uniform_(0, scale)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3))
    return wrap(nn.Sequential(convolution, nn.ReLU(), head), gram_layers=["1"], num_classes=3)


def images(*shape: int) -> Tensor:
    return torch.rand(*shape, 1, 16, 16, generator=torch.Generator().manual_seed(len(shape)))


def loss_and_gradient(model: Classifier, gram: GramRegulariser, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_(True)
    outputs = Outputs(x, model.logits_and_features(x, gram.layers)[1])
    loss = gram(outputs.values)
    return loss.detach(), outputs.gradient(loss).float()


@pytest.mark.parametrize("normalize", get_args(GramScale))
@pytest.mark.parametrize("scale", [LARGE, 1.0, SMALL])
@pytest.mark.parametrize("kind", ["grams kept", "features kept"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_losses_and_gradients(dtype: torch.dtype, kind: str, scale: float, normalize: GramScale) -> None:
    model, start = network(kind, scale), images(2) * 0.9
    half = copy.deepcopy(model).to(dtype)
    for references in (images(2), images(1), images(2, 3)):
        gram = GramRegulariser.from_images(model, references, normalize=normalize)
        theirs = GramRegulariser.from_images(half, references.to(dtype), normalize=normalize)
        assert (theirs.grams[0] is None) == (kind == "features kept")
        assert all(kept is None or kept.dtype == torch.float32 for kept in theirs.features + theirs.grams)
        loss, slope = loss_and_gradient(model, gram, start)
        ours, own_slope = loss_and_gradient(half, theirs, start.to(dtype))
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, loss, rtol=0.05, atol=0)
        assert float((own_slope - slope).norm()) <= 0.05 * float(slope.norm())
        features = half.logits_and_features(start.to(dtype), theirs.layers)[1]
        torch.testing.assert_close(theirs(features).detach(), ours, rtol=0, atol=0)


@pytest.mark.parametrize("scale", [LARGE, 1.0, SMALL])
@pytest.mark.parametrize("kind", ["grams kept", "features kept", "wide resnet", "convnet"])
def test_a_chain_ends_near_that_of_float32(kind: str, scale: float) -> None:
    model, start, references = network(kind, scale), images(2).half().float(), images(2, 1)
    half = copy.deepcopy(model).half()
    # Steps that suit the slopes of these networks; larger ones are as far apart for two chains in float32.
    sampler, gram = GRMALA(steps=8, eps1=0.1 / max(scale, 1)), GramRegulariser.from_images(model, references)
    expected, trace = sampler.run(model, start, TARGET, seed=0, gram=gram, trace_every=1)
    gram = GramRegulariser.from_images(half, references.half())
    x, own_trace = sampler.run(half, start.half(), TARGET, seed=0, gram=gram, trace_every=1)
    assert x.dtype == torch.float16
    assert float((x.float() - expected).norm() / (expected - start).norm()) < 0.1
    assert own_trace[0].gram_loss == pytest.approx(trace[0].gram_loss, rel=0.05)
    # Weights of 3e-5 take gradients of log p to 1e-6 and below, where float16 ends and no chain moves.
    assert own_trace[0].grad_logp_norm == pytest.approx(trace[0].grad_logp_norm, rel=0.05, abs=1e-5)
    assert torch.equal(sampler.run(half, start.half(), TARGET, seed=0, gram=gram).x, x), "tracing changes nothing"


@pytest.mark.parametrize("normalize", ["none", "gatys"])
def test_a_gradient_beyond_float16_pulls_to_the_edge(normalize: GramScale) -> None:
    model, start, references = network("grams kept", LARGE), images(2).half().float(), images(2, 1)
    half = copy.deepcopy(model).half()
    gram = GramRegulariser.from_images(model, references, normalize=normalize)
    expected = GRMALA(steps=1).run(model, start, TARGET, seed=0, gram=gram).x
    gram = GramRegulariser.from_images(half, references.half(), normalize=normalize)
    x = GRMALA(steps=1).run(half, start.half(), TARGET, seed=0, gram=gram).x
    torch.testing.assert_close(x.float(), expected, rtol=0, atol=1e-3)
    # The bound brings it into range again, and is reckoned from gradients as they are.
    bounded = GRMALA(steps=1, eps1=0.01, max_gram_ratio=1.0)
    near = bounded.run(half, start.half(), TARGET, seed=0, gram=gram).x.float()
    full = GramRegulariser.from_images(model, references, normalize=normalize)
    torch.testing.assert_close(near, bounded.run(model, start, TARGET, seed=0, gram=full).x, rtol=0, atol=0.02)


@pytest.mark.parametrize("magnitude", [1e-30, 1e-9, 1.0, 1e9, 1e30])
def test_a_gradient_passes_float16_at_any_magnitude(magnitude: float) -> None:
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)).half().requires_grad_(True)
    each = torch.tensor([1.0, 1e-3, 0.0]) * magnitude
    outputs = Outputs(x, [(3 * x).flatten(1), x.mean((1, 2, 3), keepdim=True).detach()])
    assert [value.dtype for value in outputs.values] == [torch.float32] * 2
    number = each * outputs.values[0].square().sum(1)
    expected = (18 * each.view(3, 1, 1, 1) * x.float()).detach()
    torch.testing.assert_close(outputs.gradient(number), expected, rtol=2e-3, atol=0)


def test_float32_passes_as_it_is() -> None:
    x = torch.ones(2, 3, requires_grad=True)
    feature = 2 * x
    outputs = Outputs(x, [feature])
    assert outputs.values[0] is feature and not outputs.halved
    assert torch.equal(outputs.gradient(feature.sum(1)), torch.full((2, 3), 2.0))


def test_steps_in_float16_can_be_captured(gpu: Any) -> None:
    half, start = network("features kept", LARGE).half(), images(2).half()
    gram = GramRegulariser.from_images(half, images(2).half())
    for bound in (None, 1.0):
        sampler = GRMALA(steps=14, max_gram_ratio=bound)
        captured = sampler.run(half, start, TARGET, seed=0, gram=gram).x
        assert torch.equal(captured, replace(sampler, capture=False).run(half, start, TARGET, seed=0, gram=gram).x)
    assert gpu.replays == 22
