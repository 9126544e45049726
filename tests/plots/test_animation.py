# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Animations hold the frames they were given, each for its time, and are written whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from stic_fast.errors import InputError
from stic_fast.plots.animation import MOST_PIXELS, save_animation


def pictures(count: int, mode: str, side: int = 24) -> list[Image.Image]:
    """Noise in blocks of 4x4 pixels on a white page, as enlarged images are."""
    generator = np.random.default_rng(0)
    blocks = generator.integers(0, 256, (count, side // 4, side // 4, len(mode)), dtype=np.uint8)
    pixels = blocks.repeat(4, 1).repeat(4, 2)
    pixels[:, 0] = 255
    return [Image.fromarray(each[..., 0] if mode == "L" else each) for each in pixels]


def read(path: Path, mode: str) -> tuple[np.ndarray, list[int]]:
    """All frames, and milliseconds of each."""
    with Image.open(path) as film:
        assert film.info["loop"] == 0, "it goes on for ever"
        frames = [(np.asarray(frame.convert(mode)), frame.info["duration"]) for frame in ImageSequence.Iterator(film)]
    return np.stack([frame for frame, _ in frames]), [duration for _, duration in frames]


@pytest.mark.parametrize("name", ["x.webp", "x.GIF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_frames_come_in_their_order_and_the_last_is_held(name: str, mode: str, tmp_path: Path) -> None:
    frames = pictures(5, mode)
    save_animation(tmp_path / name, frames)
    found, durations = read(tmp_path / name, mode)
    assert durations == [160, 160, 160, 160, 1500]
    expected = np.stack([np.asarray(frame) for frame in frames])
    assert found.shape == expected.shape
    distances = np.abs(found[:, None].astype(float) - expected[None]).reshape(5, 5, -1).mean(-1)
    assert distances.argmin(1).tolist() == [0, 1, 2, 3, 4] and distances.diagonal().max() < 30
    if mode == "L" and name == "x.webp":
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(("count", "each"), [(1, None), (2, 160), (19, 160), (40, 80), (60, 50), (200, 40)])
def test_many_frames_are_shown_for_a_shorter_time(count: int, each: int | None, tmp_path: Path) -> None:
    for name in ("x.webp", "x.gif"):
        save_animation(tmp_path / name, pictures(count, "L"))
        if each:
            assert read(tmp_path / name, "L")[1] == [each] * (count - 1) + [1500]
        else:
            with Image.open(tmp_path / name) as still:
                assert still.size == (24, 24) and getattr(still, "n_frames", 1) == 1


@pytest.mark.parametrize(("mode", "most"), [("L", 32), ("RGB", 256)])
def test_a_gif_has_one_palette_and_a_white_page(mode: str, most: int, tmp_path: Path) -> None:
    save_animation(tmp_path / "x.gif", pictures(4, mode, side=120))
    found, _ = read(tmp_path / "x.gif", "RGB")
    assert (found[:, 0] == 255).all()
    assert len(np.unique(found.reshape(-1, 3), axis=0)) <= most


def test_a_frame_like_the_one_before_lengthens_it(tmp_path: Path) -> None:
    first, second = pictures(2, "L")
    for name in ("x.webp", "x.gif"):
        save_animation(tmp_path / name, [first, first, second, second])
        assert read(tmp_path / name, "L")[1] == [320, 1660]


def test_the_same_frames_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("x.webp", "x.gif"):
        written = []
        for _ in range(2):
            save_animation(tmp_path / name, pictures(3, "RGB"))
            written.append((tmp_path / name).read_bytes())
        assert written[0] == written[1]


def test_a_failed_write_leaves_the_older_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.webp"
    path.write_bytes(b"older")

    def full_disk(_: Image.Image, file: object, **__: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_animation(path, pictures(2, "L"))
    assert path.read_bytes() == b"older" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x.png", "x", "x.mp4"])
def test_other_kinds_of_files_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{name}; let it end in \.webp or \.gif"):
        save_animation(tmp_path / name, pictures(2, "L"))
    assert not list(tmp_path.iterdir())


def test_a_webp_has_room_for_as_many_pixels_as_told(tmp_path: Path) -> None:
    save_animation(tmp_path / "x.webp", [Image.new("L", (MOST_PIXELS[".webp"], 1), grey) for grey in (0, 100)])
    with Image.open(tmp_path / "x.webp") as film:
        assert film.size == (MOST_PIXELS[".webp"], 1)
    with pytest.raises(InputError, match=r"y\.webp would have 16384x1 pixels, and 16383 a side"):
        save_animation(tmp_path / "y.webp", [Image.new("L", (MOST_PIXELS[".webp"] + 1, 1), grey) for grey in (0, 100)])
