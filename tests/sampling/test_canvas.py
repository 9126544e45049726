# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Bytes and floats are two views of one image, and canvases are what they are called."""

from __future__ import annotations

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.ops import noise
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.sampling import canvas

IDS = torch.tensor([4, 9, 2])


def test_all_256_values_survive_the_round_trip() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    unit = to_unit(values)
    assert unit.dtype == torch.float32 and unit[0] == -1 and unit[-1] == 1
    torch.testing.assert_close(unit.double(), torch.arange(256).double() / 127.5 - 1, rtol=0, atol=1e-7)
    assert torch.equal(to_bytes(unit), values)


def test_floats_round_to_the_nearest_byte_and_clip() -> None:
    levels = torch.tensor([10.4, 10.6, 200.49, 254.51])
    assert to_bytes(levels / 127.5 - 1).tolist() == [10, 11, 200, 255]
    assert to_bytes(torch.tensor([-3.0, 3.0, 0.25])).tolist() == [0, 255, 159]
    assert to_bytes(torch.tensor([1.0], dtype=torch.bfloat16)).tolist() == [255]


def test_uniform_canvas_is_the_noise_contracts() -> None:
    x = canvas("uniform", (3, 16, 16), IDS, seed=7, step=5)
    stream = noise.Stream.CHAIN_INIT
    expected = noise.uniform((3, 3, 16, 16), seed=7, step=5, chain_ids=IDS, stream=stream) * 2 - 1
    assert torch.equal(x, expected)
    assert -1 <= x.min() < -0.99 and 0.99 < x.max() <= 1
    # 2304 uniforms on [-1, 1]: the mean's standard deviation is sqrt(1/3/2304) = 0.012, five of it 0.06.
    assert abs(x.mean()) < 0.06


def test_normal_canvas_is_clamped_to_the_box() -> None:
    x = canvas("normal", (3, 16, 16), IDS, seed=7)
    raw = noise.normal((3, 3, 16, 16), seed=7, chain_ids=IDS, stream=noise.Stream.CHAIN_INIT)
    assert torch.equal(x, raw.clamp(-1, 1))
    assert x.min() == -1 and x.max() == 1 and raw.abs().max() > 1


def test_blank_canvas_is_white() -> None:
    x = canvas("blank", (1, 4, 4), IDS, seed=7)
    assert x.shape == (3, 1, 4, 4) and bool((to_bytes(x) == 255).all())


def test_canvas_follows_the_id_and_not_the_row() -> None:
    whole = canvas("uniform", (1, 4, 4), IDS, seed=7)
    assert torch.equal(canvas("uniform", (1, 4, 4), IDS[1:2], seed=7), whole[1:2])
    assert not torch.equal(canvas("uniform", (1, 4, 4), IDS, seed=8), whole)
    assert not torch.equal(canvas("uniform", (1, 4, 4), IDS, seed=7, step=1), whole)


def test_unknown_canvas() -> None:
    with pytest.raises(InputError, match="canvas 'grey'"):
        canvas("grey", (1, 4, 4), IDS, seed=0)  # type: ignore[arg-type]
