# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Gram regulariser keeps the cheaper form of each reference, and its value is the Gram loss."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import Classifier, WideResNet, wrap
from stic_fast.ops import gram, gram_loss
from stic_fast.ops.gram_loss import GramScale
from stic_fast.pixels import to_unit
from stic_fast.sampling import GramRegulariser, gram_regulariser


@pytest.fixture
def model() -> Classifier:
    """Layer 0: 4 channels at 64 positions, where the 4x4 matrices are small. Layer 2: 64 channels at 4 positions."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 64, 4, stride=4), nn.Flatten(), nn.Linear(256, 3)
    )
    return wrap(net.double(), gram_layers=["0", "2"], num_classes=3)


def by_hand(own: list[Tensor], reference: list[Tensor], normalize: str) -> Tensor:
    total = torch.zeros(len(own[0]), dtype=torch.float64)
    for ours, theirs in zip(own, reference, strict=True):
        positions = ours[0, 0].numel()
        g, a = (torch.einsum("bchw,bdhw->bcd", f, f) / positions for f in (ours, theirs))
        square, norm = (g - a).square().sum((1, 2)), a.square().sum((1, 2))
        total += {
            "log": torch.log(1 + square / norm),
            "relative": square / norm,
            "gatys": square / (4 * ours.shape[1] ** 2),
            "none": positions**2 * square,
        }[normalize]
    return total


@pytest.fixture
def references() -> Tensor:
    return torch.rand((6, 1, 8, 8), dtype=torch.float64, generator=torch.Generator().manual_seed(8)) * 2 - 1


def test_what_is_kept(model: Classifier, references: Tensor) -> None:
    regulariser = GramRegulariser.from_images(model, references)
    _, (wide, deep) = model.logits_and_features(references, ["0", "2"])
    assert regulariser.layers == ("0", "2")
    assert regulariser.features[0] is None and regulariser.grams[1] is None
    assert regulariser.grams[0] is not None and regulariser.features[1] is not None
    torch.testing.assert_close(regulariser.grams[0], gram(wide))
    torch.testing.assert_close(regulariser.features[1], deep.flatten(2))
    assert not any(kept is not None and kept.requires_grad for kept in regulariser.features + regulariser.grams)


@pytest.mark.parametrize("normalize", get_args(GramScale))
def test_the_value_by_hand(model: Classifier, references: Tensor, start: Tensor, normalize: GramScale) -> None:
    regulariser = GramRegulariser.from_images(model, references, normalize=normalize)
    _, own = model.logits_and_features(start, regulariser.layers)
    _, theirs = model.logits_and_features(references, regulariser.layers)
    loss = regulariser([feature.detach() for feature in own])
    assert loss.shape == (6,) and bool((loss > 0).all())
    torch.testing.assert_close(loss, by_hand(own, theirs, normalize).detach(), rtol=1e-10, atol=1e-10)


def test_a_chain_at_its_reference_has_no_loss(model: Classifier, references: Tensor) -> None:
    regulariser = GramRegulariser.from_images(model, references)
    _, own = model.logits_and_features(references, regulariser.layers)
    assert float(regulariser(own).detach().abs().max()) < 1e-9


def test_one_reference_serves_every_chain(model: Classifier, references: Tensor, start: Tensor) -> None:
    one = GramRegulariser.from_images(model, references[:1])
    each = GramRegulariser.from_images(model, references[:1].expand(6, -1, -1, -1))
    _, own = model.logits_and_features(start, one.layers)
    torch.testing.assert_close(one(own), each(own), rtol=1e-12, atol=1e-12)


def test_chosen_layers(model: Classifier, references: Tensor, start: Tensor) -> None:
    regulariser = GramRegulariser.from_images(model, references, layers=["2"])
    _, own = model.logits_and_features(start, ["2"])
    _, theirs = model.logits_and_features(references, ["2"])
    torch.testing.assert_close(regulariser(own), by_hand(own, theirs, "log"), rtol=1e-10, atol=1e-10)
    with pytest.raises(InputError, match="layer '9'"):
        GramRegulariser.from_images(model, references, layers=["9"])


def test_features_in_low_precision_are_compared_in_the_references(
    model: Classifier, references: Tensor, start: Tensor
) -> None:
    regulariser = GramRegulariser.from_images(model.float(), references.float())
    _, own = model.logits_and_features(start.float(), regulariser.layers)
    low = [feature.detach().bfloat16().requires_grad_(True) for feature in own]
    loss = regulariser(low)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, regulariser([feature.float() for feature in low]))
    gradients = torch.autograd.grad(loss.sum(), low)
    assert all(g.dtype == torch.bfloat16 and g.abs().sum() > 0 for g in gradients)


def test_the_network_is_left_alone(model: Classifier, references: Tensor) -> None:
    model.train()
    GramRegulariser.from_images(model, references)
    assert model.training and all(p.requires_grad and p.grad is None for p in model.parameters())


@pytest.mark.parametrize("channels", [2, 500], ids=["gram kept", "features kept"])
def test_several_references_stand_for_the_mean_of_their_gram_matrices(channels: int) -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, channels, 3), torch.nn.Flatten(), torch.nn.Linear(channels * 36, 2)
    )
    model = wrap(network, gram_layers=["0"], num_classes=2)
    images = torch.rand(4, 3, 1, 8, 8) * 2 - 1
    regulariser = GramRegulariser.from_images(model, images, normalize="relative")
    assert (regulariser.features[0] is None) == (channels == 2)
    x = torch.rand(4, 1, 8, 8)
    with torch.no_grad():
        mean = torch.stack([gram(network[0](images[:, r])) for r in range(3)]).mean(0)
        feature = network[0](x)
        expected = gram_loss(feature, gram=mean, normalize="relative")
        torch.testing.assert_close(regulariser([feature]), expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_has_the_layout_of_the_features(net: WideResNet, images: Tensor) -> None:
    regulariser = GramRegulariser.from_images(net, to_unit(images[:6]).double())
    features = net.logits_and_features(to_unit(images[6:]).double(), regulariser.layers)[1]

    def gradients(layout: torch.memory_format) -> list[Tensor]:
        leaves = [feature.detach().contiguous(memory_format=layout).requires_grad_(True) for feature in features]
        # Gradients of leaves take the leaves' layout anyway; those of what comes after them do not.
        inner = [leaf * 1 for leaf in leaves]
        return list(torch.autograd.grad(regulariser(inner).sum(), inner))

    plain, ours = gradients(torch.contiguous_format), gradients(torch.channels_last)
    for expected, gradient in zip(plain, ours, strict=True):
        assert gradient.is_contiguous(memory_format=torch.channels_last) and expected.is_contiguous()
        torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_on_a_gpu_features_are_read_as_they_are(
    net: WideResNet, images: Tensor, monkeypatch: pytest.MonkeyPatch, layout: torch.memory_format
) -> None:
    monkeypatch.setattr(gram_regulariser, "_are_read_as_they_are", lambda _: True)
    net = net.float()
    regulariser = GramRegulariser.from_images(net, to_unit(images[:6]), layers=["conv4", "conv10"])
    kept = [*regulariser.features, *regulariser.grams]
    assert [reference is None for reference in kept] == [True, False, False, True]
    features = net.logits_and_features(to_unit(images[6:]), regulariser.layers)[1]
    low = [feature.detach().bfloat16().contiguous(memory_format=layout).requires_grad_(True) for feature in features]
    loss = regulariser(low)
    references = [reference if reference is None else reference.bfloat16() for reference in regulariser.features]
    torch.testing.assert_close(loss, gram_loss(low, references, regulariser.grams), rtol=1e-6, atol=0)
    torch.testing.assert_close(loss, regulariser([feature.float() for feature in low]), rtol=2e-2, atol=0)
    assert all(gradient.dtype == torch.bfloat16 for gradient in torch.autograd.grad(loss.sum(), low))
    assert [*regulariser.features, *regulariser.grams] == kept, "the references themselves must stay as they are"


def test_copies_for_a_gpu_are_made_once_for_features_alike(net: WideResNet, images: Tensor) -> None:
    regulariser = GramRegulariser.from_images(net, to_unit(images[:6]).double())
    features = net.logits_and_features(to_unit(images[6:]).double(), regulariser.layers)[1]
    low = [feature.detach().bfloat16() for feature in features]
    last = [feature.contiguous(memory_format=torch.channels_last) for feature in low]
    first, other, again = (regulariser._copies_like(each) for each in (low, last, low))
    assert first is again and first is not other, "a captured step may go on reading the first"
    for one, two, reference in zip(first[0], other[0], regulariser.features, strict=True):
        assert one is not None and two is not None and reference is not None
        assert torch.equal(one, reference.bfloat16()) and torch.equal(two, one)
        assert one.is_contiguous() and two.mT.is_contiguous() and not two.is_contiguous()
