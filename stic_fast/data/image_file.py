# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""One image file as bytes, as a viewer shows it: turned as its camera says, its colours and its range as they are."""

from __future__ import annotations

import mimetypes
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps

from stic_fast.errors import InputError

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".bmp", ".webp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
SMALLER = "resize the images, or give fewer"
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM")  # none of Pillow's that starts another program
_GREY_MODES = ("1", "L", "LA", "La")
_MOST_PIXELS = 2**24  # of an image, 4096 by 4096; unpacked it takes some sixty megabytes on its way
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_OTHER_IMAGES = (".heic", ".heif", ".avif", ".jp2", ".jxl", ".psd", ".dng", ".exr", ".hdr", ".raw")
"""Suffixes of images that are not read, of which Python's own list lacks some."""


def is_image(file: Path) -> bool:
    """Whether a file is one that `read_image` reads, by its suffix.

    >>> is_image(Path("cat.JPG")), is_image(Path("cat.heic"))
    (True, False)
    """
    return file.suffix.lower() in SUFFIXES


def is_foreign_image(file: Path) -> bool:
    """Whether a file is an image of a form that `read_image` does not read, by its suffix.

    >>> is_foreign_image(Path("cat.heic")), is_foreign_image(Path("notes.txt"))
    (True, False)
    """
    kind, _ = mimetypes.guess_type(file.name, strict=False)
    return not is_image(file) and ((kind or "").startswith("image/") or file.suffix.lower() in _OTHER_IMAGES)


def read_image(file: Path, *, most_pixels: int = _MOST_PIXELS) -> np.ndarray:
    """One image as uint8 (1, H, W) if its file is grey, (3, H, W) if not; what is transparent is laid on white.

    Args:
        most_pixels: how many it may have.

    Raises:
        InputError: it cannot be read as an image, has too many pixels, or more than 8 bits per value.
        FileNotFoundError: there is no such file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (8, 6)).save(Path(folder) / "1.png")
    ...     read_image(Path(folder) / "1.png").shape
    (3, 6, 8)
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(file, formats=_FORMATS)
        with image:
            if image.width * image.height > most_pixels:
                raise InputError(f"{file} has {image.width}x{image.height} pixels, too many to unpack; {SMALLER}")
            mode = image.mode
            if mode in _DEEP_MODES or _is_narrowed(image):
                raise InputError(f"{file} has more than 8 bits per value (mode {mode}); save it with 8 bits")
            turned = ImageOps.exif_transpose(image)
            pixels = np.asarray(_opaque(turned).convert("L" if mode in _GREY_MODES else "RGB"))
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{file} has too many pixels to unpack; {SMALLER}") from error
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        raise InputError(f"{file} cannot be read as an image ({error}); replace or remove it") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _is_narrowed(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow will cut values of 16 bits to their upper 8, which leaves nothing of a 12-bit camera's."""
    for tile in image.tile:
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if any(isinstance(one, str) and ";16" in one for one in arguments):
            return True
        if image.format == "PPM" and any(isinstance(one, int) and one > 255 for one in arguments):
            return True
    return False


def _opaque(image: Image.Image) -> Image.Image:
    """The image laid on white, since the colour hidden under full transparency is arbitrary."""
    if not image.has_transparency_data:
        return image
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
