# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""One image file, such as the photograph of a texture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stic_fast.data.image_file import read_image
from stic_fast.data.image_set import Splits
from stic_fast.errors import InputError


def load_image(path: Path) -> Splits:
    """Read one image, to train on and to test on; its class is called "image".

    The file's forms are those of `load_folder`. Raises InputError for a folder and for what is no image.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (80, 60)).save(Path(folder) / "bricks.png")
    ...     load_image(Path(folder) / "bricks.png").train.image_shape
    (3, 60, 80)
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; image needs one file, or give folder:{path} for many")
    alone = (read_image(path)[None], np.zeros(1, np.int64))
    return Splits.from_numpy(alone, alone, class_names=("image",), name=f"image:{path}")
