# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Images and labels from one NumPy .npz archive, read without ever unpickling."""

from __future__ import annotations

import io
import lzma
import math
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from stic_fast.data.image_set import CHANNELS, Splits, check_lengths
from stic_fast.errors import InputError
from stic_fast.memory import check_fits

_SPLIT_KEYS = (("x_train", "y_train"), ("x_test", "y_test"))
_WHOLE_KEYS = (("x", "y"), ("images", "labels"), ("x", "labels"), ("images", "y"), ("arr_0", "arr_1"))
_LONGEST_HEADER = 2**16  # bytes of an array's shape and type; numpy's own take about a hundred
_MOST_NAMES = 20  # in a message
_MEND = "save or copy the file again"
_ENCRYPTED = RuntimeError  # or, as NotImplementedError, compressed in a way that zipfile does not know
_TOO_LARGE = MemoryError  # a shape, damaged or not
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, _ENCRYPTED, _TOO_LARGE)


def load_npz(path: Path) -> Splits:
    """Read `x_train`, `y_train`, `x_test` and `y_test` from an .npz archive.

    Images are whole numbers 0..255 of shape (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3; labels are
    integers of shape (N,) or (N, 1), numbered 0..C-1 with every class in `y_train`. Where the archive holds one set
    only, under `x` or `images` with `y` or `labels`, or `arr_0` with `arr_1`, a tenth of every class, always the
    same images, is held out for testing. The classes are named "0".."C-1". Raises InputError for anything else;
    OSError if the file cannot be opened.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "dots.npz"
    ...     np.savez(path, x=np.zeros((20, 8, 8), np.uint8), y=np.arange(20) % 2)
    ...     splits = load_npz(path)
    >>> len(splits.train), len(splits.test), splits.train.image_shape
    (18, 2, (1, 8, 8))
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, npz needs one .npz file; give the file, or read it as folder:{path}")
    parts = []
    with path.open("rb") as file, _opened(file, path) as archive:
        for keys in _choose_keys(archive.files, path):
            x, y = (_read(archive, key, path, form) for key, form in zip(keys, (_images, _labels), strict=True))
            check_lengths(x, y, f"{keys[0]} and {keys[1]} in {path}", "save one label per image")
            parts.append((x, y))
    return Splits.from_numpy(parts[0], parts[1] if len(parts) == 2 else None, name=f"npz:{path}")


def _opened(file: IO[bytes], path: Path) -> np.lib.npyio.NpzFile:
    try:
        archive: np.lib.npyio.NpzFile | np.ndarray = np.load(file, allow_pickle=False)
    except ValueError as error:
        raise InputError(f"{path} is not an .npz archive; save the arrays with numpy.savez") from error
    except _DAMAGE as error:
        raise InputError(f"{path} is not a complete .npz archive ({error}); save or copy it again") from error
    if isinstance(archive, np.ndarray):
        raise InputError(f"{path} is a single .npy array; save images and labels together with numpy.savez")
    return archive


def _choose_keys(present: list[str], path: Path) -> tuple[tuple[str, str], ...]:
    """Images and labels of train and test, or of the one set there is."""
    split_keys = [key for pair in _SPLIT_KEYS for key in pair]
    missing = [key for key in split_keys if key not in present]
    if not missing:
        return _SPLIT_KEYS
    if len(missing) < len(split_keys):
        raise InputError(f"{path} lacks {' and '.join(missing)}; save {', '.join(split_keys)} together")
    for pair in _WHOLE_KEYS:
        if all(key in present for key in pair):
            return (pair,)
    shown = [*present[:_MOST_NAMES], *["…"] * (len(present) > _MOST_NAMES)]
    raise InputError(
        f"{path} holds {', '.join(shown) or 'nothing'}; save images and labels as {', '.join(split_keys)}, or as x "
        "and y to have a tenth held out"
    )


def _read(archive: np.lib.npyio.NpzFile, key: str, path: Path, form: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """An array in its form; whose InputError, and that of the other readers, says all but which array it is."""
    try:
        _check_member(archive, key)
        array: np.ndarray = archive[key]
        return form(array)
    except InputError as fault:
        raise InputError(f"{key} in {path} {fault}") from fault
    except ValueError as error:
        raise InputError(
            f"{key} in {path} is not one plain array (ragged and object arrays are not read, nothing is unpickled); "
            "stack its entries into one array of numbers and save it again"
        ) from error
    except _DAMAGE as error:
        raise InputError(f"{key} in {path} is damaged ({error}); {_MEND}") from error


def read_unsplit_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The images of an archive without a split, uint8 (N, C, H, W), and their labels, integers (N,), where it has some.

    Images are `arr_0`, as evaluation tools write them, `x` or `images`; labels `arr_1`, `y` or `labels` beside them.
    Raises InputError and OSError as `load_npz`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "drawn.npz"
    ...     np.savez(path, np.zeros((2, 8, 8, 3), np.uint8))
    ...     images, labels = read_unsplit_npz(path)
    >>> images.shape, labels
    ((2, 3, 8, 8), None)
    """
    with path.open("rb") as file, _opened(file, path) as archive:
        image_key, *label_keys = _choose_unsplit(archive.files, path)
        images = _read(archive, image_key, path, _images)
        if not label_keys:
            return images, None
        labels = _read(archive, label_keys[0], path, _labels)
    check_lengths(images, labels, f"{image_key} and {label_keys[0]} in {path}", "save one label per image")
    return images, labels


