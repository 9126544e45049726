# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Files that unpack to more than they should are refused in a sentence, and never held in memory."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stic_fast.data import load
from stic_fast.errors import InputError

MEBIBYTE = 2**20
GIBIBYTE_OF_ZEROS = gzip.compress(bytes(16 * MEBIBYTE), 9) * 64  # gzip files may be joined; a megabyte in all


def idx(folder: Path, images: bytes, name: str = "train-images-idx3-ubyte.gz") -> str:
    small = {"images-idx3": bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(4)}
    small["labels-idx1"] = bytes([0, 0, 8, 1, 0, 0, 0, 1]) + bytes(1)
    for part in ("train", "t10k"):
        for kind, content in small.items():
            (folder / f"{part}-{kind}-ubyte").write_bytes(content)
    (folder / "train-images-idx3-ubyte").unlink()
    (folder / name).write_bytes(images)
    return f"idx:{folder}"


@pytest.mark.usefixtures("bounded_memory")
def test_an_idx_file_is_unpacked_no_further_than_its_header_promises(tmp_path: Path) -> None:
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1, 2, 2)
    bomb = gzip.compress(header) + GIBIBYTE_OF_ZEROS
    assert len(bomb) < 1.2 * MEBIBYTE
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz holds more bytes"):
        load(idx(tmp_path, bomb))


@pytest.mark.usefixtures("bounded_memory")
def test_an_idx_header_that_promises_more_than_there_is_memory(tmp_path: Path) -> None:
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**32 - 1, 2**16, 2**16)
    with pytest.raises(InputError, match=r"\(4294967295, 65536, 65536\), needs about 16 EiB"):
        load(idx(tmp_path, gzip.compress(header) + GIBIBYTE_OF_ZEROS))
    (tmp_path / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(InputError, match="needs about 16 EiB"):
        load(idx(tmp_path, header, "train-images-idx3-ubyte"))


@pytest.mark.usefixtures("bounded_memory")
def test_a_plain_idx_file_with_a_tail(tmp_path: Path) -> None:
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1, 2, 2)
    source = idx(tmp_path, header, "train-images-idx3-ubyte")
    os.truncate(tmp_path / "train-images-idx3-ubyte", 2**32)
    with pytest.raises(InputError, match="holds more bytes"):
        load(source)


def tar_member(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf()


@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.parametrize(
    ("start", "told"),
    [
        (tar_member("long", 2**30, tarfile.XHDTYPE), "records about itself has 1073741824 bytes"),
        (tar_member("long", 2**30, tarfile.GNUTYPE_LONGNAME), "records about itself has 1073741824 bytes"),
        (tar_member("other", 2**30), "it unpacks to more than 512 MiB"),
        (tar_member("test_batch", 2**30), "test_batch holds 1073741824 bytes"),
        (tar_member("none", 0) * 1001, "it holds more than 1000 files"),
        (b"", "it unpacks to more than 512 MiB"),
    ],
)
def test_tars_that_unpack_to_too_much(tmp_path: Path, start: bytes, told: str) -> None:
    file = tmp_path / "bomb.tar.gz"
    file.write_bytes(gzip.compress(start) + GIBIBYTE_OF_ZEROS)
    with pytest.raises(InputError, match=rf"bomb\.tar\.gz .*{told}"):
        load(f"cifar10:{file}")


@pytest.mark.usefixtures("bounded_memory")
def test_an_endless_file_of_cifar10(tmp_path: Path) -> None:
    (tmp_path / "batches.meta").touch()
    os.truncate(tmp_path / "batches.meta", 2**40)
    with pytest.raises(InputError, match=r"batches\.meta holds more than 67108864 bytes"):
        load(f"cifar10:{tmp_path}")


def npz(path: Path, header: bytes, content: bytes = b"") -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header + content)
        archive.writestr("y.npy", npy_header((1,)) + b"\0")
    return f"npz:{path}"


def npy_header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue()


@pytest.mark.usefixtures("bounded_memory")
def test_an_array_that_claims_more_than_its_entry_holds(tmp_path: Path) -> None:
    source = npz(tmp_path / "x.npz", npy_header((1000, 1000, 1000)), bytes(1000))
    with pytest.raises(InputError, match=r"^x in .*needs 1000000000 bytes .*holds 1000;"):
        load(source)


@pytest.mark.usefixtures("bounded_memory")
def test_an_array_that_is_smaller_than_its_entry(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    source = npz(path, npy_header((2, 4, 4)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w") as member:
            member.write(npy_header((2, 4, 4)) + bytes(32))
            for _ in range(64):
                member.write(bytes(4 * MEBIBYTE))
        archive.writestr("y.npy", npy_header((2,)) + b"\0\0")
    assert load(source).train.image_shape == (1, 4, 4)


@pytest.mark.usefixtures("bounded_memory")
def test_an_endless_header_of_an_array(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w") as member:
            member.write(np.lib.format.MAGIC_PREFIX + b"\x02\x00" + struct.pack("<I", 2**28))
            for _ in range(64):
                member.write(b" " * (4 * MEBIBYTE))
        archive.writestr("y.npy", npy_header((2,)) + b"\0\0")
    with pytest.raises(InputError, match=r"^x in .*not one plain array"):
        load(f"npz:{path}")


@pytest.mark.usefixtures("bounded_memory")
def test_an_entry_that_is_no_array_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x", "w") as member:
        for _ in range(64):
            member.write(bytes(4 * MEBIBYTE))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("y.npy", npy_header((2,)) + b"\0\0")
    with pytest.raises(InputError, match=r"^x in .*not a NumPy array"):
        load(f"npz:{path}")


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.parametrize("side", [5_000, 12_000, 60_000])
def test_images_of_too_many_pixels(tmp_path: Path, side: int) -> None:
    (tmp_path / "day").mkdir()
    (tmp_path / "day" / "huge.png").write_bytes(png(side, side))
    with pytest.raises(InputError, match=r"huge\.png .*pixels"):
        load(f"folder:{tmp_path}")


def test_more_images_than_there_is_memory_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "day").mkdir()
    for number in range(4):
        Image.new("L", (64, 64)).save(tmp_path / "day" / f"{number}.png")
    monkeypatch.setattr("stic_fast.memory.available", lambda _: 10_000.0)
    with pytest.raises(InputError, match=r"4 images of 64x64 .*16 KiB"):
        load(f"folder:{tmp_path}")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source in ("cifar10", "npz", "idx", "folder"):
        with pytest.raises(InputError, match="pipe is a device"):
            load(f"{source}:{tmp_path / 'pipe'}")
