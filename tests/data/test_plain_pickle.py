# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Plain values are read as Python reads them; whatever else a pickle asks for is refused, in little memory and time."""

from __future__ import annotations

import contextlib
import copyreg
import pickle
import random
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from stic_fast.data.plain_pickle import MOST_INSTRUCTIONS, PICKLE_ERRORS, ByteArray, ByteType, Refused, read_pickle

NEST = 1_000_000
ARRAY, TYPE, ENCODE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"c_codecs\nencode\n"
REBUILD, BUFFER = b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy.core.numeric\n_frombuffer\n"
HUGE = b"\x8a\x08" + (2**62).to_bytes(8, "little")
MEBIBYTE = b"X" + (2**20).to_bytes(4, "little") + bytes(2**20)


@pytest.mark.parametrize("value", [{"labels": [0, 1] * 5000, "name": b"x"}, {"a": {"b": [None, True, 2**70, "ü"]}}, {}])
@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_read_as_python_does(value: object, protocol: int) -> None:
    assert read_pickle(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("protocol", range(6))
def test_byte_arrays_are_read_as_python_does(order: Any, protocol: int) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, order=order)
    assert np.array_equal(read_pickle(pickle.dumps(array, protocol)).to_numpy(), array)


@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"]" * NEST + b"a" * (NEST - 1), "nests or holds more"),
        (b"(" * NEST + b"t" * NEST, "nests or holds more"),
        (b")" + b"\x85" * NEST, "nests or holds more"),
        (b"N0" * MOST_INSTRUCTIONS, "nests or holds more"),
        (b"](" + ENCODE + b"q\0" + MEBIBYTE + b"U\6latin1\x86q\1R" + b"h\0h\1R" * 4000 + b"e", "nests or holds more"),
        (b"\x8f", "the instruction EMPTY_SET"),
        (b"(\x91", "the instruction FROZENSET"),
        (b"N2", "the instruction DUP"),
        (b"Pplace\n", "the instruction PERSID"),
        (b"NQ", "the instruction BINPERSID"),
        (b"\x82\x01", "the instruction EXT1"),
        (b"\x83\x01\0", "the instruction EXT2"),
        (b"\x84\x01\0\0\0", "the instruction EXT4"),
        (ARRAY + b")\x81", "the instruction NEWOBJ"),
        (ARRAY + b")}\x92", "the instruction NEWOBJ_EX"),
        (b"(" + ARRAY + b"o", "the instruction OBJ"),
        (b"(inumpy\nndarray\n", "the instruction INST"),
        (b"\x97", "the instruction NEXT_BUFFER"),
        (b"cbuiltins\neval\n", r"asks for builtins\.eval"),
        (b"\x8c\x05numpy\x8c\x11ndarray.__class__\x93", r"asks for numpy\.ndarray\.__class__"),
    ],
)
def test_what_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(Refused, match=told):
        read_pickle(b"\x80\x04" + content + b".")


def test_what_other_code_registered_for_pickles_is_refused() -> None:
    copyreg.add_extension("collections", "OrderedDict", 200)
    try:
        content = pickle.dumps(OrderedDict, 2)
        assert b"\x82\xc8" in content and pickle.loads(content) is OrderedDict
        with pytest.raises(Refused, match="EXT1"):
            read_pickle(content)
    finally:
        copyreg.remove_extension("collections", "OrderedDict", 200)


@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.parametrize(
    "content",
    [
        b"})" + b"\x85" * 100 + b"K\x01s",  # hashed, a nest of tuples would crash
        b"}q\0)q\1" + b"h\1h\1\x86q\1" * 100 + b"N(h\0h\1K\x01s",  # or take for ever
        b"}(K\x01K\x02u",
        b"()K\x01d",
        b"\x96" + (2**62).to_bytes(8, "little"),
        b"\x8e" + (2**62).to_bytes(8, "little"),
        b"\x8d" + (2**62).to_bytes(8, "little"),
        b"h\x05",
        b"s",
        b"K\x01)R",
        b"])R",
        ARRAY + b"(NNNNNtR",
        ARRAY + b"NR",
        TYPE + b")R",
        TYPE + b"U\2f8\x85R",
        TYPE + b"U\1O\x85R",
        TYPE + b"]\x85R",
        TYPE + b"U\2u1\x85R)R",
        ENCODE + b")R",
        ENCODE + b"NN\x86R",
        ENCODE + b"X\3\0\0\0\xe2\x82\xacU\5ascii\x86R",
        BUFFER + b"(NNNNNtR",
        ARRAY + b")RNb",
        ARRAY + b")R)b",
        *(target + b"}U\1aK\x01sb" for target in (ARRAY, TYPE, ENCODE, REBUILD, BUFFER, b"N", b"]", b"}", b"K\x01")),
        *(target + b"N}U\x08__init__Nsb\x86b" for target in (ARRAY, TYPE, ENCODE, BUFFER)),
    ],
)
def test_what_is_called_damaged(content: bytes) -> None:
    before = vars(ByteArray).copy(), vars(ByteType).copy()
    with pytest.raises(PICKLE_ERRORS):
        read_pickle(b"\x80\x04" + content + b".")
    assert (vars(ByteArray), vars(ByteType)) == before


@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.parametrize(
    "content",
    [
        REBUILD + ARRAY + HUGE + b"\x85U\1b\x87R",
        ARRAY + HUGE + b"\x85\x85R",
        *(ARRAY + b")R(K\x01" + shape + b"N\x89U\3abctb" for shape in (HUGE + b"\x85", b"N", b"U\1a", b"]", b")")),
        ARRAY + b")R(K\x01K\x03\x85N\x89]tb",
        BUFFER + b"(U\3abcN" + HUGE + b"\x85NtR",
        BUFFER + b"(NNK\x03\x85U\1CtR",
        BUFFER + b"(U\3abcNK\x03\x85U\1?tR",
    ],
)
def test_arrays_take_no_more_than_the_bytes_there_are(content: bytes) -> None:
    """Their shape may be anything, and is compared with the bytes by NumPy, once they are read."""
    array = read_pickle(b"\x80\x04" + content + b".")
    with contextlib.suppress(PICKLE_ERRORS):
        assert array.to_numpy().size <= 3


@pytest.mark.usefixtures("bounded_memory")
def test_an_index_of_the_memo_takes_no_room() -> None:
    assert read_pickle(b"\x80\x02]r\xff\xff\xff\x7f.") == []


@pytest.mark.filterwarnings("ignore:invalid escape")
def test_whatever_byte_is_wrong_the_error_is_one_of_those_that_are_told() -> None:
    chance = random.Random(0)
    for protocol in range(6):
        sound = pickle.dumps({"data": np.zeros((2, 3), np.uint8), "labels": [1, 2], "name": b"x"}, protocol)
        for _ in range(500):
            content = bytearray(sound)
            for _ in range(chance.randint(1, 3)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            with contextlib.suppress(PICKLE_ERRORS):
                read_pickle(bytes(content))
