# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What is kept comes back bit for bit, and only for the very things that it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stic_fast.evaluation.kept import fingerprint, kept

TENSORS = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(7), "empty": torch.zeros(0, 3)}


def never() -> dict[str, Tensor]:
    raise AssertionError("made although it was kept")


def test_tensors_come_back(tmp_path: Path) -> None:
    made = kept("thing", "0123456789abcdef01", lambda: TENSORS, cache=tmp_path / "deep" / "er")
    again = kept("thing", "0123456789abcdef01", never, cache=tmp_path / "deep" / "er")
    for found in (made, again):
        assert found.keys() == TENSORS.keys()
        assert all(torch.equal(found[name], value) for name, value in TENSORS.items())
    (file,) = (tmp_path / "deep" / "er").iterdir()
    assert file.name == "thing-0123456789abcdef.safetensors"


def test_a_key_that_begins_alike_is_another_key(tmp_path: Path) -> None:
    said: list[str] = []
    kept("thing", "0123456789abcdef01", lambda: TENSORS, cache=tmp_path)
    other = kept("thing", "0123456789abcdef02", lambda: {"c": torch.ones(1)}, cache=tmp_path, say=said.append)
    assert list(other) == ["c"] and "it is of something else" in said[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [(b'"F32"', b'"I32"'), (b'"shape":[3,2]', b'"shape":[2,3]'), (b'"a"', b'"z"'), (b'"F32"', b'"Q32"')],
)
def test_a_changed_header_is_noticed(tmp_path: Path, before: bytes, after: bytes) -> None:
    """The numbers' own bytes are as they were."""
    kept("thing", "01", lambda: {"a": TENSORS["a"].T.reshape(3, 2)}, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    assert before in content
    file.write_bytes(content.replace(before, after))
    said: list[str] = []
    found = kept("thing", "01", lambda: {"a": torch.ones(1)}, cache=tmp_path, say=said.append)
    assert found["a"].tolist() == [1.0] and "is damaged" in said[0] and "made anew" in said[0]


@pytest.mark.parametrize(
    "other",
    [
        fingerprint({"seed": 1}, TENSORS["a"]),
        fingerprint({"seed": 0}, TENSORS["a"].double()),
        fingerprint({"seed": 0}, TENSORS["a"].reshape(2, 3)),
        fingerprint({"seed": 0}, TENSORS["a"] + torch.eye(3, 2)),
        fingerprint({"seed": 0}, TENSORS["a"], torch.zeros(1)),
        fingerprint({"seed": 0}),
    ],
)
def test_a_fingerprint_tells_settings_types_shapes_and_values_apart(other: str) -> None:
    own = fingerprint({"seed": 0}, TENSORS["a"])
    assert own == fingerprint({"seed": 0}, TENSORS["a"].contiguous()) and len(own) == 64
    assert other != own


def test_without_a_home_things_are_made_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(user: object) -> object:
        raise KeyError(f"no entry for {user}")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    said: list[str] = []
    found = kept("judge", "0123456789abcdef01", lambda: TENSORS, say=said.append)
    assert all(torch.equal(found[name], value) for name, value in TENSORS.items())
    assert said == [
        "the judge could not be kept, for there is no home directory; let XDG_CACHE_HOME name a place for it"
    ]
    with pytest.warns(UserWarning, match="no home directory"):
        kept("judge", "0123456789abcdef01", lambda: TENSORS)
