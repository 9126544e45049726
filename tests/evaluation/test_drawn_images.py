# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Images of an evaluation on disk: parts, kills, damage, and sets that grow."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.evaluation.drawn_images import PART, DrawnImages


class Pen:
    """Draws image i as the number i, and remembers what it drew."""

    def __init__(self, strokes: int | None = None) -> None:
        self.drawn: list[int] = []
        self.strokes = strokes

    def __call__(self, rows: Tensor) -> Tensor:
        if self.strokes is not None and len(self.drawn) >= self.strokes:
            raise KeyboardInterrupt
        self.drawn += rows.tolist()
        return (rows % 256).to(torch.uint8)[:, None, None, None].expand(-1, 1, 2, 3)


def store(folder: Path, count: int, **about: int) -> DrawnImages:
    return DrawnImages(folder, count, num_classes=3, about={"seed": 0, **about})


def test_images_and_labels_come_back_in_order(tmp_path: Path) -> None:
    drawn = store(tmp_path, 2 * PART + 7)
    drawn.complete(Pen())
    parts = list(drawn)
    assert [len(images) for images, _ in parts] == [PART, PART, 7]
    images, labels = drawn.all()
    assert torch.equal(images[:, 0, 1, 2], (torch.arange(2 * PART + 7) % 256).to(torch.uint8))
    assert torch.equal(labels, torch.arange(2 * PART + 7) % 3) and torch.equal(labels, drawn.labels())


def test_a_killed_drawing_goes_on(tmp_path: Path) -> None:
    drawn, killed = store(tmp_path, 3 * PART), Pen(strokes=PART)
    with pytest.raises(KeyboardInterrupt):
        drawn.complete(killed)
    assert killed.drawn == list(range(PART)) and drawn.missing() == 2 * PART
    again = Pen()
    store(tmp_path, 3 * PART).complete(again)
    assert again.drawn == list(range(PART, 3 * PART))


def test_a_set_that_grows_draws_what_is_missing(tmp_path: Path) -> None:
    store(tmp_path, PART + 5).complete(Pen())
    fewer = Pen()
    store(tmp_path, 9).complete(fewer)
    assert fewer.drawn == [] and len(store(tmp_path, 9).all()[0]) == 9
    more = Pen()
    store(tmp_path, 2 * PART).complete(more)
    assert more.drawn == list(range(PART, 2 * PART))


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 an archive", -30, 200, None])
def test_damaged_parts_are_drawn_again(tmp_path: Path, damage: bytes | int | None, listed: bool) -> None:
    """None stands for a missing part, a place below 0 for a part that ends there, one above for a flipped bit."""
    drawn = store(tmp_path, PART + 1)
    drawn.complete(Pen())
    part = tmp_path / "part_0000.npy"
    whole = bytearray(part.read_bytes())
    if not listed:
        (tmp_path / "SHA256SUMS").unlink()
        if damage == 200:
            return  # parts of an older version are taken as they are
    if damage is None:
        part.unlink()
    elif isinstance(damage, bytes):
        part.write_bytes(damage)
    elif damage < 0:
        part.write_bytes(whole[:damage])
    else:
        whole[damage] ^= 4
        part.write_bytes(whole)
    assert drawn.missing() == PART
    with pytest.raises(InputError, match=r"part_0000\.npy is (missing|damaged \(.*\)); evaluate again to draw it anew"):
        drawn.all()
    again, said = Pen(), list[str]()
    drawn.complete(again, said.append)
    assert len(said) == (damage is not None or listed) and all("is drawn anew" in sentence for sentence in said)
    assert again.drawn == list(range(PART)) and drawn.missing() == 0


def test_images_of_something_else_are_refused(tmp_path: Path) -> None:
    store(tmp_path, 4, steps=60)
    with pytest.raises(InputError, match=r"drawn with another steps; remove it, or name another folder"):
        store(tmp_path, 4, steps=61)
    with pytest.raises(InputError, match="another num_classes"):
        DrawnImages(tmp_path, 4, num_classes=4, about={"seed": 0, "steps": 60})
    (tmp_path / "about.json").write_text("{")
    with pytest.raises(InputError, match=r"about\.json is damaged"):
        store(tmp_path, 4, steps=60)
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(InputError, match=r"about\.json is damaged"):
        store(tmp_path, 4, steps=60)
    (tmp_path / "about.json").unlink()
    (tmp_path / "part_0000.npy").touch()
    with pytest.raises(InputError, match=r"about\.json is missing, so nobody knows of what the images are; remove"):
        store(tmp_path, 4, steps=60)
    with pytest.raises(InputError, match="count"):
        store(tmp_path / "none", 0)
