# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""One image file as a source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stic_fast.data import load
from stic_fast.errors import InputError


def test_an_image_is_there_to_train_and_to_test_on(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "bricks.png")
    splits = load(f"image:{tmp_path / 'bricks.png'}")
    assert splits.train.images.numpy()[0].transpose(1, 2, 0).tolist() == pixels.tolist()
    assert splits.train.class_names == ("image",) and len(splits.test) == 1


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder; image needs one file, or give folder:"):
        load(f"image:{tmp_path}")


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no image")
    with pytest.raises(InputError, match=r"notes\.png cannot be read as an image"):
        load(f"image:{tmp_path / 'notes.png'}")
