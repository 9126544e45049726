# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Anchors, what is drawn around them, and curves over the radius."""

from __future__ import annotations

import io
import math

import torch

from stic_fast.studies.diversity import diversity_figure

RADII = [0.0, 0.2, 1.0]
ANCHORS = torch.stack([torch.full((1, 8, 8), shade, dtype=torch.uint8) for shade in (200, 100)])
ENDS = torch.zeros(4, 2, 2, 1, 8, 8, dtype=torch.uint8)
NEAR = [
    {"start": start, "distance": distance, "distance_error": 0.1, "share": share, "share_error": 0.05}
    for start, distance, share in ((0.0, 1.0, 1.0), (1.0, 2.0, 0.9), (5.0, 3.0, 0.8))
]
REFERENCES = {"real images": {"distance": 4.0, "share": 0.99}, "unknown": {"distance": math.nan, "share": math.nan}}


def test_rows_are_anchors_and_columns_grow_with_the_radius() -> None:
    tiles = diversity_figure(RADII, ["cat", "dog"], ANCHORS, ENDS, NEAR, REFERENCES).axes[0]
    assert [label.get_text() for label in tiles.get_xticklabels()] == ["anchor", "0", "0.2", "1", "fresh canvas"]
    assert [label.get_text() for label in tiles.get_yticklabels()] == ["cat", "dog"]
    lefts = [image.get_extent()[0] for image in tiles.images]
    widths = [image.get_extent()[1] - image.get_extent()[0] for image in tiles.images]
    assert len(lefts) == 5 and lefts == sorted(lefts) and widths == [1, 2, 2, 2, 2]
    assert tiles.images[0].get_array()[10, 10, 0] == 200, "the first row is the first anchor"
    assert tiles.images[0].get_array()[-10, 10, 0] == 100


def test_curves_and_references_are_drawn() -> None:
    _, distance, share = diversity_figure(RADII, ["cat", "dog"], ANCHORS, ENDS, NEAR, REFERENCES).axes
    assert distance.containers[0].lines[0].get_ydata().tolist() == [1.0, 2.0, 3.0]
    start = next(line for line in distance.lines if line.get_label() == "where the chains start")
    assert list(start.get_ydata()) == [0.0, 1.0, 5.0]
    for axes, value in ((distance, 4.0), (share, 0.99)):
        assert [line.get_ydata()[0] for line in axes.lines if line.get_label() == "real images"] == [value]
        assert "unknown" not in axes.get_legend_handles_labels()[1]
    assert share.get_ylim()[1] <= 1.01 and share.get_ylim()[0] < 0.8
    assert share.yaxis.get_major_formatter()(0.9, 0) == "90 %"


def test_it_can_be_written_with_a_single_radius_and_unknown_errors() -> None:
    near = [{**NEAR[0], "distance_error": math.nan, "share_error": math.nan}]
    diversity_figure([0.0], ["cat"], ANCHORS[:1], ENDS[:2, :1], near, {}).savefig(io.BytesIO(), format="png")
