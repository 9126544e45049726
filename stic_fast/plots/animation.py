# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Pictures that follow each other in one file, WebP or GIF."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from PIL import Image

from stic_fast.atomic_write import atomic_write
from stic_fast.errors import InputError

MOST_PIXELS = {".webp": 16_383, ".gif": 65_535}
"""Of a side, as the formats count them."""
MOVING, HELD = 3_200, 1_500
"""Milliseconds that all frames but the last are seen together, and the last."""
SHORTEST, LONGEST = 40, 160
"""Milliseconds that a frame is seen, however many there are."""
GIF_COLOURS = {"L": 32, "RGB": 256}
"""Noise of all greys takes three times the bytes of noise of 32, and looks the same in motion."""


def save_animation(path: str | PathLike[str], frames: Sequence[Image.Image]) -> None:
    """Writes frames that are shown for 3.2 s, and the last for another 1.5 s, over and over; whole or not at all.

    Of fewer than 20 each is shown for 0.16 s, of more than 80 for 0.04 s.

    A WebP has grey frames exactly, which takes fewer bytes of enlarged pixels than to approximate them, and coloured
    ones with quality 80. A GIF has all frames in colours of the last, 32 greys or 256 colours, and is larger. A frame
    like the one before is not written; that one is shown for longer.

    Args:
        path: FILE.webp or FILE.gif.
        frames: of one size, all of the mode "L" or all of "RGB"; at least one.

    Raises:
        InputError: another kind of file, or frames larger than it can have.
        OSError: where the file cannot be written; an older file at path is then still whole.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_animation(f"{folder}/fade.webp", [Image.new("L", (8, 8), grey) for grey in (0, 100, 200)])
    ...     with Image.open(f"{folder}/fade.webp") as written:
    ...         written.n_frames, written.size
    (3, (8, 8))
    """
    kind, mode = animation_kind(path, frames[0].size), frames[0].mode
    options: dict[str, object] = {"lossless": True, "method": 2} if mode == "L" else {"quality": 80}
    if kind == ".gif":
        frames, options = _in_colours_of_the_last(frames, GIF_COLOURS[mode]), {}
    each = MOVING // max(len(frames) - 1, 1) // 10 * 10  # a GIF counts in hundredths of a second
    durations = [min(max(each, SHORTEST), LONGEST)] * (len(frames) - 1) + [HELD]
    with atomic_write(path) as file:
        frames[0].save(
            file,
            format=kind.removeprefix("."),
            save_all=True,
            append_images=frames[1:],
            duration=durations,
            loop=0,  # for ever
            **options,
        )


def animation_kind(path: str | PathLike[str], size: tuple[int, int]) -> str:
    """ ".webp" or ".gif", if a file of this kind can have frames of this width and height.

    Raises:
        InputError: the path ends in something else, or the frames are too large.

    >>> animation_kind("chains.GIF", (640, 480))
    '.gif'
    """
    kind = Path(path).suffix.lower()
    if kind not in MOST_PIXELS:
        raise InputError(f"an animation is written as WebP or GIF, got the path {path}; let it end in .webp or .gif")
    if max(size) > MOST_PIXELS[kind]:
        of = f"{size[0]}x{size[1]} pixels"
        raise InputError(f"{path} would have {of}, and {MOST_PIXELS[kind]} a side are the most; show fewer images")
    return kind


def _in_colours_of_the_last(frames: Sequence[Image.Image], count: int) -> list[Image.Image]:
    """All in one palette, so that nothing flickers: the colours of the last frame, almost white made white."""
    colours = frames[-1].convert("RGB").quantize(count).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([255 if level > 250 else level for level in colours])
    return [frame.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
