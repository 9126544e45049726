# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Carlini & Wagner attack finds the nearest boundary where it is known, and says when foolbox is missing."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.evaluation.carlini_wagner import carlini_wagner
from stic_fast.pixels import to_unit

needs_foolbox = pytest.mark.skipif(not importlib.util.find_spec("foolbox"), reason="foolbox, an extra, is missing")


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


@pytest.fixture
def images() -> Tensor:
    """Images of middling grey, so that no pixel is near the edge of the box."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(110, 146, (12, 1, 6, 6), dtype=torch.uint8, generator=generator)


@pytest.fixture
def model() -> nn.Module:
    """Two classes and a fake one that always has the largest logit."""
    torch.manual_seed(0)
    layer = nn.Linear(36, 3)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([0.0, 0.0, 50.0]))
    return nn.Sequential(nn.Flatten(), layer)


def class_logits(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x)[:, :2]


@needs_foolbox
def test_distance_is_that_to_the_boundary_of_a_linear_classifier(model: nn.Module, images: Tensor) -> None:
    """|f_0 − f_1| / ‖w_0 − w_1‖ in [−1, 1], half of that in pixels of [0, 1]."""
    logits = class_logits(model, to_unit(images))
    labels = logits.argmax(1)
    labels[3] = 1 - labels[3]
    weight = model[1].weight.detach()  # type: ignore[index]
    exact = (logits[:, 0] - logits[:, 1]).abs() / (weight[0] - weight[1]).norm() / 2
    exact[3] = 0.0
    found = carlini_wagner(model, images, labels, 2, steps=200, step_size=0.001, keep_images=True)
    assert found.distances[3] == 0
    torch.testing.assert_close(found.distances.float(), exact, rtol=0.03, atol=1e-4)
    assert (found.distances >= exact.double() - 1e-5).all()
    assert found.accuracy == 0.0
    others = torch.arange(12) != 3
    assert found.mean_distance == pytest.approx(float(found.distances[others].mean()))
    assert found.median_distance == float(found.distances.sort().values[5])
    assert found.images is not None and found.images.abs().max() <= 1
    assert (class_logits(model, found.images).argmax(1) != labels).all()
    lengths = (found.images.double() - to_unit(images).double()).flatten(1).norm(dim=1) / 2
    torch.testing.assert_close(lengths, found.distances, rtol=0, atol=1e-5)


@needs_foolbox
@pytest.mark.parametrize(("side", "distance"), [(8, 0.8), (8, 0.05), (32, 0.05), (32, 1.5)])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_defaults_find_the_boundary_near_and_far_and_from_black_images(
    side: int, distance: float, scale: float
) -> None:
    """tanh reaches 0 only at infinity, so a search in the pixels' own box would leave black pixels black."""
    generator = torch.Generator().manual_seed(0)
    images = 200 * torch.randint(0, 2, (6, 3, side, side), dtype=torch.uint8, generator=generator)  # half are black
    weight = torch.rand(3, side, side, generator=generator)
    weight /= weight.norm()  # brighter pixels cross the boundary, and the way is free
    middle = ((to_unit(images) + 1) / 2 * weight).flatten(1).sum(1)

    def model(x: Tensor) -> Tensor:
        own = middle[:1] if len(x) == 1 else middle
        height = ((x + 1) / 2 * weight).flatten(1).sum(1) - own - distance
        return scale * torch.stack([-height, height], dim=1)

    found = carlini_wagner(model, images, torch.zeros(6, dtype=torch.int64), 2)
    assert (found.distances > distance - 1e-4).all()
    torch.testing.assert_close(found.distances, torch.full((6,), distance, dtype=torch.float64), rtol=0.03, atol=0)
    assert found.accuracy_at(distance * 1.05) == 0 and found.accuracy_at(distance * 0.95) == 1


@needs_foolbox
def test_an_image_s_result_is_its_own(model: nn.Module, images: Tensor) -> None:
    model.train()
    labels = class_logits(model, to_unit(images)).argmax(1)
    whole = carlini_wagner(model, images, labels, 2, steps=30, binary_search_steps=3)
    assert len(whole.distances.unique()) > 1
    for batch in (1, 5):
        again = carlini_wagner(model, images, labels, 2, steps=30, binary_search_steps=3, batch_size=batch)
        torch.testing.assert_close(again.distances, whole.distances, rtol=1e-4, atol=1e-6)
    assert model.training and all(p.requires_grad and p.grad is None for p in model.parameters())


@needs_foolbox
def test_an_image_that_cannot_be_turned_is_infinitely_far(images: Tensor) -> None:
    constant = carlini_wagner(
        lambda x: torch.tensor([[1.0, 0.0]]) + 0 * x.flatten(1)[:, :2],
        images,
        torch.zeros(12, dtype=torch.int64),
        2,
        steps=3,
        binary_search_steps=2,
    )
    assert constant.accuracy == 1.0
    assert constant.distances.isinf().all()
    assert constant.median_distance == float("inf")
    assert constant.mean_distance != constant.mean_distance


@needs_foolbox
def test_bad_input_is_refused_in_words(model: nn.Module, images: Tensor) -> None:
    labels = torch.zeros(12, dtype=torch.int64)
    with pytest.raises(InputError, match="steps"):
        carlini_wagner(model, images, labels, 2, steps=0)
    with pytest.raises(InputError, match="images"):
        carlini_wagner(model, images.float(), labels, 2)


def test_without_foolbox_one_sentence_says_what_to_do(
    model: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "foolbox", None)
    with pytest.raises(InputError, match=r'needs foolbox.*; pip install "\.\[attacks\]"$'):
        carlini_wagner(model, images, torch.zeros(12, dtype=torch.int64), 2)
