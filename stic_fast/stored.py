# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The one door through which files on disk are read back: checked first, and whatever is wrong becomes one sentence.

Nothing that is read here can run code.
"""

from __future__ import annotations

import io
import json
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load
from torch import Tensor

from stic_fast.digests import DIFFERS, listed, read_checked
from stic_fast.errors import InputError

DEEPEST = 64
"""Lists and objects within each other; what this package writes has less than ten."""

Content = TypeVar("Content")


def read_stored(path: Path, parse: Callable[[bytes], Content], hint: str) -> Content:
    """What `parse` makes of a file's bytes, once they are those that were written.

    Args:
        parse: may raise anything.
        hint: what to do about a file that is damaged, the end of the sentence.

    Raises:
        FileNotFoundError: there is no such file, and none is listed.
        InputError: it cannot be read, is not as it was written, or `parse` refuses it.

    >>> read_stored(Path("nowhere.json"), len, "make it")
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.json'
    """
    content, whole = read_bytes(path, hint)
    if not whole:
        raise damaged(path, DIFFERS, hint)
    try:
        return parse(content)
    except Exception as error:  # whatever the readers of JSON, zip, pickle and tensors raise, MemoryError among it
        raise damaged(path, reason(error), hint) from error


def read_bytes(path: Path, hint: str) -> tuple[bytes, bool]:
    """A file's bytes, and whether they are those that were written.

    Raises:
        FileNotFoundError: there is no such file, and none is listed.
        InputError: it cannot be read, or is missing.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a folder; or a pipe, which would be waited for
            raise damaged(path, "it is no file", hint)
        return read_checked(path)
    except FileNotFoundError as error:
        if path.name not in listed(path.parent):
            raise
        raise InputError(f"{path} is missing; {hint}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); {hint}") from error


def read_json(path: Path, hint: str) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        FileNotFoundError: there is no such file, and none is listed.
        InputError: it is damaged, no object, or nested more deeply than `DEEPEST`.
    """
    return read_stored(path, parse_object, hint)


def read_tensors(path: Path, hint: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        FileNotFoundError: there is no such file, and none is listed.
        InputError: it is damaged.
    """
    return read_stored(path, load, hint)


def read_torch(path: Path, hint: str) -> Any:
    """What torch.save has written, on the CPU. Never unpickles code.

    Raises:
        FileNotFoundError: there is no such file, and none is listed.
        InputError: it is damaged, or holds more than tensors and plain values.
    """

    def parse(content: bytes) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings(
                    "ignore", message="Detected pickle protocol"
                )  # of files that torch then refuses
                return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception as error:  # torch's own sentence advises to unpickle all the same
            raise ValueError("torch cannot read it as tensors and plain values") from error

    return read_stored(path, parse, hint)


def parse_object(content: bytes) -> dict[str, Any]:
    """The object that JSON text is.

    Raises:
        ValueError: it is none, not UTF-8, or nested more deeply than `DEEPEST`.
        RecursionError: it is nested so deeply that it cannot be parsed.

    >>> parse_object(b'{"passes": 3}')
    {'passes': 3}
    """
    plain = json.loads(content.decode())
    if not isinstance(plain, dict):
        raise ValueError("it holds no JSON object")
    level: list[Any] = [plain]
    for _ in range(DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
    if level:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    return plain


def damaged(path: Path, reason: str, hint: str) -> InputError:
    """The error for a file that cannot be used."""
    return InputError(f"{path} is damaged ({reason}); {hint}")


def reason(error: Exception) -> str:
    """What an error says, in a line.

    >>> reason(RecursionError("maximum recursion depth exceeded while decoding a JSON array from a unicode string"))
    'it is nested too deeply'
    >>> reason(KeyError("method"))
    "it lacks 'method'"
    """
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, KeyError):
        return f"it lacks {error.args[0]!r}" if error.args else "it lacks something"
    return str(error).partition("\n")[0] or type(error).__name__
