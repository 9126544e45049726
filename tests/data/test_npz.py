# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""npz:PATH: layouts, keys, and every way an archive can be unfit."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stic_fast.data import Splits, load
from stic_fast.errors import InputError

TEN = np.random.default_rng(0).integers(0, 256, (10, 4, 5), dtype=np.uint8)
LABELS = np.array([0, 1] * 5)


def load_saved(path: Path, **arrays: Any) -> Splits:
    file = path / "dots.npz"
    np.savez(file, **arrays)
    return load(f"npz:{file}")


def four(**change: Any) -> dict[str, Any]:
    return {"x_train": TEN, "y_train": LABELS, "x_test": TEN[:3], "y_test": LABELS[:3]} | change


def test_grey_round_trip(tmp_path: Path) -> None:
    splits = load_saved(tmp_path, **four())
    assert splits.train.image_shape == (1, 4, 5)
    assert torch.equal(splits.train.images[:, 0], torch.from_numpy(TEN))
    assert torch.equal(splits.test.images[:, 0], torch.from_numpy(TEN[:3]))
    assert splits.train.labels.tolist() == LABELS.tolist()
    assert splits.train.class_names == ("0", "1")
    assert splits.test.name == f"npz:{tmp_path / 'dots.npz'} test"


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("last", [True, False])
def test_channels_first_and_last(tmp_path: Path, channels: int, last: bool, order: Any) -> None:
    images = np.random.default_rng(1).integers(0, 256, (10, channels, 4, 5), dtype=np.uint8)
    saved = np.asarray(images.transpose(0, 2, 3, 1) if last else images, order=order)
    splits = load_saved(tmp_path, **four(x_train=saved, x_test=saved[:3]))
    assert torch.equal(splits.train.images, torch.from_numpy(images))
    assert splits.train.images.is_contiguous()


def test_compressed_archive_column_labels_and_wide_integers(tmp_path: Path) -> None:
    file = tmp_path / "dots.npz"
    np.savez_compressed(file, **four(x_train=TEN.astype(">i4"), y_train=LABELS[:, None].astype(np.uint8)))
    splits = load(f"npz:{file}")
    assert torch.equal(splits.train.images[:, 0], torch.from_numpy(TEN))
    assert splits.train.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("keys", [("x", "y"), ("images", "labels"), ("arr_0", "arr_1"), ("images", "y")])
