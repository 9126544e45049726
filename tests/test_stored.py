# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The door through which files are read: what is wrong with one, of whatever kind, is one sentence."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from stic_fast.errors import InputError
from stic_fast.stored import read_json, read_tensors, read_torch

WHOLE = save({"a": torch.arange(6.0).view(2, 3)})
HEADER = int.from_bytes(WHOLE[:8], "little")


def torch_saved(value: Any, **options: Any) -> bytes:
    content = io.BytesIO()
    torch.save(value, content, **options)
    return content.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(name, content)
    return archive.getvalue()


def with_header(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text + WHOLE[8 + HEADER :]


TENSORS = [
    b"",
    WHOLE[:-1],
    WHOLE + b"0",
    (2**62).to_bytes(8, "little") + WHOLE[8:],
    with_header(b"[" * HEADER),
    with_header(b'{"a":' * 200 + b"1" + b"}" * 200),
    with_header(b'{"a":{"dtype":"F99","shape":[2,3],"data_offsets":[0,24]}}'),
    with_header(b'{"a":{"dtype":"F32","shape":[2,99],"data_offsets":[0,24]}}'),
    with_header(b'{"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,24]}}'),
    with_header(b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[-1,23]}}'),
    with_header(b'{"\xff":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'),
]
STATES = [
    b"",
    b"\x80",
    pickle.dumps({"a": Path("x")}),
    torch_saved({"a": Path("x")}),
    torch_saved({"a": torch.zeros(3)})[:-40],
    zipped("archive/data.pkl", b"\x80\x02."),
    zipped("archive/data.pkl", b"(" * 100_000),
    zipped("archive/data.pkl", b"\x80\x02" + b"]" * 30_000 + b"a" * 29_999 + b"."),
    zipped("elsewhere", b"x"),
]
OBJECTS = [
    b"",
    b"\xff\xfe{}",
    b"[]",
    b"3",
    b'{"a": 1',
    b'{"a": ' + b"9" * 5000 + b"}",
    b"\x00" * 9,
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}",
]


KINDS = ((read_tensors, TENSORS), (read_torch, STATES), (read_json, OBJECTS))


@pytest.mark.parametrize(("read", "content"), [(read, content) for read, kind in KINDS for content in kind])
def test_what_is_wrong_is_one_sentence(tmp_path: Path, read: Callable[[Path, str], Any], content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(file, "make it anew")
    said = str(caught.value)
    assert said.startswith(f"{file} is damaged (") and said.endswith("); make it anew") and "\n" not in said
    assert len(said) < 400 and "weights_only" not in said, "nobody is told to unpickle it all the same"


@pytest.mark.parametrize("read", [read_tensors, read_torch, read_json])
def test_what_is_no_file(tmp_path: Path, read: Callable[[Path, str], Any]) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nothing", "make it anew")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InputError, match=r"no file.; make it anew$"):
            read(path, "make it anew")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/within .*Not a directory.*; make it anew$"):
        read(tmp_path / "file" / "within", "make it anew")


def test_what_is_right_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(WHOLE)
    (tmp_path / "b").write_bytes(torch_saved({"a": torch.ones(2), "n": 3}))
    (tmp_path / "c").write_text('{"π": [1, {"x": null}]}')
    assert read_tensors(tmp_path / "a", "")["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read_torch(tmp_path / "b", "")["n"] == 3
    assert read_json(tmp_path / "c", "") == {"π": [1, {"x": None}]}
