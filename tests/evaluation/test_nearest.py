# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Distances to the training images tell copies: exact, whatever the size, the number and the batches."""

from __future__ import annotations

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.evaluation import nearest, nearest_distances


def test_distances_equal_a_loop_over_all_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (7, 3, 5, 4), generator=generator, dtype=torch.uint8)
    training = torch.randint(0, 256, (11, 3, 5, 4), generator=generator, dtype=torch.uint8)
    expected = [min(float(((i.double() - t.double()) / 127.5).norm()) for t in training) for i in images]
    found = nearest_distances(images, training, batch_size=3)
    torch.testing.assert_close(found.double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=0)


SIZES = [(1, 1, 1), (1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 225, 131)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("count", [1, 20, 60])
def test_a_copy_lies_at_no_distance(size: tuple[int, int, int], count: int) -> None:
    images = torch.randint(0, 256, (count, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert nearest_distances(images, images.flip(0)).tolist() == [0.0] * count
    assert nearest_distances(images[:5], images, batch_size=2).tolist() == [0.0] * min(count, 5)


@pytest.mark.parametrize("shade", [0, 127, 128, 254])
@pytest.mark.parametrize("changed", [1, 7])
def test_a_near_copy_lies_where_it_is(shade: int, changed: int) -> None:
    plain = torch.full((40, 3, 64, 64), shade, dtype=torch.uint8)
    altered = plain.clone()
    altered.view(40, -1)[:, :changed] += 1
    expected = torch.full((40,), changed**0.5 / 127.5)
    torch.testing.assert_close(nearest_distances(altered, plain), expected, rtol=1e-6, atol=0)


def test_the_result_is_the_same_in_any_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (90, 3, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    expected = nearest_distances(images[:40], images[40:])
    monkeypatch.setattr(nearest, "_OTHERS", 7)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nearest_distances(images[:40], images[40:], batch_size=3), expected)


def test_empty_and_unlike_sets() -> None:
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    for pair in ((images.float(), images), (images, images.float())):
        with pytest.raises(InputError, match="images"):
            nearest_distances(*pair)
    with pytest.raises(InputError, match="batch_size"):
        nearest_distances(images, images, batch_size=0)
    assert nearest_distances(images[:0], images).shape == (0,)
    for others in (images[:0], torch.zeros(2, 1, 5, 4, dtype=torch.uint8)):
        with pytest.raises(InputError, match="training_images"):
            nearest_distances(images, others)
