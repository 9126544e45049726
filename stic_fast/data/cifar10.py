# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The original files of CIFAR-10, pickled or binary, in a folder or still in their .tar.gz."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import numpy as np

from stic_fast.data.image_set import LabelledArray, Splits
from stic_fast.data.plain_pickle import ByteArray, Refused, read_pickle, text
from stic_fast.errors import InputError
from stic_fast.memory import written

_PYTHON = (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta")
_BINARY = (*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin", "batches.meta.txt")
_FOLDERS = ("cifar-10-batches-py", "cifar-10-batches-bin")
_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_LARGEST_FILE = 64 * 2**20  # twice the largest original file
_LARGEST_EXTRA = 2**16  # bytes of a tar's own records, such as long names
_LARGEST_TAR = 2**29  # bytes unpacked; three times the original's
_MOST_MEMBERS = 1_000
_MEND = "download CIFAR-10 again"
PICKLE_ERRORS = (
    *(AttributeError, LookupError, TypeError, ValueError, ArithmeticError, MemoryError, EOFError),
    pickle.UnpicklingError,
)


def load_cifar10(path: Path) -> Splits:
    """Read CIFAR-10 from cifar-10-batches-py, cifar-10-batches-bin, the folder around one, or its .tar.gz.

    50,000 training and 10,000 test images, uint8 (N, 3, 32, 32), with the class names of the files. Smaller sets in
    the same format do as well, if their six batches are of one length. The pickled files are read without running
    what is in them: of their instructions only those that make lists, dictionaries, texts and byte arrays are obeyed.
    Raises InputError for a missing, damaged, altered or foreign file; OSError if one cannot be opened.
    """
    batches: dict[str, LabelledArray] = {}
    class_names: tuple[str, ...] | None = None
    for name, content in _files(path):
        where = f"{name} in {path}"
        if name == "batches.meta":
            class_names = _pickled_names(content, where)
        elif name == "batches.meta.txt":
            class_names = _plain_names(content, where)
        else:
            batches[name] = _binary_batch(content, where) if name.endswith(".bin") else _pickled_batch(content, where)
    *train_names, test_name, meta_name = _complete(batches, class_names, path)
    if class_names is None:
        raise InputError(f"{path} lacks {meta_name}; {_MEND}")
    _check_lengths(batches, path)
    images, labels = (np.concatenate([batches[name][part] for name in train_names]) for part in (0, 1))
    return Splits.from_numpy((images, labels), batches[test_name], class_names=class_names, name=f"cifar10:{path}")


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """The name and content of each file of CIFAR-10 found at `path`, of one version only if it is a folder."""
    if not path.is_dir():
        yield from _files_in_tar(path)
        return
    for folder in (path, *(path / name for name in _FOLDERS)):
        for version in (_PYTHON, _BINARY):
            present = [name for name in version if (folder / name).is_file()]
            if present:
                yield from ((name, _read_file(folder / name)) for name in present)
                return


def _read_file(file: Path) -> bytes:
    with file.open("rb") as stream:
        content = stream.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise InputError(f"{file} holds more than {_LARGEST_FILE} bytes, too many for CIFAR-10; {_MEND}")
    return content


class _Header(tarfile.TarInfo):
    """A member's header; what a tar tells of itself, long names for one, is read whole, so it is bounded here."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        header = super().frombuf(buf, encoding, errors)
        if header.size > _LARGEST_EXTRA and not (header.isreg() or header.isdir()):
            raise InputError(f"one of its records about itself has {header.size} bytes")
        return header


class _Bounded(io.RawIOBase):
    """Passes on what another stream reads, up to so many bytes."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._left = stream, most

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise InputError(f"it unpacks to more than {written(_LARGEST_TAR)}")
        return content


def _files_in_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    """As _files, streamed: nothing is written to disk, links and all other names are passed over."""
    try:
        with ExitStack() as opened:
            stream: IO[bytes] = opened.enter_context(path.open("rb"))
            zipped = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            if zipped:
                stream = cast(IO[bytes], opened.enter_context(gzip.open(stream)))
            stream = cast(IO[bytes], _Bounded(stream, _LARGEST_TAR))
            archive = opened.enter_context(tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header))
            for count, member in enumerate(archive):
                if count >= _MOST_MEMBERS:
                    raise InputError(f"it holds more than {_MOST_MEMBERS} files")
                name = PurePosixPath(member.name).name
                if not member.isfile() or name not in (*_PYTHON, *_BINARY):
                    continue
                if member.size > _LARGEST_FILE:
                    raise InputError(f"{name} holds {member.size} bytes")
                content = archive.extractfile(member)
                if content is not None:
                    yield name, content.read()
            while stream.read(2**20):
                pass  # gzip compares its checksum at the very end, where tarfile does not look
    except InputError as error:
        raise InputError(f"{path} is not CIFAR-10: {error}; {_MEND}") from error
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is not a complete .tar.gz archive ({error}); {_MEND}") from error


def _complete(batches: dict[str, LabelledArray], class_names: tuple[str, ...] | None, path: Path) -> tuple[str, ...]:
    """The file names of the version at hand, once all its batches are known to be there."""
    if not batches and class_names is None:
        raise InputError(
            f"{path} holds no file of CIFAR-10; give the folder {' or '.join(_FOLDERS)}, or the .tar.gz of either"
        )
    version = _BINARY if any(name in batches for name in _BINARY) else _PYTHON
    missing = [name for name in version[:-1] if name not in batches]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; {_MEND}")
    return version


def _check_lengths(batches: dict[str, LabelledArray], path: Path) -> None:
    by_length = sorted(batches, key=lambda name: len(batches[name][1]))
    least, most = by_length[0], by_length[-1]
    if len(batches[least][1]) != len(batches[most][1]):
        raise InputError(
            f"{least} in {path} holds {len(batches[least][1])} images but {most} {len(batches[most][1])}, where all "
            f"batches are of one length; {_MEND}"
        )


def _binary_batch(content: bytes, where: str) -> LabelledArray:
    """Records of one label byte and 3072 pixels, red, green and blue plane after each other."""
    if not content or len(content) % (1 + _PIXELS):
        raise InputError(f"{where} holds {len(content)} bytes, not a multiple of {1 + _PIXELS} per image; {_MEND}")
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + _PIXELS)
    return records[:, 1:].reshape(-1, *_SHAPE), records[:, 0]


