# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The original files of CIFAR-10, pickled or binary, in a folder or still in their .tar.gz."""

from __future__ import annotations

import gzip
import io
import itertools
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import numpy as np

from stic_fast.data.image_set import LabelledArray, Splits
from stic_fast.data.plain_pickle import PICKLE_ERRORS, ByteArray, Refused, read_pickle, text
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


def load_cifar10(path: Path) -> Splits:
    """Read CIFAR-10 from cifar-10-batches-py, cifar-10-batches-bin, the folder around one, or its .tar.gz.

    50,000 training and 10,000 test images, uint8 (N, 3, 32, 32), with the class names of the files. Smaller sets in
    the same format do as well, if their six batches are of one length. The pickled files are read without running
    what is in them: of their instructions only those that make lists, dictionaries, texts and byte arrays are obeyed.
    Raises InputError for a missing, damaged, altered or foreign file; OSError if one cannot be opened.
    """
    found: dict[str, Any] = {}
    readers = {_PYTHON[-1]: _pickled_names, _BINARY[-1]: _plain_names, **dict.fromkeys(_BINARY[:-1], _binary_batch)}
    for name, content in _files(path):
        try:  # a reader says what the file does, and neither which it is nor what to do
            found[name] = readers.get(name, _pickled_batch)(content)
        except InputError as fault:
            raise InputError(f"{name} in {path} {fault}; {_MEND}") from fault
    if not found:
        raise InputError(
            f"{path} holds no file of CIFAR-10; give the folder {' or '.join(_FOLDERS)}, or the .tar.gz of either"
        )
    version = _BINARY if any(name in found for name in _BINARY) else _PYTHON
    missing = [name for name in version if name not in found]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; {_MEND}")
    *batches, class_names = (found[name] for name in version)
    (least, few), *_, (most, many) = sorted(
        ((name, len(labels)) for name, (_, labels) in zip(version, batches, strict=False)), key=lambda pair: pair[1]
    )
    if few != many:
        held = f"{least} in {path} holds {few} images but {most} {many}"
        raise InputError(f"{held}, where all batches are of one length; {_MEND}")
    *train, test = batches
    images, labels = (np.concatenate(parts) for parts in zip(*train, strict=True))
    return Splits.from_numpy((images, labels), test, class_names=class_names, name=f"cifar10:{path}")


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """The name and content of each file of CIFAR-10 found at `path`, of one version only if it is a folder."""
    if not path.is_dir():
        yield from _files_in_tar(path)
        return
    for folder, version in itertools.product((path, *(path / name for name in _FOLDERS)), (_PYTHON, _BINARY)):
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


def _binary_batch(content: bytes) -> LabelledArray:
    """Records of one label byte and 3072 pixels, red, green and blue plane after each other."""
    if not content or len(content) % (1 + _PIXELS):
        raise InputError(f"holds {len(content)} bytes, not a multiple of {1 + _PIXELS} per image")
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + _PIXELS)
    return records[:, 1:].reshape(-1, *_SHAPE), records[:, 0]


def _plain_names(content: bytes) -> tuple[str, ...]:
    names = tuple(content.decode("utf-8", errors="replace").split())
    if not names:
        raise InputError("names no classes")
    return names


def _pickled_batch(content: bytes) -> LabelledArray:
    entries = _unpickled(content)
    data, labels = entries.get("data"), entries.get("labels")
    if not isinstance(data, ByteArray) or not isinstance(labels, list) or not all(type(y) is int for y in labels):
        raise InputError("lacks a byte array `data` or a list of integers `labels`")
    try:
        return data.to_numpy().reshape(len(labels), *_SHAPE), np.array(labels, dtype=np.int64)
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"has {len(labels)} labels but not {_PIXELS} bytes of image for each") from error


def _pickled_names(content: bytes) -> tuple[str, ...]:
    names = _unpickled(content).get("label_names")
    if not isinstance(names, list) or not names or not all(isinstance(name, (bytes, str)) for name in names):
        raise InputError("lacks the class names `label_names`")
    return tuple(map(text, names))


def _unpickled(content: bytes) -> dict[str, Any]:
    """The pickled dictionary with its keys as text (Python 2 wrote bytes, Python 3 text)."""
    try:
        entries = read_pickle(content)
    except Refused as error:
        raise InputError(f"{error}, which CIFAR-10 never does, and was not run") from None
    except PICKLE_ERRORS as error:
        raise InputError(f"is not a complete pickle ({error})") from error
    if not isinstance(entries, dict):
        raise InputError("is not a pickled dictionary")
    return {text(key): value for key, value in entries.items()}
