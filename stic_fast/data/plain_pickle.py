# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Pickles of plain values, read without running what is in them: lists, dictionaries, texts, numbers and byte arrays.

Forbidding names to Python's unpickler is not enough. Its C form reserves gigabytes for a few bytes (an index of its
memo), and both forms hash a nest of tuples as a key until they crash, and let a state change what was found by name.
So this one is its form in Python, whose memo is a dictionary, with keys that are texts, states for arrays alone,
stand-ins for what a pickle may name, and few instructions, counted and measured before the first is carried out.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np

from stic_fast.errors import InputError

MOST_INSTRUCTIONS = 300_000  # an original batch of CIFAR-10 has a hundred thousand at most
_DAMAGE = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, MemoryError, EOFError)
PICKLE_ERRORS = (*_DAMAGE, pickle.UnpicklingError)
TOO_MUCH = "nests or holds more than any file of its kind"

_NAMES = {ord(instruction.code): instruction.name for instruction in pickletools.opcodes}
_INSTRUCTIONS = (
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "NONE", "NEWTRUE", "NEWFALSE", "GLOBAL", "STACK_GLOBAL"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("BYTEARRAY8", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "REDUCE", "BUILD"),
    *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
)


class Refused(InputError):
    """A pickle asks for what no pickle of plain values needs; the message says for what."""


class ByteType:
    """Stands in for numpy.dtype; only unsigned bytes exist."""

    def __init__(self, code: bytes | str, align: object = False, copy: object = False) -> None:
        if text(code) not in ("u1", "|u1"):
            raise ValueError(f"an array of type {text(code)[:20]} instead of u1")

    def __setstate__(self, state: object) -> None:
        """A byte has no byte order: there is nothing to keep."""


class ByteArray:
    """Stands in for numpy.ndarray and its makers, whose own unpickling trusts the file with sizes and types.

    It is called as protocol 5 calls, or with whatever and given its state.
    """

    def __init__(self, content: Any = b"", kind: object = None, shape: Any = (0,), order: Any = "C") -> None:
        self._content, self._shape, self._order = content, shape, order

    def __setstate__(self, state: tuple[object, Any, object, object, Any]) -> None:
        _, self._shape, _, fortran, self._content = state
        self._order = "F" if fortran else "C"

    def to_numpy(self) -> np.ndarray:
        """uint8, in the shape that the file gives.

        Raises:
            AttributeError, TypeError, ValueError, OverflowError: the shape is none, or of other bytes.
        """
        return np.reshape(np.frombuffer(self._content, np.uint8), self._shape, order=self._order)


def read_pickle(content: bytes) -> Any:
    """The value of a pickle. Texts of Python 2 are bytes.

    Raises:
        Refused: it asks for anything else, or for too much.
        PICKLE_ERRORS: it is damaged.

    >>> read_pickle(pickle.dumps({"labels": [1, 2]}))
    {'labels': [1, 2]}
    """
    for count, _ in enumerate(pickletools.genops(content)):
        if count >= MOST_INSTRUCTIONS:
            raise Refused(TOO_MUCH)
    return _Unpickler(content).load()


def text(value: object) -> str:
    """Bytes or text as text.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text belongs")
    return value


class _Entries(dict[Any, Any]):
    """A dictionary whose keys are bytes or texts; their hashes are kept, and do not nest."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, bytes | str):
            raise TypeError(f"{type(key).__name__} where a text belongs")
        super().__setitem__(key, value)


class _Instructions(dict[int, Any]):
    """What carries out an instruction, by its code."""

    def __missing__(self, code: int) -> None:
        raise Refused(f"asks for the instruction {_NAMES[code]}")


class _Unpickler(pickle._Unpickler):
    """Python's own, in Python, with what the module says withheld."""

    stack: list[Any]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._unread = len(content)
        self._known: dict[tuple[str, str], Any] = {
            ("numpy", "ndarray"): ByteArray,
            ("numpy", "dtype"): ByteType,
            ("_codecs", "encode"): self._encoded,
        }
        for core in ("numpy.core", "numpy._core"):
            self._known[core + ".multiarray", "_reconstruct"] = ByteArray
            self._known[core + ".numeric", "_frombuffer"] = ByteArray

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._known:
            raise Refused(f"asks for {module[:100]}.{name[:100]}")
        return self._known[module, name]

    def _encoded(self, written: str, encoding: object) -> bytes:
        """Stands in for _codecs.encode, by which Python 3 writes bytes for Python 2, each from a text of its own."""
        self._unread -= len(written)
        if self._unread < 0:
            raise Refused(TOO_MUCH)
        return written.encode("latin1")

    def _load_empty_dict(self) -> None:
        self.stack.append(_Entries())

    def _load_dict(self) -> None:
        if self.pop_mark():
            raise TypeError("a dictionary that is not filled item by item")
        self._load_empty_dict()

    def _load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], ByteArray | ByteType):
            raise TypeError("a state for what has none")
        self.stack[-1].__setstate__(state)

    dispatch = _Instructions(
        {code: obey for code, obey in pickle._Unpickler.dispatch.items() if _NAMES[code] in _INSTRUCTIONS}
        | {pickle.EMPTY_DICT[0]: _load_empty_dict, pickle.DICT[0]: _load_dict, pickle.BUILD[0]: _load_build}
    )
