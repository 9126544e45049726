# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Pickles of plain values, read without Python's own unpickler: lists, dictionaries, texts, numbers and byte arrays.

Python's runs whatever a pickle asks for; even where that is forbidden, a few bytes make it take gigabytes (an index of
its memo) or hash a nest of tuples until it crashes. Here nothing is imported or called but stand-ins, keys of
dictionaries are texts, and the number of instructions and of values in the making is bounded.
"""

from __future__ import annotations

import pickletools
from typing import Any

import numpy as np

from stic_fast.errors import InputError

MOST_INSTRUCTIONS = 300_000  # an original batch of CIFAR-10 has a hundred thousand at most
MOST_AT_ONCE = 20_000  # values in the making; pickles hand over lists a thousand values at a time

_TEXTS_OF_PYTHON_2 = ("STRING", "BINSTRING", "SHORT_BINSTRING")
_VALUES = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class ByteType:
    """Stands in for numpy.dtype; only unsigned bytes exist."""

    def __init__(self, code: bytes | str, *_: object) -> None:
        if text(code) not in ("u1", "|u1"):
            raise ValueError(f"an array of type {text(code)[:20]} instead of u1")

    def __setstate__(self, state: object) -> None:
        """A byte has no byte order: there is nothing to keep."""


class ByteArray:
    """Stands in for numpy.ndarray and its makers, whose own unpickling trusts the file with sizes and types."""

    def __init__(self, *_: object) -> None:
        self.content, self.order = b"", "C"
        self.shape: tuple[int, ...] = (0,)

    def __setstate__(self, state: tuple[int, tuple[int, ...], ByteType, bool, bytes]) -> None:
        _, self.shape, _, fortran, self.content = state
        self.order = "F" if fortran else "C"

    @classmethod
    def from_buffer(cls, content: bytes, kind: ByteType, shape: tuple[int, ...], order: str) -> ByteArray:
        """What pickle protocol 5 calls."""
        array = cls()
        array.__setstate__((1, shape, kind, order == "F", content))
        return array

    @classmethod
    def bytes_from_text(cls, text: str, encoding: str) -> bytes:
        """Stands in for _codecs.encode, by which Python 3 writes bytes for Python 2."""
        return text.encode("latin1")

    def to_numpy(self) -> np.ndarray:
        """uint8, in the shape that the file gives.

        Raises:
            TypeError, ValueError: the shape is none, or of other bytes.
        """
        flat = np.frombuffer(self.content, np.uint8)
        return flat.reshape(self.shape, order="F" if self.order == "F" else "C")


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): ByteArray,
    ("numpy", "dtype"): ByteType,
    ("_codecs", "encode"): ByteArray.bytes_from_text,
}
for _core in ("numpy.core", "numpy._core"):
    _STAND_INS[_core + ".multiarray", "_reconstruct"] = ByteArray
    _STAND_INS[_core + ".numeric", "_frombuffer"] = ByteArray.from_buffer


class Refused(InputError):
    """A pickle asks for what no pickle of plain values needs; the message says for what."""


def read_pickle(content: bytes) -> Any:
    """The value of a pickle. Texts of Python 2 are bytes.

    Raises:
        Refused: it asks for anything else, or for too much.
        ValueError, LookupError, TypeError, AttributeError, OverflowError: it is damaged.

    >>> import pickle
    >>> read_pickle(pickle.dumps({"labels": [1, 2]}))
    {'labels': [1, 2]}
    """
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if count >= MOST_INSTRUCTIONS or len(machine.stack) > MOST_AT_ONCE:
            raise Refused("nests or holds more than any file of its kind")
        machine.obey(opcode.name, argument)
    return machine.stack.pop()


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


class _Machine:
    """The stack machine that a pickle is a program for."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def obey(self, name: str, argument: Any) -> None:
        """Carries out one instruction."""
        push, pop = self.stack.append, self.stack.pop
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                self._marks.append(len(self.stack))
            case "POP":
                pop()
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                push(_CONSTANTS[name])
            case _ if name in _VALUES:
                push(argument)
            case _ if name in _TEXTS_OF_PYTHON_2:
                push(argument.encode("latin1"))
            case "EMPTY_LIST" | "LIST":
                push([] if name == "EMPTY_LIST" else self._since_mark())
            case "APPEND" | "APPENDS":
                values = [pop()] if name == "APPEND" else self._since_mark()
                list.extend(self.stack[-1], values)
            case "EMPTY_DICT" | "DICT":
                pairs = [] if name == "EMPTY_DICT" else self._since_mark()
                push({})
                self._set(pairs)
            case "SETITEM" | "SETITEMS":
                self._set([pop(), pop()][::-1] if name == "SETITEM" else self._since_mark())
            case "EMPTY_TUPLE":
                push(())
            case "TUPLE":
                push(tuple(self._since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                push(tuple([pop() for _ in range(int(name[-1]))][::-1]))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self.stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = self.stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                push(self._memo[argument])
            case "GLOBAL":
                push(_stand_in(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                attribute, module = pop(), pop()
                push(_stand_in(text(module), text(attribute)))
            case "REDUCE":
                arguments, function = pop(), pop()
                if not any(function is known for known in _CALLED):
                    raise TypeError("a call of what is no function")
                push(function(*arguments))
            case "BUILD":
                state = pop()
                if not isinstance(self.stack[-1], ByteArray | ByteType):
                    raise TypeError("a state for what has none")
                self.stack[-1].__setstate__(state)
            case _:
                raise Refused(f"asks for the instruction {name}")

    def _since_mark(self) -> list[Any]:
        place = self._marks.pop()
        values = self.stack[place:]
        del self.stack[place:]
        return values

    def _set(self, pairs: list[Any]) -> None:
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            dict.__setitem__(self.stack[-1], text(key), value)


_CALLED = tuple(_STAND_INS.values())


def _stand_in(module: str, name: str) -> Any:
    try:
        return _STAND_INS[module, name]
    except KeyError:
        raise Refused(f"asks for {module[:100]}.{name[:100]}") from None
