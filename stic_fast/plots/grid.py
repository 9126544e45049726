# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Grids of small images with row and column labels, drawn with Pillow alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stic_fast.atomic_write import atomic_write
from stic_fast.errors import InputError

TILE_SIDE = 48  # pixels a tile should roughly have when no scale is given
LABEL_SIZES = (12, 18)  # pixels: smallest and largest type of row and column labels; the title is a third larger
NARROWEST_TITLE = 280  # pixels a title may take before it is broken into lines, on however narrow a grid
LABEL_GAP = 4  # pixels kept free between column labels that lie side by side
BACKGROUND, FRAME, INK = "#ffffff", "#d9d9d9", "#222222"


def image_grid(
    images: Tensor,
    *,
    columns: int,
    scale: int | None = None,
    padding: int = 2,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    title: str | None = None,
) -> Image.Image:
    """Draw images (N, C, H, W) row by row as an RGB picture; the last row may be partly empty.

    Tiles are enlarged by whole numbers with nearest neighbours, so every pixel stays what it was, and stand in a light
    grey frame, so a white tile can be told from the page. Column labels wider than a tile are set smaller, and
    where that is not enough, upright. The labels' font is Pillow's own and knows Latin letters.

    Args:
        images: uint8 (N, C, H, W) with C = 1 (grey) or 3 (RGB), N > 0, on any device.
        columns: tiles per row.
        scale: the whole-number enlargement; None chooses the one that brings the longer side nearest 48 pixels.
        padding: pixels of frame around and between tiles.
        row_labels: one text per row, left of it.
        column_labels: one text per column, above it.
        title: a line above everything, broken where it is longer than the grid is wide.

    Raises:
        InputError: for images of another shape or type, none at all, numbers out of range, or a wrong count of labels.

    >>> digits = torch.zeros(6, 1, 8, 8, dtype=torch.uint8)
    >>> image_grid(digits, columns=3).size  # tiles of 48 pixels, four paddings of 2 across, three down
    (152, 102)
    >>> image_grid(digits, columns=3, row_labels=["real", "drawn"], title="pass 1").mode
    'RGB'
    """
    _check(images, columns, scale, padding, row_labels, column_labels)
    height, width = images.shape[2:]
    scale = max(1, round(TILE_SIDE / max(height, width))) if scale is None else scale
    tile_height, tile_width = height * scale, width * scale
    font = _font(min(LABEL_SIZES[1], max(LABEL_SIZES[0], tile_height // 3)))
    line = _line_height(font)
    # Tiles smaller than a line of text move apart, so that their labels cannot run into each other.
    step_x, step_y = tile_width + padding, max(tile_height + padding, line if row_labels else 0)
    above: Image.Image | None = None
    overhang = 0  # of upright labels over the sides of narrow tiles
    if column_labels:
        column_font, upright = _column_font(column_labels, font, step_x)
        step_x = max(step_x, _line_height(column_font) if upright else 0)
        above = _column_strip(column_labels, column_font, upright, step_x, tile_width)
        overhang = max(0, above.width - (columns - 1) * step_x - tile_width) // 2
    tiles = _tile_block(images, columns, scale, padding, step_x, step_y)
    beside = _row_strip(row_labels, font, step_y, tile_height) if row_labels else None
    left = max(overhang, beside.width if beside else 0)
    heading = _title_strip(title or "", _font(font.size * 4 / 3), max(left + tiles.width, NARROWEST_TITLE))

    margin = line // 2 if heading or beside or above else 0
    y_above = margin + (heading.height if heading else 0)
    y_tiles = y_above + (above.height if above else 0)
    wide = max(left + tiles.width + overhang, heading.width if heading else 0)
    picture = Image.new("RGB", (wide + 2 * margin, y_tiles + tiles.height + margin), BACKGROUND)
    if beside:
        picture.paste(beside, (margin + left - beside.width, y_tiles + padding - line // 2))
    picture.paste(tiles, (margin + left, y_tiles))
    if heading:
        picture.paste(heading, (margin, margin))
    if above:
        picture.paste(above, (margin + left + padding - overhang, y_above))
    return picture


def save_grid(
    path: str | PathLike[str],
    images: Tensor,
    *,
    columns: int,
    scale: int | None = None,
    padding: int = 2,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    title: str | None = None,
) -> None:
    """Write `image_grid(images, ...)` as a PNG at path, whole or not at all.

    Raises:
        InputError: as `image_grid`, and for a path that does not end in ".png".
        OSError: where the file cannot be written; an older file at path is then still whole.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_grid(f"{folder}/samples.png", torch.zeros(6, 3, 32, 32, dtype=torch.uint8), columns=3)
    ...     with Image.open(f"{folder}/samples.png") as written:
    ...         written.size
    (200, 134)
    """
    picture = image_grid(
        images,
        columns=columns,
        scale=scale,
        padding=padding,
        row_labels=row_labels,
        column_labels=column_labels,
        title=title,
    )
    write_png(path, lambda file: picture.save(file, format="PNG"))


def write_png(path: str | PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Have `write` fill a file beside path that takes path's place once it is complete; on any error it is removed.

    Raises:
        InputError: for a path that does not end in ".png".
        OSError: where the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise InputError(f"pictures are written as PNG, got the path {str(path)!r}; let it end in .png")
    with atomic_write(path) as file:
        write(file)


def _check(
    images: Tensor,
    columns: int,
    scale: int | None,
    padding: int,
    row_labels: Sequence[str] | None,
    column_labels: Sequence[str] | None,
) -> None:
    drawable = isinstance(images, Tensor) and images.dtype == torch.uint8 and images.ndim == 4
    if not drawable or images.shape[1] not in (1, 3):
        got = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise InputError(
            f"images of a grid must be a uint8 tensor (N, C, H, W) with C = 1 or 3, got {got}; "
            "turn floats in [-1, 1] into round((x + 1) * 127.5), clipped to 0..255, as uint8"
        )
    if images.numel() == 0:
        raise InputError(f"a grid needs at least one image, got shape {tuple(images.shape)}; give N, H and W above 0")
    for name, value, least in (("columns", columns, 1), ("scale", scale, 1), ("padding", padding, 0)):
        if value is not None and value < least:
            raise InputError(f"{name} of a grid must be at least {least}, got {value}; give a larger number")
    rows = -(-len(images) // columns)
    for name, labels, wanted in (("row_labels", row_labels, rows), ("column_labels", column_labels, columns)):
        if labels is not None and len(labels) != wanted:
            raise InputError(
                f"{name} must hold {wanted} texts for {len(images)} images in {columns} columns, got {len(labels)}; "
                "give one per row or column"
            )


def _tile_block(images: Tensor, columns: int, scale: int, padding: int, step_x: int, step_y: int) -> Image.Image:
    """The tiles alone, each in its frame, their upper left corners step_x and step_y apart."""
    count, _, height, width = images.shape
    size = (width * scale, height * scale)
    framed = (size[0] + 2 * padding, size[1] + 2 * padding)
    rows = -(-count // columns)
    block = Image.new("RGB", ((columns - 1) * step_x + framed[0], (rows - 1) * step_y + framed[1]), BACKGROUND)
    for number, pixels in enumerate(images.permute(0, 2, 3, 1).expand(-1, -1, -1, 3).contiguous().cpu().numpy()):
        x, y = number % columns * step_x, number // columns * step_y
        block.paste(FRAME, (x, y, x + framed[0], y + framed[1]))
        block.paste(Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST), (x + padding, y + padding))
    return block


def _row_strip(labels: Sequence[str], font: ImageFont.FreeTypeFont, step_y: int, tile_height: int) -> Image.Image:
    """The strip left of the tiles, half a line longer than they are at both ends: each label ends beside its row."""
    texts, line = [_one_line(label) for label in labels], _line_height(font)
    width, height = round(max(map(font.getlength, texts))) + line, (len(texts) - 1) * step_y + tile_height
    strip = Image.new("RGB", (width, height + line // 2 * 2), BACKGROUND)
    for number, text in enumerate(texts):
        middle = line // 2 + number * step_y + tile_height / 2
        ImageDraw.Draw(strip).text((width - line / 2, middle), text, font=font, fill=INK, anchor="rm")
    return strip


def _column_font(
    labels: Sequence[str], font: ImageFont.FreeTypeFont, width: int
) -> tuple[ImageFont.FreeTypeFont, bool]:
    """The largest type up to `font` in which every label fits into `width`; else `font` itself, upright."""
    texts = [_one_line(label) for label in labels]
    for size in range(int(font.size), LABEL_SIZES[0] - 1, -1):
        smaller = _font(size)
        if max(map(smaller.getlength, texts)) <= width - LABEL_GAP:
            return smaller, False
    return font, True


def _column_strip(
    labels: Sequence[str], font: ImageFont.FreeTypeFont, upright: bool, step_x: int, tile_width: int
) -> Image.Image:
    """The strip above the tiles: each label centred over its tile, lying or upright."""
    texts = [_one_line(label) for label in labels]
    line = _line_height(font)
    height = round(max(map(font.getlength, texts))) + line // 2 if upright else line
    column_width = max(tile_width, line) if upright else tile_width  # an upright line may be wider than its tile
    strip = Image.new("RGB", ((len(texts) - 1) * step_x + column_width, height), BACKGROUND)
    for number, text in enumerate(texts):
        middle = number * step_x + column_width / 2
        if not upright:
            ImageDraw.Draw(strip).text((middle, height / 2), text, font=font, fill=INK, anchor="mm")
            continue
        lying = Image.new("RGB", (height, line), BACKGROUND)
        ImageDraw.Draw(lying).text((line / 4, line / 2), text, font=font, fill=INK, anchor="lm")
        strip.paste(lying.rotate(90, expand=True), (round(middle - line / 2), 0))
    return strip


def _title_strip(text: str, font: ImageFont.FreeTypeFont, width: int) -> Image.Image | None:
    """The title, broken between words into lines of at most `width`; None where there is no title."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    if not lines:
        return None
    line = _line_height(font)
    size = (round(max(map(font.getlength, lines))) + 1, len(lines) * line + line // 2)
    strip = Image.new("RGB", size, BACKGROUND)
    for number, words in enumerate(lines):
        ImageDraw.Draw(strip).text((0, number * line), words, font=font, fill=INK)
    return strip


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _line_height(font: ImageFont.FreeTypeFont) -> int:
    ascent, descent = font.getmetrics()
    return ascent + descent


def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType and cannot draw labels; install Pillow from its wheel")
    return font
