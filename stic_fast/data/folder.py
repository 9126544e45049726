# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Image files sorted into one folder per class."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from stic_fast.data.image_set import Splits
from stic_fast.errors import InputError
from stic_fast.memory import check_fits

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM")  # none of Pillow's that starts another program
_GREY_MODES = ("1", "L", "LA", "La")
_MOST_PIXELS = 2**24  # of an image, 4096 by 4096; unpacked it takes some sixty megabytes on its way
_SMALLER = "resize the images, or give fewer"
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def load_folder(path: Path) -> Splits:
    """Read PATH/CLASS/IMAGE, or PATH/train/CLASS/IMAGE with PATH/test/CLASS/IMAGE (or "val" where there is no "test").

    The classes are the folders' names, sorted. Without a test folder a tenth of every class, always the same images,
    is held out. All images share one size and are all grey (1 channel) or all coloured (3); whatever is transparent is
    laid on white, and of an animation the first frame is taken. Files and folders whose names start with a dot and
    files that are no PNG, JPEG, BMP, WebP, GIF, TIFF or PPM by their suffix are ignored. Raises InputError otherwise;
    OSError if a folder cannot be listed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("day/1.png", "day/2.png", "night/1.png"):
    ...         (Path(folder) / name).parent.mkdir(exist_ok=True)
    ...         Image.new("L", (8, 6)).save(Path(folder) / name)
    ...     load_folder(Path(folder)).train.class_names
    ('day', 'night')
    """
    if not path.is_dir():
        raise InputError(f"{path} is a file; folder needs a folder with one folder of images per class")
    held_out = _test_folder(path)
    places = [path] if held_out is None else [path / "train", held_out]
    parts = [_class_files(place) for place in places]
    for place, part in zip(places, parts, strict=True):
        for missing in sorted(set().union(*parts) - part.keys()):
            raise InputError(f"{place} lacks the class folder {missing!r}; give train and test the same classes")
    images = _read_images([file for part in parts for files in part.values() for file in files])
    labels = [np.repeat(np.arange(len(part)), [len(files) for files in part.values()]) for part in parts]
    cut = len(labels[0])
    test = None if held_out is None else (images[cut:], labels[1])
    return Splits.from_numpy((images[:cut], labels[0]), test, class_names=tuple(parts[0]), name=f"folder:{path}")


def _test_folder(path: Path) -> Path | None:
    """The folder of test images beside PATH/train; None where PATH holds the classes themselves."""
    train = path / "train"
    if not train.is_dir() or not _entries(train)[0]:
        return None
    for held_out in (path / "test", path / "val"):
        if held_out.is_dir():
            return held_out
    raise InputError(
        f"{path} holds train but neither test nor val; add one, or give folder:{train} to have a tenth held out"
    )


def _class_files(path: Path) -> dict[str, list[Path]]:
    """The image files of every class under `path`, classes and files in the order of their names."""
    folders, loose = _entries(path)
    if loose:
        raise InputError(f"{loose[0]} stands outside any class folder; move it into {path / 'CLASS'}")
    if not folders:
        raise InputError(f"{path} holds no images; put them into one folder per class, {path / 'CLASS' / 'IMAGE.png'}")
    classes = {}
    for folder in folders:
        nested, classes[folder.name] = _entries(folder)
        if nested:
            raise InputError(f"{nested[0]} is a folder inside a class folder; move its images into {folder}")
        if not classes[folder.name]:
            raise InputError(f"{folder} holds no images; add some ({', '.join(SUFFIXES)}) or remove the folder")
    return classes


def _entries(path: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the image files in a folder, by name."""
    visible = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    images = [entry for entry in visible if entry.suffix.lower() in SUFFIXES and entry.is_file()]
    return [entry for entry in visible if entry.is_dir()], images


def _read_images(files: list[Path]) -> np.ndarray:
    """uint8 (N, C, H, W); every file must agree with the first one in size and in being grey or coloured."""
    first = read_image(files[0])
    check_fits(f"{len(files)} images of {_size(first)} pixels like {files[0]}", len(files) * first.size, _SMALLER)
    images = np.empty((len(files), *first.shape), np.uint8)
    for row, file in enumerate(files):
        image = read_image(file)
        if image.shape[1:] != first.shape[1:]:
            sizes = f"{files[0]} is {_size(first)} but {file} is {_size(image)} pixels"
            raise InputError(f"{sizes}; resize all images to one size first")
        if image.shape != first.shape:
            one, other = ("grey" if len(each) == 1 else "coloured" for each in (first, image))
            raise InputError(f"{files[0]} is {one} but {file} is {other}; convert all images to grey or to RGB")
        images[row] = image
    return images


def read_unsplit_folder(path: Path) -> tuple[np.ndarray, list[str]]:
    """The images of PATH/IMAGE or of PATH/CLASS/IMAGE, uint8 (N, C, H, W), and the class of each, "" where it has none.

    Raises InputError and OSError as `load_folder`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (8, 6)).save(Path(folder) / "1.png")
    ...     images, classes = read_unsplit_folder(Path(folder))
    >>> images.shape, classes
    ((1, 1, 6, 8), [''])
    """
    folders, loose = _entries(path)
    if not loose and not folders:
        raise InputError(f"{path} holds no images; put some into it ({', '.join(SUFFIXES)}), or into folders by class")
    classes = {"": loose} if loose and not any(_entries(folder)[1] for folder in folders) else _class_files(path)
    files = [(file, name) for name, each in classes.items() for file in each]
    return _read_images([file for file, _ in files]), [name for _, name in files]


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
                raise InputError(f"{file} has {image.width}x{image.height} pixels, too many to unpack; {_SMALLER}")
            mode = image.mode
            if mode in _DEEP_MODES:
                raise InputError(f"{file} has more than 8 bits per value (mode {mode}); save it with 8 bits")
            pixels = np.asarray(_opaque(image).convert("L" if mode in _GREY_MODES else "RGB"))
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{file} has too many pixels to unpack; {_SMALLER}") from error
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        raise InputError(f"{file} cannot be read as an image ({error}); replace or remove it") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _opaque(image: Image.Image) -> Image.Image:
    """The image laid on white, since the colour hidden under full transparency is arbitrary."""
    if not image.has_transparency_data:
        return image
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[2]}x{image.shape[1]}"
