# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""One entry to all image sources: a short text such as "digits" or "npz:photos.npz" becomes train and test images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stic_fast.data.cifar10 import load_cifar10
from stic_fast.data.digits import load_digits
from stic_fast.data.folder import load_folder
from stic_fast.data.idx import load_idx
from stic_fast.data.image_set import Splits
from stic_fast.data.npz import load_npz
from stic_fast.data.one_image import load_image
from stic_fast.errors import InputError

_FROM_PATH: dict[str, Callable[[Path], Splits]] = {
    "cifar10": load_cifar10,
    "npz": load_npz,
    "folder": load_folder,
    "idx": load_idx,
    "image": load_image,
}
SOURCES = ("digits", *(f"{source}:PATH" for source in _FROM_PATH))


def load(spec: str) -> Splits:
    """Load the images that `spec` names: "digits", "cifar10:PATH", "npz:PATH", "folder:PATH", "idx:PATH" or
    "image:PATH".

    `~` in PATH is the home directory. Images are uint8 (N, C, H, W) and labels int64 (N,), both on the CPU. What each
    source expects at PATH is told by its module. Raises InputError, one sentence, for anything that cannot be used.

    >>> load("digits").train
    ImageSet('digits train': 1438 images of (1, 8, 8), 10 classes)
    """
    source, colon, place = spec.partition(":")
    if source == "digits":
        if colon:
            raise InputError(f"digits comes with scikit-learn and takes no path, got {spec!r}; write just digits")
        return load_digits()
    if source not in _FROM_PATH:
        raise InputError(f"there is no image source {source!r}; use one of {', '.join(SOURCES)}")
    if not place.strip():
        raise InputError(f"{source} needs a path, got {spec!r}; write {source}:PATH")
    try:
        path = Path(place).expanduser()
    except RuntimeError as error:
        raise InputError(f"the home directory in {place!r} is unknown; write the path out in full") from error
    try:
        if not path.exists():
            raise InputError(f"{path} does not exist; give {source}: a path that does")
        if not path.is_dir() and not path.is_file():
            raise InputError(f"{path} is a device or a pipe; give {source}: a file or a folder")
        return _FROM_PATH[source](path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{error.filename or path} cannot be read ({reason}); check the path and its permissions"
        ) from error
