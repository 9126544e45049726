# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""cifar10:PATH: pickled and binary files, folder and .tar.gz, damage, and pickles that want to run something."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stic_fast.data import Splits, load
from stic_fast.errors import InputError

NAMES = ("airplane", "automobile", "bird")
BATCHES = (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch")
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 3, 32, 32), dtype=np.uint8)  # batch, image, C, H, W
LABELS = np.array([[0, 1, 2, k % 3] for k in range(6)])


def python_2_pickle(data: np.ndarray, labels: list[int]) -> bytes:
    """The very opcodes Python 2's cPickle wrote for the original files: protocol 2, byte strings, an old ndarray."""

    def string(text: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(text)) + text

    def integer(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    kind = b"cnumpy\ndtype\n" + string(b"u1") + b"K\x00K\x01\x87R(K\x03" + string(b"|") + b"NNN"
    kind += integer(-1) * 2 + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + string(b"b") + b"\x87R"
    array += b"(K\x01" + integer(data.shape[0]) + integer(data.shape[1]) + b"\x86" + kind + b"\x89"
    array += string(data.tobytes()) + b"tb"
    listed = b"](" + b"".join(integer(label) for label in labels) + b"e"
    return b"\x80\x02}(" + string(b"data") + array + string(b"labels") + listed + b"u."


def python_files(protocol: int | None = None) -> dict[str, bytes]:
    """Python 2's pickles, or those of this Python at `protocol`."""
    files = {}
    for k, name in enumerate(BATCHES):
        data, labels = IMAGES[k].reshape(4, 3072), LABELS[k].tolist()
        if protocol is None:
            files[name] = python_2_pickle(data, labels)
        else:
            files[name] = pickle.dumps({b"data": data, b"labels": labels, b"batch_label": b"a batch"}, protocol)
    meta = {b"label_names": [name.encode() for name in NAMES], b"num_vis": 3072}
    return files | {"batches.meta": pickle.dumps(meta, protocol=2)}


def binary_files() -> dict[str, bytes]:
    files = {}
    for k, name in enumerate(BATCHES):
        records = np.concatenate([LABELS[k][:, None].astype(np.uint8), IMAGES[k].reshape(4, 3072)], axis=1)
        files[f"{name}.bin"] = records.tobytes()
    return files | {"batches.meta.txt": "\n".join((*NAMES, "")).encode(), "readme.html": b"<html>"}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def write_tar(file: Path, files: dict[str, bytes], *, mode: Any = "w:gz") -> Path:
    with tarfile.open(file, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


def check(splits: Splits) -> None:
    assert torch.equal(splits.train.images, torch.from_numpy(IMAGES[:5].reshape(20, 3, 32, 32)))
    assert torch.equal(splits.test.images, torch.from_numpy(IMAGES[5]))
    assert splits.train.labels.tolist() == LABELS[:5].ravel().tolist()
    assert splits.test.labels.tolist() == LABELS[5].tolist()
    assert splits.train.class_names == NAMES


def test_the_hand_written_pickle_is_what_python_2_wrote() -> None:
    entries = pickle.loads(python_files()["data_batch_1"], encoding="bytes")
    assert np.array_equal(entries[b"data"], IMAGES[0].reshape(4, 3072))
    assert entries[b"labels"] == LABELS[0].tolist()


@pytest.mark.parametrize("protocol", [None, 0, 1, 2, 3, 4, 5])
def test_python_version(tmp_path: Path, protocol: int | None) -> None:
    check(load(f"cifar10:{write(tmp_path / 'any name', python_files(protocol))}"))


def test_python_version_with_text_keys_and_column_major_data(tmp_path: Path) -> None:
    files = python_files()
    data = np.asfortranarray(IMAGES[0].reshape(4, 3072))
    files["data_batch_1"] = pickle.dumps({"data": data, "labels": LABELS[0].tolist()}, protocol=2)
    files["batches.meta"] = pickle.dumps({"label_names": list(NAMES)})
    check(load(f"cifar10:{write(tmp_path, files)}"))


def test_binary_version(tmp_path: Path) -> None:
    check(load(f"cifar10:{write(tmp_path / 'any name', binary_files())}"))


@pytest.mark.parametrize("version", ["py", "bin"])
def test_the_folder_around_it(tmp_path: Path, version: str) -> None:
    write(tmp_path / f"cifar-10-batches-{version}", python_files() if version == "py" else binary_files())
    check(load(f"cifar10:{tmp_path}"))


@pytest.mark.parametrize("files", [python_files(), binary_files()], ids=["python", "binary"])
@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_tar(tmp_path: Path, files: dict[str, bytes], mode: str) -> None:
    check(load(f"cifar10:{write_tar(tmp_path / 'cifar.tar.gz', files, mode=mode)}"))


def test_tar_links_and_paths_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(binary_files()["test_batch.bin"])
    file = tmp_path / "cifar.tar"
    with tarfile.open(
        write_tar(file, {k: v for k, v in binary_files().items() if k != "test_batch.bin"}, mode="w"), "a"
    ) as tar:
        link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"cifar\.tar lacks test_batch\.bin"):
        load(f"cifar10:{file}")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("damage", ["cut", "text", "bent"])
def test_damaged_tar(tmp_path: Path, damage: str) -> None:
    file = write_tar(tmp_path / "cifar.tar.gz", binary_files())
    whole = file.read_bytes()
    bent = whole[:9000] + bytes(255 - byte for byte in whole[9000:9400]) + whole[9400:]
    file.write_bytes({"cut": whole[:20000], "text": b"not an archive", "bent": bent}[damage])
    with pytest.raises(InputError, match=r"cifar\.tar\.gz is not a complete"):
        load(f"cifar10:{file}")


def test_oversized_tar_member_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "bomb.tar"
    member = tarfile.TarInfo("test_batch")
    member.size = 2**40
    file.write_bytes(member.tobuf() + bytes(1024))
    with pytest.raises(InputError, match=r"bomb\.tar .*test_batch holds 1099511627776 bytes"):
        load(f"cifar10:{file}")


def test_nothing_of_cifar10(tmp_path: Path) -> None:
    for place in (tmp_path, write_tar(tmp_path / "other.tar.gz", {"readme.txt": b"hello"})):
        with pytest.raises(InputError, match=f"^{place} .*cifar-10-batches-py or cifar-10-batches-bin"):
            load(f"cifar10:{place}")


@pytest.mark.parametrize("missing", ["data_batch_3", "test_batch", "batches.meta"])
@pytest.mark.parametrize("version", ["py", "bin"])
def test_missing_file(tmp_path: Path, version: str, missing: str) -> None:
    name = missing if version == "py" else missing + (".txt" if missing == "batches.meta" else ".bin")
    files = python_files() if version == "py" else binary_files()
    del files[name]
    with pytest.raises(InputError, match=f" lacks {name};"):
        load(f"cifar10:{write(tmp_path, files)}")


def batch(**entries: Any) -> bytes:
    return pickle.dumps(entries, protocol=2)


FOUR = np.zeros((4, 3072), np.uint8)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data_batch_2", python_files()["data_batch_2"][:-300], "complete pickle"),
        ("data_batch_2", b"", "complete pickle"),
        ("data_batch_2", b"hello", "complete pickle"),
        ("data_batch_2", pickle.dumps([1, 2]), "dictionary"),
        ("data_batch_2", batch(labels=[0]), "`data`"),
        ("data_batch_2", batch(data=[1, 2], labels=[0]), "`data`"),
        ("data_batch_2", batch(data=FOUR, labels=["a"] * 4), "`labels`"),
        ("data_batch_2", batch(data=FOUR, labels=[0] * 3), "3 labels but not 3072 bytes"),
        ("data_batch_2", batch(data=FOUR[:, :99], labels=[0] * 4), "4 labels but not 3072 bytes"),
        ("data_batch_2", batch(data=FOUR[:2], labels=[0] * 2), r"holds 2 images but \w+ 4"),
        ("data_batch_2", batch(data=FOUR, labels=[0, 1, 2, 3]), "train: label 3 of image 7 "),
        ("data_batch_2", batch(data=FOUR, labels=[0, 1, 2, 2**80]), "4 labels but not"),
        ("data_batch_2", batch(data=FOUR.astype(float), labels=[0] * 4), "type f8 instead of u1"),
        ("batches.meta", batch(names=["a"]), "`label_names`"),
        ("batches.meta", batch(label_names=[1, 2]), "`label_names`"),
        ("batches.meta", batch(label_names=list("abcd")), r"train: class 3 \('d'\)"),
        ("data_batch_5.bin", binary_files()["data_batch_5.bin"][:-1], "12291 bytes"),
        ("data_batch_5.bin", b"", "0 bytes, not a multiple of 3073"),
        ("data_batch_5.bin", bytes(3073), r"holds 1 images but \w+\.bin 4"),
        ("test_batch.bin", b"\xff" * 3073 * 4, "test: label 255 of image 0 "),
        ("batches.meta.txt", b"\n", "no classes"),
    ],
)
def test_unfit_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    files = binary_files() if name.endswith((".bin", ".txt")) else python_files()
    with pytest.raises(InputError, match=message) as refused:
        load(f"cifar10:{write(tmp_path, files | {name: content})}")
    assert str(refused.value).startswith((f"{name} in ", f"cifar10:{tmp_path} "))