def test_one_set_holds_out_a_tenth_of_every_class(tmp_path: Path, keys: tuple[str, str]) -> None:
    images = np.arange(40, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(5, 2)
    splits = load_saved(tmp_path, **{keys[0]: images, keys[1]: np.arange(40) // 20})
    assert splits.test.images[:, 0, 0, 0].tolist() == [5, 15, 25, 35]
    assert splits.test.labels.tolist() == [0, 0, 1, 1]
    assert len(splits.train) == 36


def test_a_class_may_lack_test_images(tmp_path: Path) -> None:
    assert load_saved(tmp_path, **four(x_test=TEN[:1], y_test=LABELS[:1])).test.num_classes == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": TEN / 255}, r"^x_train in .*dots\.npz .*float64"),
        ({"x_test": TEN[:3] > 9}, "^x_test .*bool"),
        ({"x_train": TEN.astype(int) * 2}, r"^x_train .*from \d+ to [45]\d\d"),
        ({"x_train": TEN.astype(int) - 128}, r"^x_train .*from -1\d\d to"),
        ({"x_train": TEN[0]}, r"^x_train .*\(4, 5\)"),
        ({"x_test": TEN[:0]}, r"^x_test .*\(0, 4, 5\)"),
        ({"x_train": np.zeros((10, 4, 5, 4), np.uint8)}, r"^x_train .*\(10, 4, 5, 4\) without"),
        ({"x_train": np.zeros((10, 3, 5, 3), np.uint8)}, r"^x_train .*\(10, 3, 5, 3\), .*first or last"),
        ({"x_test": TEN[:3, :3]}, r"train .*\(1, 4, 5\) .*test of \(1, 3, 5\)"),
        ({"y_train": LABELS[:9]}, "^x_train and y_train .*10 images .*9 labels"),
        ({"y_test": LABELS[:4]}, "^x_test and y_test .*3 images .*4 labels"),
        ({"y_train": LABELS * 1.0}, "^y_train .*float64"),
        ({"y_train": np.eye(2, dtype=int)[LABELS]}, r"^y_train .*\(10, 2\), .*argmax"),
        ({"y_train": LABELS - 1}, r"dots\.npz: label -1 "),
        ({"y_train": LABELS * 2}, r"dots\.npz: class 1 .*reach 2;"),
        ({"y_train": LABELS + 1}, r"dots\.npz: class 0 "),
        ({"y_test": LABELS[:3] + 1}, r"dots\.npz: class 2 .*reach 2;"),
        ({"y_train": LABELS.astype(np.uint64) * 2**63}, r"dots\.npz: class 1 .*reach 9223"),
    ],
)
def test_unfit_arrays(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_saved(tmp_path, **four(**change))


def test_missing_keys(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dots\.npz lacks x_test and y_test;"):
        load_saved(tmp_path, x_train=TEN, y_train=LABELS)
    with pytest.raises(InputError, match=r"dots\.npz holds arr_0;"):
        load_saved(tmp_path, arr_0=TEN)
    with pytest.raises(InputError, match=r"dots\.npz holds nothing;"):
        load_saved(tmp_path)


def test_one_set_with_lone_images_has_nothing_to_hold_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dots\.npz: .*hold out"):
        load_saved(tmp_path, x=TEN[:2], y=LABELS[:2])


class Trap:
    """Unpickling it would create the file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_object_arrays_are_refused_and_never_unpickled(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    trap = np.array([Trap(sprung)], dtype=object)
    with pytest.raises(InputError, match=r"^x_train .*not one plain array"):
        load_saved(tmp_path, **four(x_train=trap))
    assert not sprung.exists()


def test_a_pickle_under_the_name_of_an_archive(tmp_path: Path) -> None:
    sprung, file = tmp_path / "sprung", tmp_path / "trap.npz"
    np.save(tmp_path / "trap.npy", np.array(Trap(sprung), dtype=object), allow_pickle=True)
    file.write_bytes((tmp_path / "trap.npy").read_bytes()[128:])
    with pytest.raises(InputError, match=r"trap\.npz is not an \.npz archive"):
        load(f"npz:{file}")
    assert not sprung.exists()


def test_files_that_are_no_archive(tmp_path: Path) -> None:
    file = tmp_path / "odd.npz"
    file.write_bytes(b"hello, this is text")
    with pytest.raises(InputError, match=r"odd\.npz is not an \.npz archive"):
        load(f"npz:{file}")
    file.write_bytes(b"")
    with pytest.raises(InputError, match=r"odd\.npz is not a complete \.npz archive"):
        load(f"npz:{file}")
    np.save(tmp_path / "odd.npy", TEN)
    with pytest.raises(InputError, match=r"odd\.npy is a single \.npy array"):
        load(f"npz:{tmp_path / 'odd.npy'}")
    with pytest.raises(InputError, match="is a folder"):
        load(f"npz:{tmp_path}")


def test_truncated_archive(tmp_path: Path) -> None:
    file = tmp_path / "cut.npz"
    np.savez(file, **four())
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.npz is not a complete \.npz archive"):
        load(f"npz:{file}")


@pytest.mark.parametrize("compressed", [False, True])
def test_corrupt_entry(tmp_path: Path, compressed: bool) -> None:
    file = tmp_path / "bent.npz"
    images = np.random.default_rng(2).integers(0, 256, (10, 40, 50), dtype=np.uint8)
    (np.savez_compressed if compressed else np.savez)(file, **four(x_train=images, x_test=images[:3]))
    content = bytearray(file.read_bytes())
    for position in range(5000, 5200):
        content[position] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"^x_train in .*bent\.npz is damaged"):
        load(f"npz:{file}")


def rewritten(path: Path, entry: str, content: bytes) -> Path:
    """An otherwise sound archive whose `entry` holds `content`."""
    file = path / "odd.npz"
    with zipfile.ZipFile(file, "w") as archive:
        for key, array in four().items():
            stream = io.BytesIO()
            np.save(stream, array)
            archive.writestr(f"{key}.npy", content if f"{key}.npy" == entry else stream.getvalue())
    return file


def test_entry_that_is_no_array(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^y_train .*not a NumPy array"):
        load(f"npz:{rewritten(tmp_path, 'y_train.npy', b'just text')}")


def test_entry_that_claims_more_than_it_holds(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (2**50, 8, 8)})
    with pytest.raises(InputError, match=r"^x_train .*needs \d+ bytes .*holds 0"):
        load(f"npz:{rewritten(tmp_path, 'x_train.npy', stream.getvalue())}")
