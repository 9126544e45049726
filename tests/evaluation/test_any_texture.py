# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Textures in any form are held against their source, and the scores tell a good draw from a spoilt one and a copy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import stic_fast
from stic_fast.errors import InputError
from stic_fast.evaluation import PatchFeatures, evaluate_texture
from stic_fast.evaluation.outliers import uniform_noise
from stic_fast.evaluation.record_form import record_of, to_plain
from stic_fast.evaluation.texture_record import TextureRow, TextureScores
from stic_fast.evaluation.texture_source import LayerSummary, TextureSource, layer_distances, window_size, windows_of
from stic_fast.pixels import to_unit

pytestmark = pytest.mark.usefixtures("one_thread")

Spots = Callable[..., Tensor]
FEW: dict[str, Any] = {"layers": ["pixels", "level1.size3"], "patch": 8}


def blurred(image: Tensor) -> Tensor:
    kernel = torch.full((len(image), 1, 5, 5), 1 / 25)
    padded = F.pad(image[None].float(), (2,) * 4, mode="reflect")
    return F.conv2d(padded, kernel, groups=len(image))[0].round().to(torch.uint8)


def shuffled(image: Tensor, side: int = 8) -> Tensor:
    """Tiles in random order."""
    channels, height, width = image.shape
    tiles = image.reshape(channels, height // side, side, width // side, side).permute(1, 3, 0, 2, 4).flatten(0, 1)
    tiles = tiles[torch.randperm(len(tiles), generator=torch.Generator().manual_seed(0))]
    tiles = tiles.unflatten(0, (height // side, width // side))
    return tiles.permute(2, 0, 3, 1, 4).reshape(channels, height, width)


def by_kind(scores: TextureScores) -> dict[str, TextureRow]:
    return {row.kind: row for row in scores.rows}


@pytest.mark.parametrize("channels", [1, 3])
def test_distances_grow_from_the_source_to_noise(spots: Spots, channels: int) -> None:
    """Another draw of the same law does as well as another crop; a spoilt one, another material, noise do worse."""
    source = spots(0, 128, 160, 4, channels)
    judged = TextureSource(source, PatchFeatures.of("filters", source), window_size(source, []), patch=8)
    crop = judged.distances_within()
    same, blur, tiles, other, noise = (
        judged.distances(image)
        for image in (
            spots(1, 128, 160, 4, channels),
            blurred(source),
            shuffled(source),
            spots(2, 128, 160, 8, channels) // 2,
            uniform_noise(1, source.shape, seed=0)[0],
        )
    )
    for score in ("frechet", "gram"):
        at = [sum(getattr(layer, score) for layer in each) for each in (crop, same, blur, tiles, other, noise)]
        assert 0.5 < at[1] / at[0] < 1.6, score
        steps = (0, max(at[:2]), min(at[2:4]), max(at[2:4]), at[4], at[5], len(crop))
        assert list(steps) == sorted(set(steps)), score


def test_copies_and_diversity(spots: Spots) -> None:
    source, drawn = spots(0, 64, 96, 4), spots(1, 64, 96, 4)
    scores = evaluate_texture([drawn, spots(2, 50, 99, 4), drawn], source, **FEW)
    first, other, again = scores.rows[:3]
    rows = by_kind(scores)
    assert first.copies < 0.05 and first.nearest > 0.8 * rows["other crop"].nearest
    assert (rows["source"].copies, rows["source"].nearest, rows["source"].diversity) == (1, 0, 0)
    assert 0.005 < rows["other crop"].copies < 0.015 and rows["other crop"].diversity == 1
    assert first.diversity == again.diversity and first.diversity is not None and other.diversity is not None
    assert 0.4 < first.diversity < 0.65, "one of the two others is the same, the other as different as another crop"
    assert 0.8 < other.diversity < 1.25
    (only,) = [row for row in evaluate_texture(drawn, source, **FEW).rows if row.kind == "drawn"]
    assert only.diversity is None and only.frechet == pytest.approx(first.frechet, rel=0.5)


def test_every_form_of_the_same_textures_scores_alike(spots: Spots, tmp_path: Path) -> None:
    source, drawn = spots(0, 64, 80, channels=1), spots(1, 40, 70, channels=1)
    files = [tmp_path / name for name in ("source.png", "drawn.png")]
    for file, image in zip(files, (source, drawn), strict=True):
        Image.fromarray(image[0].numpy()).save(file)
    wanted = evaluate_texture(drawn, source, **FEW)
    assert stic_fast.evaluate_texture is evaluate_texture and wanted.source == "source"
    for form in (drawn.numpy(), drawn[0], drawn[None], [drawn], to_unit(drawn), to_unit(drawn).double().numpy()):
        assert evaluate_texture(form, source.numpy(), **FEW) == wanted
    named = evaluate_texture(files[1], str(files[0]), **FEW)
    assert (named.rows[0].name, named.source) == (str(files[1]), str(files[0]))
    assert named.rows[0].frechet == wanted.rows[0].frechet and named.rows[1:] == wanted.rows[1:]
    two = evaluate_texture(torch.stack([drawn, drawn.flip(1)]), source, **FEW)
    assert two == evaluate_texture([drawn, drawn.flip(1)], source, **FEW)
    assert [row.name for row in two.rows[:2]] == ["drawn 1", "drawn 2"]


def test_the_record_reads_back_and_prints(spots: Spots) -> None:
    scores = evaluate_texture(spots(1, 64, 64), spots(0, 64, 80), **FEW)
    assert record_of(to_plain(scores), TextureScores) == scores
    assert [layer.layer for layer in scores.rows[0].layers] == FEW["layers"]
    assert sum(layer.gram for layer in scores.rows[0].layers) / 2 == pytest.approx(scores.rows[0].gram)
    lines = str(scores).splitlines()
    assert lines[0].split() == ["texture", "FD-filters", "↓", "Gram-filters", "↓", "nearest", "copies", "↓"]
    assert [line.split("  ")[0] for line in lines[1:]] == ["drawn", "another crop", "source itself", "noise"]
    assert [float(cell) for cell in lines[3].split()[2:]] == [0, 0, 0, 1]


def test_paths_are_shown_without_what_they_share() -> None:
    def row(name: str) -> TextureRow:
        return TextureRow(
            kind="drawn", name=name, frechet=0.5, gram=0.5, nearest=1.0, copies=0.0, diversity=1.0, layers=()
        )

    rows = tuple(map(row, ("/runs/a/drawn.png", "/runs/b/drawn.png")))
    scores = TextureScores(network="filters", layers=(), source="s.png", window=(40, 40), patch=16, rows=rows)
    assert [scores.cells(each)[0] for each in rows] == ["a/drawn.png", "b/drawn.png"]


def test_a_network_of_ones_own(spots: Spots) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(8, 8, 5), nn.ReLU())
    scores = evaluate_texture(spots(1, 64, 64), spots(0, 64, 80), judge=network, patch=8)
    assert (scores.network, scores.layers) == ("Sequential", ("1", "2", "4"))
    assert scores.rows[0].frechet < scores.rows[-1].frechet


def test_a_source_without_contrast_has_scores(spots: Spots) -> None:
    flat = torch.full((1, 64, 64), 77, dtype=torch.uint8)
    scores = evaluate_texture([flat, flat, spots(0, 64, 64, channels=1)], flat, **FEW)
    assert scores.rows[0].frechet == scores.rows[0].gram == scores.rows[0].nearest == 0
    assert scores.rows[2].frechet > 0.3 and scores.rows[2].diversity is None
    assert "–" in str(scores)


def test_windows_are_halves_and_do_not_overlap() -> None:
    source = torch.zeros(1, 300, 200)
    assert window_size(source, [torch.zeros(1, 500, 180)]) == (150, 180)
    assert window_size(torch.zeros(1, 900, 700), [torch.zeros(1, 800, 800)]) == (256, 256)
    numbered = torch.arange(7 * 11).view(1, 7, 11)
    corners = [int(window[0, 0, 0]) for window in windows_of(numbered, (3, 3))]
    assert corners == [0, 4, 8, 44, 48, 52] and all(
        window.shape == (1, 3, 3) for window in windows_of(numbered, (3, 3))
    )
    assert len(windows_of(numbered, (1, 1))) == 6, "a large image is not read whole"
    assert len(windows_of(numbered, (7, 6))) == 1


def test_layer_distances_are_symmetric_and_bounded() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (LayerSummary.of(scale * torch.randn(5, 9, 9, generator=generator)) for scale in (1, 40))
    assert layer_distances(one, other) == pytest.approx(layer_distances(other, one))
    assert all(0.5 < each < 1 for each in layer_distances(one, other))
    assert layer_distances(one, one) == (0, 0)
    opposite = LayerSummary.of(torch.tensor([[[1.0, 1.0]]])), LayerSummary.of(torch.tensor([[[-1.0, -1.0]]]))
    assert layer_distances(*opposite) == (1, 0)


def test_progress_is_told(spots: Spots) -> None:
    class Display:
        def __init__(self) -> None:
            self.total = self.done = 0

        @contextmanager
        def task(self, description: str, total: int) -> Any:
            self.total = total

            def advance(*_: object) -> None:
                self.done += 1

            yield advance

        def say(self, message: str) -> None:
            raise AssertionError(message)

    display = Display()
    evaluate_texture([spots(1, 40, 40), spots(2, 40, 40)], spots(0, 40, 64), progress=display, **FEW)
    assert display.done == display.total == 6


def test_misfits_are_named(spots: Spots, tmp_path: Path) -> None:
    source, small = spots(0, 40, 64), spots(1, 40, 40)
    np.save(tmp_path / "no_image.png", source.numpy())
    for drawn, against, options, words in (
        (small[:1], source, {}, "drawn is grey but source is coloured; convert one of them"),
        (small, source[:, :, :63], {}, "source is 63x40 pixels, but a source must have at least 32"),
        (small[:, :, :31], source, {}, "drawn is 31x40 pixels, but a texture must have at least 32 pixels a side"),
        ([], source, {}, "drawn must be an image or a sequence of them"),
        (7, source, {}, "drawn must be an image or a sequence of them, got 7"),
        (small, [source, source], {}, "source must be one image, got 2"),
        (small.float() / 9, source, {}, r"drawn must be uint8 or floats in \[-1, 1\]"),
        (small.expand(2, 3, 40, 40).transpose(1, 3), source, {}, r"drawn must have 1 \(grey\) or 3 \(RGB\) channels"),
        (tmp_path / "no_image.png", source, {}, "no_image.png cannot be read as an image"),
        (tmp_path / "nowhere.png", source, {}, "nowhere.png"),
        (small, source, {"patch": 33}, "patch must be from 4 to 32"),
        (small, source, {"judge": "oracle"}, "there is no judge 'oracle'"),
        (small, source, {"layers": ["top"]}, "unknown layer 'top'"),
    ):
        with pytest.raises(InputError, match=words):
            evaluate_texture(drawn, against, **options)
