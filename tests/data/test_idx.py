# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""idx:PATH: MNIST's four files, plain and gzipped, and what can be wrong with them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from stic_fast.data import load
from stic_fast.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 5), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 2, 1, 0], np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_four(
    path: Path, *, images: np.ndarray = IMAGES, labels: np.ndarray = LABELS, separator: str = "-", zipped: bool = False
) -> str:
    for part, cut in (("train", slice(None)), ("t10k", slice(2))):
        for kind, array in (("images", images[cut]), ("labels", labels[cut])):
            file = path / f"{part}-{kind}{separator}idx{array.ndim}-ubyte{'.gz' * zipped}"
            file.write_bytes(gzip.compress(idx_bytes(array)) if zipped else idx_bytes(array))
    return f"idx:{path}"


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("separator", ["-", "."])
def test_grey_round_trip(tmp_path: Path, separator: str, zipped: bool) -> None:
    splits = load(write_four(tmp_path, separator=separator, zipped=zipped))
    assert torch.equal(splits.train.images, torch.from_numpy(IMAGES)[:, None])
    assert torch.equal(splits.test.images, torch.from_numpy(IMAGES[:2])[:, None])
    assert splits.train.labels.tolist() == LABELS.tolist()
    assert splits.test.labels.tolist() == [0, 1]
    assert splits.train.class_names == ("0", "1", "2")


def test_colour_from_idx4(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
    splits = load(write_four(tmp_path, images=images))
    assert torch.equal(splits.train.images, torch.from_numpy(images).permute(0, 3, 1, 2))
    assert splits.train.images.is_contiguous()


def test_plain_file_is_preferred_to_its_gz(tmp_path: Path) -> None:
    write_four(tmp_path, images=255 - IMAGES, zipped=True)
    assert torch.equal(load(write_four(tmp_path)).train.images[:, 0], torch.from_numpy(IMAGES))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"", "train-images-idx3-ubyte .*magic number"),
        ("train-images-idx3-ubyte", b"PK\3\4 zip", "train-images-idx3-ubyte .*magic number"),
        ("train-images-idx3-ubyte", b"\0\0\x0d\3", "train-images-idx3-ubyte .*type 0D"),
        ("train-images-idx3-ubyte", idx_bytes(LABELS), "train-images-idx3-ubyte .*1 dimensions"),
        ("t10k-labels-idx1-ubyte", idx_bytes(IMAGES), "t10k-labels-idx1-ubyte .*3 dimensions"),
        ("train-images-idx3-ubyte", idx_bytes(IMAGES)[:9], "train-images-idx3-ubyte .*inside its header"),
        ("train-images-idx3-ubyte", idx_bytes(IMAGES)[:-1], "train-images-idx3-ubyte .*119 bytes .*120"),
        ("train-labels-idx1-ubyte", idx_bytes(LABELS) + b"\0", "train-labels-idx1-ubyte .*more bytes .*6"),
        ("train-labels-idx1-ubyte", idx_bytes(LABELS[:5]), "idx3-ubyte and .*idx1-ubyte .*6 images .*5 labels"),
        ("t10k-images-idx3-ubyte", idx_bytes(IMAGES[:0]), r"t10k-images-idx3-ubyte .*\(0, 4, 5\)"),
        ("t10k-images-idx3-ubyte", idx_bytes(IMAGES[:2, :3]), r"\(1, 4, 5\) .*\(1, 3, 5\)"),
        ("train-labels-idx1-ubyte", idx_bytes(LABELS * 2), "class 1 .*reach 4;"),
        ("t10k-labels-idx1-ubyte", idx_bytes(LABELS[:2] + 2), "class 3 .*reach 3;"),
    ],
)
def test_unfit_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    spec = write_four(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load(spec)


def test_two_channels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"images .*channels, got 2 "):
        load(write_four(tmp_path, images=np.zeros((6, 4, 5, 2), np.uint8)))


@pytest.mark.parametrize("part", ["train", "t10k"])
@pytest.mark.parametrize(("kind", "rank"), [("images", 3), ("labels", 1)])
def test_missing_file(tmp_path: Path, part: str, kind: str, rank: int) -> None:
    spec = write_four(tmp_path)
    (tmp_path / f"{part}-{kind}-idx{rank}-ubyte").unlink()
    with pytest.raises(InputError, match=f"lacks {part}-{kind}-idx{rank}-ubyte "):
        load(spec)


def test_a_file_instead_of_the_folder(tmp_path: Path) -> None:
    write_four(tmp_path)
    with pytest.raises(InputError, match="train-images-idx3-ubyte is not a folder"):
        load(f"idx:{tmp_path / 'train-images-idx3-ubyte'}")


@pytest.mark.parametrize("damage", ["truncated", "bent"])
def test_corrupt_gz(tmp_path: Path, damage: str) -> None:
    spec = write_four(tmp_path, zipped=True)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    bent = whole[:20] + bytes(255 - byte for byte in whole[20:60]) + whole[60:]
    file.write_bytes({"truncated": whole[:-20], "bent": bent}[damage])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz"):
        load(spec)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzipped", "plain"])
def test_whether_it_is_gzipped_its_content_tells(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    """Browsers unpack files and keep their names, and people rename them."""
    for part in ("train", "t10k"):
        images, labels = (tmp_path / f"{part}-{kind}-ubyte{ending}" for kind in ("images-idx3", "labels-idx1"))
        images.write_bytes(pack(bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 9, 8, 7, 6])))
        labels.write_bytes(pack(bytes([0, 0, 8, 1, 0, 0, 0, 1, 0])))
    assert load(f"idx:{tmp_path}").train.images.flatten().tolist() == [9, 8, 7, 6]