def _choose_unsplit(present: list[str], path: Path) -> tuple[str, ...]:
    for names in (*_WHOLE_KEYS, *((images,) for images, _ in _WHOLE_KEYS)):
        if all(key in present for key in names):
            return names
    raise InputError(f"{path} holds {', '.join(present[:_MOST_NAMES]) or 'nothing'}; save the images as arr_0")


def _check_member(archive: np.lib.npyio.NpzFile, key: str) -> None:
    """Reads an array's header alone, and compares what it promises with the archive's entry and with this machine.

    Raises:
        InputError: it promises more than the entry holds, or than there is memory for.
        ValueError: it is no header of an array.
    """
    file: zipfile.ZipFile = archive.zip  # type: ignore[assignment]
    name = key if key in file.namelist() else f"{key}.npy"
    with file.open(name) as member:
        start = io.BytesIO(member.read(_LONGEST_HEADER))
    if not start.getvalue().startswith(np.lib.format.MAGIC_PREFIX):
        raise InputError("is not a NumPy array; save the file again with numpy.savez")
    version = np.lib.format.read_magic(start)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(start)
    promised, held = math.prod(shape) * kind.itemsize, file.getinfo(name).file_size - start.tell()
    if promised > held and not kind.hasobject:  # objects are pickled, and refused for that
        raise InputError(f"needs {promised} bytes for its shape {shape} and holds {held}; {_MEND}")
    check_fits(f"of the shape {shape}", promised, "save fewer images, or smaller ones")


def _images(array: np.ndarray) -> np.ndarray:
    """uint8 (N, C, H, W), or (N, H, W), from any of the accepted layouts."""
    if array.dtype.kind not in "iu":
        hint = "for values in [0, 1] save (255 * x).round().astype('uint8')"
        raise InputError(f"has values of type {array.dtype}, images must be whole numbers 0..255; {hint}")
    if array.ndim not in (3, 4) or not array.size:
        wanted = "(N, H, W), (N, H, W, C) or (N, C, H, W), none of them 0"
        raise InputError(f"has the shape {array.shape}; images must be {wanted}")
    if array.dtype != np.uint8 and (int(array.min()) < 0 or int(array.max()) > 255):
        span = f"{array.min()} to {array.max()}"
        raise InputError(f"has values from {span}, images must lie in 0..255; scale them and save uint8")
    images = array.astype(np.uint8, copy=False)
    if images.ndim == 3:
        return images
    first, last = images.shape[1] in CHANNELS, images.shape[3] in CHANNELS
    if first and last:
        hint = "pad the images so that no side is 1 or 3 pixels long"
        raise InputError(f"has the shape {images.shape}, where the channels could come first or last; {hint}")
    if not first and not last:
        hint = "convert the images to grey or RGB"
        raise InputError(f"has the shape {images.shape} without a dimension of 1 or 3 channels, second or last; {hint}")
    return images if first else images.transpose(0, 3, 1, 2)


def _labels(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iu":
        raise InputError(f"has values of type {array.dtype}, labels must be integers; save y.astype('int64')")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        wanted = "(N,), one class number per image; for one-hot rows save y.argmax(axis=1)"
        raise InputError(f"has the shape {array.shape}, labels must be {wanted}")
    return array
