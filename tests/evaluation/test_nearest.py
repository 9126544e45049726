# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.evaluation import nearest_distances


def test_distances_equal_a_loop_over_all_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (7, 3, 5, 4), generator=generator, dtype=torch.uint8)
    training = torch.randint(0, 256, (11, 3, 5, 4), generator=generator, dtype=torch.uint8)
    expected = [min(float(((i.double() - t.double()) / 127.5).norm()) for t in training) for i in images]
    found = nearest_distances(images, training, batch_size=3)
    torch.testing.assert_close(found.double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-4, atol=1e-4)
    assert nearest_distances(training[4:6], training).max() < 1e-2


def test_empty_and_unlike_sets() -> None:
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    assert nearest_distances(images[:0], images).shape == (0,)
    for others in (images[:0], torch.zeros(2, 1, 5, 4, dtype=torch.uint8)):
        with pytest.raises(InputError, match="cannot be compared"):
            nearest_distances(images, others)
