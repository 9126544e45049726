# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Images at a place in a figure's axes."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from stic_fast.plots.image_rows import Block, plot_image_rows, tile_size


def test_tiles_stand_in_their_rectangle_with_the_first_at_the_upper_left() -> None:
    axes = Figure().subplots()
    white, black = torch.full((1, 1, 8, 8), 255, dtype=torch.uint8), torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    images = torch.cat([black, white, white, white])
    below = Block(None, 1, left=0, right=1, top=3, bottom=4)
    plot_image_rows(axes, [Block(images, 2, left=1, right=3, top=0.5, bottom=2.5), below], rows=[(1.5, "cat")])
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 3), (4, 0.5))
    assert [(text.get_text(), text.get_position()) for text in axes.texts] == [("diverged", (0.5, 3.5))]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat"]
    (shown,) = axes.images
    assert tuple(shown.get_extent()) == (1, 3, 2.5, 0.5)
    pixels = shown.get_array()
    assert pixels[10, 10].tolist() == [0, 0, 0] and pixels[10, -10].tolist() == [255, 255, 255]
    assert pixels[-10, 10].tolist() == [255, 255, 255]


def test_large_images_get_larger_tiles_up_to_a_bound() -> None:
    sides = [tile_size(torch.zeros(1, 3, side, side))[0] for side in (8, 32, 96, 500)]
    assert sides == sorted(sides) and sides[0] == sides[1] == 0.72 and sides[-1] == 1.4
    assert tile_size(torch.zeros(1, 1, 4, 8)) == (0.72, 0.36)


def test_nothing_but_labels_is_left() -> None:
    axes = Figure().subplots()
    plot_image_rows(axes, [Block(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), 1, 0, 1, 0, 1)])
    assert not any(spine.get_visible() for spine in axes.spines.values())
    assert all(tick.tick1line.get_markersize() == 0 for tick in axes.xaxis.get_major_ticks())
