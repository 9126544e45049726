# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A counterfactual is called what was asked for, lies as near as its chain allows, and says so in a sentence."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from stic_fast import Run
from stic_fast.api.counterfactual import _Search
from stic_fast.errors import InputError
from stic_fast.models import wrap
from stic_fast.pixels import to_unit
from stic_fast.sampling import ChainState


@pytest.fixture(scope="module")
def threes(reader: Run) -> Tensor:
    """Test images of a 3 that the classifier calls so, uint8."""
    test = reader.splits.test
    return test.images[(test.labels == 3) & (reader.predict(test.images) == 3)][:5]


def test_it_is_called_what_was_asked_for(reader: Run, threes: Tensor) -> None:
    found = reader.counterfactual(threes, "8")
    assert len(found) == 5 and found.to == 8 and bool(found.succeeded.all())
    assert torch.equal(found.before, threes) and found.after.dtype == torch.uint8
    assert reader.predict(found.after).tolist() == [8] * 5
    probabilities = reader.logits(found.after)[:, :10].softmax(1)
    assert torch.allclose(found.probabilities_after, probabilities, atol=1e-5)
    assert torch.allclose(found.probabilities_before, reader.logits(threes)[:, :10].softmax(1), atol=1e-5)
    change = (to_unit(found.after) - to_unit(threes)).flatten(1).double()
    assert torch.allclose(found.l2, change.norm(dim=1)) and torch.allclose(found.linf, change.abs().amax(1))


def test_it_is_nearer_than_any_state_of_the_chain(reader: Run, threes: Tensor) -> None:
    distances = []

    def measure(state: ChainState) -> None:
        states = state.x
        called = reader.logits(states.clamp(-1, 1))[:, :10].softmax(1)[:, 8] >= 0.5
        length = (states - to_unit(threes)).flatten(1).norm(dim=1)
        distances.append(torch.where(called, length, torch.inf))

    found = reader.counterfactual(threes, 8, on_step=measure)
    assert len(distances) == 20 and bool((found.l2 < torch.stack(distances).amin(0)).all())
    assert float((found.probabilities_after[:, 8] - 0.5).abs().max()) < 0.05, "it lies beside the boundary"


def test_more_confidence_lies_farther_away(reader: Run, threes: Tensor) -> None:
    near, far = (reader.counterfactual(threes, 8, confidence=confidence) for confidence in (0.5, 0.9))
    both = near.succeeded & far.succeeded
    assert bool(both.any()) and bool((far.l2 > near.l2)[both].all())
    assert bool((far.probabilities_after[:, 8] >= 0.9)[both].all())


def test_it_depends_on_neither_batch_nor_company(reader: Run, threes: Tensor) -> None:
    together, apart = (reader.counterfactual(threes, 8, batch_size=size).after for size in (250, 2))
    alone = reader.counterfactual(to_unit(threes[3]).numpy(), 8).after
    for other in (apart, torch.cat([together[:3], alone, together[4:]])):
        assert float((other.int() - together.int()).abs().max()) <= 2, "but for rounding at the boundary"
    seeded = reader.counterfactual(threes, 8, seed=1).after
    assert not torch.equal(together, seeded)


def test_an_image_that_is_called_so_already(reader: Run, threes: Tensor) -> None:
    found = reader.counterfactual(threes[0], 3)
    assert torch.equal(found.after, threes[:1]) and found.l2.tolist() == found.linf.tolist() == [0.0]
    assert "as it is" in repr(found)


def test_a_chain_that_does_not_arrive(reader: Run, threes: Tensor) -> None:
    found = reader.counterfactual(threes[0], 8, steps=0)
    assert found.succeeded.tolist() == [False] and torch.equal(found.after, threes[:1])
    sure = reader.counterfactual(threes[0], 8, confidence=0.999999)
    assert sure.succeeded.tolist() == [False] and "no image called 8 was found" in repr(sure)
    assert float(sure.probabilities_after[0, 8]) > float(sure.probabilities_before[0, 8]), "the likeliest is kept"


def test_every_method_searches(any_run: Run) -> None:
    images = any_run.splits.test.images[:3]
    found = any_run.counterfactual(images, "7", steps=3)
    assert found.after.shape == images.shape and found.probabilities_after.shape == (3, 10)
    assert torch.equal(found.after, any_run.counterfactual(images, 7, steps=3).after)


def test_the_nearest_point_of_a_line_and_of_several() -> None:
    """Of a classifier that calls an image 1 where the sum of its two pixels is positive, which x is √0.5 away from."""
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[0.0, 0.0], [50.0, 50.0]]))
        linear.bias.zero_()
    model = wrap(nn.Sequential(nn.Flatten(), linear), gram_layers=[], num_classes=2).eval()
    start = torch.tensor([[-0.498, -0.498], [0.2, 0.2]]).view(2, 1, 1, 2)
    search = _Search(model, start, 1, 0.5)
    assert search.distance.tolist() == [torch.inf, 0.0]

    def look(x: float, y: float) -> float:
        search.look(torch.tensor([[x, y], [-1.0, -1.0]]).view(2, 1, 1, 2))
        assert search.distance[1] == 0 and torch.equal(search.best[1], start[1])
        return float(search.distance[0])

    assert look(0.0, -0.498) == torch.inf, "half of the way"
    assert look(1.0, -0.498) == pytest.approx(0.996, abs=0.01), "across along one pixel"
    assert look(1.0, 1.0) == pytest.approx(0.996 / 2**0.5, abs=0.01), "straight across"
    assert look(-0.498, 1.0) == pytest.approx(0.996 / 2**0.5, abs=0.01), "a longer way changes nothing"


def test_picture_and_files(reader: Run, threes: Tensor, tmp_path: Path) -> None:
    found = reader.counterfactual(threes[:2], 8)
    found.save(tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as written, Image.open(io.BytesIO(found._repr_png_())) as shown:
        assert np.array_equal(np.asarray(written), np.asarray(found.picture()))
        assert np.array_equal(np.asarray(written), np.asarray(shown))
    found.save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as arrays:
        assert np.array_equal(arrays["after"], found.after) and np.array_equal(arrays["l2"], found.l2)
    with pytest.raises(InputError, match=r"x\.jpg"):
        found.save(tmp_path / "x.jpg")
    lines = repr(found).split("\n")
    assert len(lines) == 2 and all("called 3 before" in line and "L2" in line and "L∞" in line for line in lines)


@pytest.mark.parametrize("confidence", [0.0, 1.0, float("nan")])
def test_confidence_out_of_its_range(reader: Run, threes: Tensor, confidence: float) -> None:
    with pytest.raises(InputError, match="confidence"):
        reader.counterfactual(threes, 8, confidence=confidence)


def test_classes_that_are_not_there(reader: Run, threes: Tensor) -> None:
    for to in ("eight", 10):
        with pytest.raises(InputError, match=str(to)):
            reader.counterfactual(threes, to)
