# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""load(spec): the text of a source, its path, and the digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import datasets

from stic_fast.data import SOURCES, load
from stic_fast.errors import InputError


def test_digits_values_and_split() -> None:
    splits = load("digits")
    assert splits.train.image_shape == (1, 8, 8)
    assert splits.train.class_names == tuple("0123456789")
    assert len(splits.train) + len(splits.test) == 1797
    assert 0.19 < len(splits.test) / 1797 < 0.21
    assert (int(splits.train.images.min()), int(splits.train.images.max())) == (0, 255)
    stored = datasets.load_digits()
    counts = torch.bincount(torch.from_numpy(stored.target))
    assert ((torch.bincount(splits.test.labels) - counts / 5).abs() <= 0.5).all()
    first = np.floor(stored.images[0] * 255 / 16 + 0.5)
    assert splits.train.images[0, 0].tolist() == first.tolist()
    assert splits.train.labels[0] == stored.target[0]


def test_digits_are_the_same_every_time() -> None:
    first, second = load("digits"), load("digits")
    assert torch.equal(first.test.images, second.test.images)
    assert torch.equal(first.train.labels, second.train.labels)


def test_every_source_is_named_for_help() -> None:
    assert SOURCES == ("digits", "cifar10:PATH", "npz:PATH", "folder:PATH", "idx:PATH", "image:PATH")


@pytest.mark.parametrize("spec", ["", "mnist", "photos.npz", "NPZ:x.npz", ":x"])
def test_unknown_source_lists_the_known_ones(spec: str) -> None:
    with pytest.raises(InputError, match=f"image source '.*; .*{', '.join(SOURCES)}$"):
        load(spec)


def test_digits_take_no_path() -> None:
    with pytest.raises(InputError, match="'digits:here'"):
        load("digits:here")


@pytest.mark.parametrize("source", ["cifar10", "npz", "folder", "idx"])
def test_path_must_be_given_and_exist(source: str, tmp_path: Path) -> None:
    for spec in (source, f"{source}:", f"{source}: "):
        with pytest.raises(InputError, match=f"{source} needs a path, .*{source}:PATH"):
            load(spec)
    with pytest.raises(InputError, match="nowhere does not exist"):
        load(f"{source}:{tmp_path / 'nowhere'}")


def test_path_may_hold_colons_and_start_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a:b.npz", x=np.zeros((20, 4, 4), np.uint8), y=np.arange(20) % 2)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load("npz:~/a:b.npz").train) == 18


def test_home_of_nobody() -> None:
    with pytest.raises(InputError, match=r"home directory .*'~no-such-user-here/x'"):
        load("npz:~no-such-user-here/x")


@pytest.mark.parametrize("source", ["cifar10", "npz"])
def test_unreadable_file_is_named(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "locked"
    file.touch()

    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"locked .*Permission denied"):
        load(f"{source}:{file}")
