# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Image files sorted into one folder per class."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np

from stic_fast.data.image_file import SMALLER, SUFFIXES, is_foreign_image, is_image, read_image
from stic_fast.data.image_set import Splits
from stic_fast.errors import InputError
from stic_fast.memory import check_fits

_TRAIN, _TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation")
"""What folders of training and of test images are called, in any case; the first there is."""


def load_folder(path: Path) -> Splits:
    """Read PATH/CLASS/IMAGE, or PATH/train/CLASS/IMAGE with PATH/test/CLASS/IMAGE ("val" or "valid" without a "test").

    The classes are the folders' names, sorted, in Unicode's composed form. Without a test folder a tenth of every
    class, always the same images, is held out. All images share one size and are all grey (1 channel) or all coloured
    (3); they are turned as their cameras say, whatever is transparent is laid on white, and of an animation the first
    frame is taken. Files and folders whose names start with a dot, and files that are no images by their suffix, are
    ignored. Raises InputError otherwise, for images of forms that are not read and for links that lead nowhere too;
    OSError if a folder cannot be listed.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("day/1.png", "day/2.png", "night/1.png"):
    ...         (Path(folder) / name).parent.mkdir(exist_ok=True)
    ...         Image.new("L", (8, 6)).save(Path(folder) / name)
    ...     load_folder(Path(folder)).train.class_names
    ('day', 'night')
    """
    if not path.is_dir():
        raise InputError(f"{path} is a file; folder needs a folder with one folder of images per class")
    places = _parts(path)
    parts = [_class_files(place) for place in places]
    for place, part in zip(places, parts, strict=True):
        for missing in sorted(set().union(*parts) - part.keys()):
            raise InputError(f"{place} lacks the class folder {missing!r}; give train and test the same classes")
    images = _read_images([file for part in parts for files in part.values() for file in files])
    labels = [np.repeat(np.arange(len(part)), [len(files) for files in part.values()]) for part in parts]
    cut = len(labels[0])
    test = None if len(places) == 1 else (images[cut:], labels[1])
    return Splits.from_numpy((images[:cut], labels[0]), test, class_names=tuple(parts[0]), name=f"folder:{path}")


def _parts(path: Path) -> list[Path]:
    """The folders of training and of test images in PATH, or PATH alone where it holds the classes themselves."""
    folders = _entries(path)[0]
    train, test = (
        next((folder for name in names for folder in folders if folder.name.lower() == name), None)
        for names in (_TRAIN, _TEST)
    )
    if train is None or not _entries(train)[0]:
        return [path]
    if test is None:
        raise InputError(
            f"{path} holds {train.name} but neither test nor val; add one, or give folder:{train} to have a tenth "
            "held out"
        )
    return [train, test]


def _class_files(path: Path) -> dict[str, list[Path]]:
    """The image files of every class under `path`, classes and files in the order of their names."""
    folders, loose = _entries(path)
    if loose:
        raise InputError(f"{loose[0]} stands outside any class folder; move it into {path / 'CLASS'}")
    if not folders:
        raise InputError(f"{path} holds no images; put them into one folder per class, {path / 'CLASS' / 'IMAGE.png'}")
    classes = dict[str, list[Path]]()
    for folder in folders:
        name = unicodedata.normalize("NFC", folder.name)
        if name in classes:
            raise InputError(f"{path} has two folders called {name!r}, in two forms of Unicode; put them into one")
        nested, classes[name] = _entries(folder)
        if nested:
            raise InputError(f"{nested[0]} is a folder inside a class folder; move its images into {folder}")
        if not classes[name]:
            raise InputError(f"{folder} holds no images; add some ({', '.join(SUFFIXES)}) or remove the folder")
    return dict(sorted(classes.items()))


def _entries(path: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the image files in a folder, by name.

    Raises:
        InputError: a link that leads nowhere, or an image of a form that is not read.
    """
    visible = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    for entry in visible:
        if not entry.exists():
            raise InputError(f"{entry} is a link that leads nowhere; mend or remove it")
        if is_foreign_image(entry) and entry.is_file():
            raise InputError(f"{entry} is an image of a form that is not read; convert it to PNG, or remove it")
    images = [entry for entry in visible if is_image(entry) and entry.is_file()]
    return [entry for entry in visible if entry.is_dir()], images


def _read_images(files: list[Path]) -> np.ndarray:
    """uint8 (N, C, H, W); every file must agree with the first one in size and in being grey or coloured."""
    first = read_image(files[0])
    check_fits(f"{len(files)} images of {_size(first)} pixels like {files[0]}", len(files) * first.size, SMALLER)
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
    >>> from PIL import Image
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


def _size(image: np.ndarray) -> str:
    return f"{image.shape[2]}x{image.shape[1]}"
