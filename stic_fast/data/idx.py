# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The IDX files of MNIST and Fashion-MNIST, plain or gzipped."""

from __future__ import annotations

import gzip
import itertools
import math
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from stic_fast.data.image_set import LabelledArray, Splits, check_lengths
from stic_fast.errors import InputError
from stic_fast.memory import check_fits

_UBYTE = 0x08  # the third magic byte; the others of the format are 09 int8, 0B int16, 0C int32, 0D float, 0E double
_GZIP = b"\x1f\x8b"
_MEND = "download the file again"


def load_idx(path: Path) -> Splits:
    """Read a folder with the four files of MNIST: {train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte.

    Each may end in .gz, and `.idx3` may stand for `-idx3`; a name without .gz is preferred. Whether a file is gzipped,
    its content tells. Images are (N, H, W), or (N, H, W, C) in an idx4 file with C = 1 or 3. The classes are named
    "0".."C-1". Raises InputError for a missing, damaged or unfitting file; OSError if one cannot be opened.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in ("train", "t10k"):
    ...         images, labels = (Path(folder) / f"{part}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
    ...         _ = images.write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(4))
    ...         _ = labels.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1]) + bytes(1))
    ...     load_idx(Path(folder)).test.image_shape
    (1, 2, 2)
    """
    if not path.is_dir():
        raise InputError(f"{path} is not a folder; idx needs the folder that holds the four IDX files")
    return Splits.from_numpy(_read_part(path, "train"), _read_part(path, "t10k"), name=f"idx:{path}")


def _read_part(folder: Path, part: str) -> LabelledArray:
    files = _find(folder, f"{part}-images", ranks=(3, 4)), _find(folder, f"{part}-labels", ranks=(1,))
    images, labels = _read_array(files[0], ranks=(3, 4)), _read_array(files[1], ranks=(1,))
    check_lengths(images, labels, f"{files[0]} and {files[1]}", "use two files that belong together")
    return (images.transpose(0, 3, 1, 2) if images.ndim == 4 else images), labels


def _find(folder: Path, stem: str, *, ranks: tuple[int, ...]) -> Path:
    for rank, separator, ending in itertools.product(ranks, "-.", ("", ".gz")):
        file = folder / f"{stem}{separator}idx{rank}-ubyte{ending}"
        if file.is_file():
            return file
    raise InputError(f"{folder} lacks {stem}-idx{ranks[0]}-ubyte (or the same with .gz); put the four IDX files there")


def _read_array(file: Path, *, ranks: tuple[int, ...]) -> np.ndarray:
    """uint8 array of an IDX file: 0 0 08 rank, then big-endian uint32 sizes, then the bytes in row-major order.

    No more is read, or unpacked, than the header promises and one byte, which tells that there is more.
    """
    try:
        with file.open("rb") as raw:
            # By content: browsers unpack files and keep their names, and people rename them.
            gzipped = raw.peek(len(_GZIP)).startswith(_GZIP)
            stream: BufferedIOBase = gzip.GzipFile(fileobj=raw) if gzipped else raw
            shape = _read_shape(stream, file, ranks)
            needed = math.prod(shape)
            check_fits(f"{file}, whose header promises the shape {shape},", needed, _MEND)
            content = stream.read(needed + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{file} is not a complete gzip file ({error}); {_MEND}") from error
    if len(content) != needed:
        held = f"{len(content)} bytes" if len(content) < needed else "more bytes"
        raise InputError(f"{file} holds {held} after its header, its shape {shape} needs {needed}; {_MEND}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_shape(stream: BufferedIOBase, file: Path, ranks: tuple[int, ...]) -> tuple[int, ...]:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0":
        raise InputError(f"{file} does not start with the IDX magic number 00 00 08; {_MEND}")
    if start[2] != _UBYTE:
        raise InputError(f"{file} stores the IDX type {start[2]:02X}, only unsigned bytes (08) are read; convert it")
    rank = start[3]
    if rank not in ranks:
        wanted = " or ".join(str(r) for r in ranks)
        raise InputError(f"{file} has {rank} dimensions instead of {wanted}; put the file its name promises there")
    sizes = stream.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise InputError(f"{file} ends inside its header; {_MEND}")
    shape: tuple[int, ...] = struct.unpack(f">{rank}I", sizes)
    if not all(shape):
        raise InputError(f"{file} holds nothing, its shape is {shape}; {_MEND}")
    return shape