def _plain_names(content: bytes, where: str) -> tuple[str, ...]:
    names = tuple(content.decode("utf-8", errors="replace").split())
    if not names:
        raise InputError(f"{where} names no classes; {_MEND}")
    return names


def _pickled_batch(content: bytes, where: str) -> LabelledArray:
    entries = _unpickled(content, where)
    data, labels = entries.get("data"), entries.get("labels")
    if not isinstance(data, ByteArray) or not isinstance(labels, list) or not all(type(y) is int for y in labels):
        raise InputError(f"{where} lacks a byte array `data` or a list of integers `labels`; {_MEND}")
    try:
        images = data.to_numpy().reshape(len(labels), *_SHAPE)
        return images, np.array(labels, dtype=np.int64)
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{where} has {len(labels)} labels but not {_PIXELS} bytes of image for each; {_MEND}"
        ) from error


def _pickled_names(content: bytes, where: str) -> tuple[str, ...]:
    names = _unpickled(content, where).get("label_names")
    if not isinstance(names, list) or not names or not all(isinstance(name, (bytes, str)) for name in names):
        raise InputError(f"{where} lacks the class names `label_names`; {_MEND}")
    return tuple(text(name) for name in names)


def _unpickled(content: bytes, where: str) -> dict[str, Any]:
    """The pickled dictionary with its keys as text (Python 2 wrote bytes, Python 3 text)."""
    try:
        entries = read_pickle(content)
    except Refused as error:
        raise InputError(f"{where} {error}, which CIFAR-10 never does, and was not run; {_MEND}") from None
    except PICKLE_ERRORS as error:
        raise InputError(f"{where} is not a complete pickle ({error}); {_MEND}") from error
    if not isinstance(entries, dict):
        raise InputError(f"{where} is not a pickled dictionary; {_MEND}")
    return {text(key): value for key, value in entries.items()}
