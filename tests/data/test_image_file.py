# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Image files as a viewer shows them, and those that would be darkened or dropped in silence."""

from __future__ import annotations

import struct
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stic_fast.cli.drawing import find_classes
from stic_fast.data import load
from stic_fast.data.class_names import find_class
from stic_fast.data.image_file import read_image
from stic_fast.errors import InputError

UPPER_HALF = np.repeat(np.array([255, 0], np.uint8), 4)[:, None, None].repeat(8, 1).repeat(3, 2)


def png_of_16_bits(path: Path, values: np.ndarray, kind: int) -> None:
    """By hand, for Pillow writes no coloured ones. kind: 2 RGB, 4 grey with alpha, 6 RGBA."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_pngs_of_16_bits_are_refused(tmp_path: Path, kind: int, channels: int) -> None:
    png_of_16_bits(tmp_path / "deep.png", np.full((8, 8, channels), 4095), kind)
    with pytest.raises(InputError, match="has more than 8 bits per value"):
        read_image(tmp_path / "deep.png")


@pytest.mark.parametrize(
    ("header", "values"), [(b"P6\n4 4\n65535\n", 48), (b"P6\n4 4\n4095\n", 48), (b"P5 4 4 999\n", 16)]
)
def test_portable_maps_of_16_bits_are_refused(tmp_path: Path, header: bytes, values: int) -> None:
    (tmp_path / "deep.ppm").write_bytes(header + np.full(values, 900, ">u2").tobytes())
    with pytest.raises(InputError, match="has more than 8 bits per value"):
        read_image(tmp_path / "deep.ppm")
    (tmp_path / "plain.ppm").write_bytes(b"P6\n4 4\n255\n" + bytes(48))
    assert read_image(tmp_path / "plain.ppm").shape == (3, 4, 4)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize(("orientation", "undone"), [(3, 2), (6, 1), (8, 3), (1, 0)])
def test_photographs_stand_as_their_cameras_say(tmp_path: Path, suffix: str, orientation: int, undone: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.rot90(UPPER_HALF, undone).copy()).save(tmp_path / f"photo.{suffix}", exif=exif)
    assert read_image(tmp_path / f"photo.{suffix}")[:, :3].min() > 200


def test_other_names_of_known_forms_are_read(tmp_path: Path) -> None:
    for folder in ("Train", "Valid"):
        for number, name in enumerate(("a.jfif", "b.JPE", "c.pnm")):
            place = tmp_path / folder / "cat"
            place.mkdir(parents=True, exist_ok=True)
            form = "PPM" if name.endswith("pnm") else "JPEG"
            Image.new("RGB", (8, 8), (number, 0, 0)).save(place / name, format=form)
    splits = load(f"folder:{tmp_path}")
    assert (len(splits.train), len(splits.test)) == (3, 3)


def test_what_would_be_dropped_is_told(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "cat" / "a.png")
    (tmp_path / "cat" / "notes.txt").write_text("of no matter")
    heic = tmp_path / "cat" / "b.HEIC"
    heic.write_bytes(b"a phone's")
    with pytest.raises(InputError, match=r"b\.HEIC is an image of a form that is not read; convert it to PNG"):
        load(f"folder:{tmp_path}")
    heic.unlink()
    (tmp_path / "cat" / "c.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"c\.png is a link that leads nowhere; mend or remove it"):
        load(f"folder:{tmp_path}")


def test_one_name_in_two_forms_of_unicode(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    for name in (apart, "tea"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.new("L", (8, 8)).save(tmp_path / name / f"{number}.png")
    names = load(f"folder:{tmp_path}").train.class_names
    assert names == (composed, "tea") and find_class(apart, names) == find_class(composed, names) == 0
    (tmp_path / composed).mkdir()
    with pytest.raises(InputError, match="two folders called 'café', in two forms of Unicode"):
        load(f"folder:{tmp_path}")


def test_names_with_commas() -> None:
    names = ["shoe", "shoe, low", "low"]
    assert find_classes("shoe, low,low", names) == [1, 2] and find_classes("low,shoe", names) == [2, 0]
    with pytest.raises(InputError, match="there is no class 'boot'"):
        find_classes("shoe,boot", names)