class Call:
    """Pickles as the call of `function` with `arguments`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "batches.meta"])
@pytest.mark.parametrize("in_tar", [False, True])
def test_a_malicious_pickle_does_not_run(tmp_path: Path, name: str, protocol: int, in_tar: bool) -> None:
    sprung = tmp_path / "sprung"
    trap = pickle.dumps({"data": Call(os.mkdir, str(sprung)), "labels": []}, protocol)
    pickle.loads(trap)
    assert sprung.exists()
    sprung.rmdir()
    files = python_files() | {name: trap}
    place = write_tar(tmp_path / "cifar.tar.gz", files) if in_tar else write(tmp_path / "cifar", files)
    with pytest.raises(InputError, match=rf"^{name} in .* asks for \w+\.mkdir"):
        load(f"cifar10:{place}")
    assert not sprung.exists()


@pytest.mark.parametrize(
    "wanted",
    [
        b"cbuiltins\neval\n",
        b"c__builtin__\ngetattr\n",
        b"cnumpy\nload\n",
        b"cnumpy.core.multiarray\nfromfile\n",
        b"ccopyreg\n_reconstructor\n",
        b"cstic_fast.data.cifar10\nload_cifar10\n",
        b"\x8c\x05numpy\x8c\x12ndarray.__reduce__\x93",
    ],
)
def test_every_other_name_is_refused(tmp_path: Path, wanted: bytes) -> None:
    files = python_files() | {"batches.meta": b"\x80\x04" + wanted + b"."}
    with pytest.raises(InputError, match=r"^batches\.meta in .* asks for \S+, "):
        load(f"cifar10:{write(tmp_path, files)}")


def test_an_array_that_lies_about_its_size(tmp_path: Path) -> None:
    honest = python_files()["data_batch_1"]
    assert honest.count(b"J\x04\x00\x00\x00J\x00\x0c\x00\x00\x86") == 1
    lying = honest.replace(b"J\x04\x00\x00\x00J\x00\x0c\x00\x00\x86", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86")
    with pytest.raises(InputError, match=r"^data_batch_1 .*4 labels but not 3072 bytes"):
        load(f"cifar10:{write(tmp_path, python_files() | {'data_batch_1': lying})}")
