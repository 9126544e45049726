# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Inpainting keeps what it is given, draws the rest to fit, and reads nothing under the mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stic_fast import Run
from stic_fast.errors import InputError
from stic_fast.pixels import to_unit

LOWER = torch.arange(8)[:, None].expand(8, 8) >= 4


@pytest.fixture(scope="module")
def digits(scorer: Run) -> Tensor:
    """A test image of each class, uint8."""
    test = scorer.splits.test
    return torch.stack([test.images[test.labels == label][0] for label in range(10)])


def test_what_is_known_stays_and_the_rest_fits_the_class(scorer: Run, digits: Tensor) -> None:
    drawn = scorer.inpaint(digits, LOWER, range(10))
    assert drawn.labels.tolist() == list(range(10)) and drawn.shape == digits.shape
    assert torch.equal(drawn[..., :4, :], digits[..., :4, :])
    assert not torch.equal(drawn[..., 4:, :], digits[..., 4:, :])
    assert int((scorer.predict(drawn) == torch.arange(10)).sum()) >= 6


def test_what_is_under_the_mask_makes_no_difference(scorer: Run, digits: Tensor) -> None:
    drawn = scorer.inpaint(digits, LOWER, range(10))
    hidden = digits.masked_fill(LOWER, 77)
    assert torch.equal(drawn, scorer.inpaint(hidden, LOWER.numpy(), range(10)))
    as_floats = scorer.inpaint(to_unit(hidden), LOWER.expand(10, 1, 8, 8), [str(label) for label in range(10)])
    assert torch.equal(drawn, as_floats)
    assert not torch.equal(drawn, scorer.inpaint(digits, LOWER, range(10), seed=1))


def test_it_does_not_depend_on_the_batch(scorer: Run, digits: Tensor) -> None:
    masks = torch.stack([LOWER, ~LOWER, LOWER.T])[:, None]
    together, apart = (scorer.inpaint(digits[:3], masks, "4", batch_size=size) for size in (250, 2))
    assert float((together.float() - apart.float()).abs().mean()) < 1, "but for rounding"
    assert torch.equal(together[1, :, 4:], digits[1, :, 4:]) and torch.equal(together[2, ..., :4], digits[2, ..., :4])


def test_nothing_and_all_under_the_mask(scorer: Run, digits: Tensor) -> None:
    nothing = torch.zeros(8, 8, dtype=torch.bool)
    assert torch.equal(scorer.inpaint(digits, nothing, 0), digits)
    assert torch.equal(*(scorer.inpaint(image, ~nothing, 7) for image in digits[:2])), "one seed, one seven"


@pytest.mark.parametrize(
    ("mask", "labels", "message"),
    [
        (torch.ones(8, 8), 1, "mask must be bool.*got torch.float32"),
        (np.ones((8, 8), np.uint8), 1, "mask must be bool.*uint8"),
        (torch.ones(4, 8, dtype=torch.bool), 1, r"mask must.*got torch.bool \(4, 8\)"),
        (torch.ones(2, 3, 1, 8, 8, dtype=torch.bool), 1, "mask must"),
        ("left", 1, "mask must.*str"),
        (LOWER, [1, 2, 3], "labels must be one class, or 2"),
        (LOWER, "cat", "cat"),
    ],
)
def test_what_cannot_be_is_named(scorer: Run, digits: Tensor, mask: Any, labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scorer.inpaint(digits[:2], mask, labels)


def test_a_run_without_noise_levels(reader: Run, digits: Tensor) -> None:
    with pytest.raises(InputError, match="softmax go through no noise levels"):
        reader.inpaint(digits, LOWER, 1)
