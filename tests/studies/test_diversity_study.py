# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study diversity`: chains that start around drawn images."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.pixels import to_unit
from stic_fast.sampling import GRMALA, Condition, Recipe
from stic_fast.studies import drawing_with
from stic_fast.studies.diversity import FRESH, OTHERS, REAL, Diversity
from stic_fast.studies.drawing_with import around, starts_around
from stic_fast.training import ImageSampler, Progress, image_sampler, open_run

QUICK: dict[str, Any] = {"anchors": 3, "neighbours": 4, "judge_iterations": 10}


def test_chains_of_no_steps_stay_where_they_start(tiny_run: Path) -> None:
    record = Diversity(tiny_run, radii=(0.5, 0.0, 0.1), steps=0, **QUICK).compute(Progress()).record
    rows = record["radii"]
    assert [row["radius"] for row in rows] == [0.0, 0.1, 0.5]
    assert rows[0]["distance"] == 0 and all(row["start"] == row["distance"] for row in rows)
    # The anchors are uniform noise here: a small radius is hardly clamped, a larger one is.
    assert 0.85 < rows[1]["distance"] / (0.1 * 8) < 1.1
    assert rows[1]["distance"] < rows[2]["distance"] < 0.5 * 8
    assert record["references"][FRESH]["distance"] == pytest.approx(math.sqrt(64 * 2 / 3), rel=0.15)


def test_numbers_of_a_chain_that_moves(tiny_run: Path) -> None:
    finding = Diversity(tiny_run, radii=(0.0, 0.3), **QUICK).compute(Progress())
    record = finding.record
    assert record["anchors"] == ["0", "1", "2"] and record["steps"] == 2
    assert all(0 <= row["share"] <= 1 and row["distance_error"] > 0 for row in record["radii"])
    assert record["radii"][0]["start"] == 0 < record["radii"][0]["distance"]
    train = open_run(tiny_run).splits.train
    few = [train.images[train.labels == kind] for kind in range(3)]
    assert record["references"][OTHERS]["distance"] > 0
    exact = sum(float(torch.pdist(to_unit(images).flatten(1)).mean()) for images in few) / 3
    assert record["references"][REAL]["distance"] == pytest.approx(exact, rel=0.05)
    json.dumps(record, allow_nan=False)
    assert len(finding.figure.axes) == 3


def test_a_neighbour_goes_one_way_from_its_anchor(tiny_run: Path) -> None:
    recipe = Recipe(GRMALA())
    centre, ids = torch.zeros(4, 1, 8, 8), torch.arange(4)
    near, far, fresh = starts_around(centre, [0.5, 2.0], ids, recipe, None, seed=1)
    torch.testing.assert_close(far, 4 * near)
    assert float(near.std()) == pytest.approx(0.5, rel=0.15) and float(fresh.abs().max()) <= 1
    other = starts_around(centre, [0.5], ids, recipe, None, seed=2)[0]
    assert not torch.equal(other, near)
    clamped = starts_around(centre, [2.0], ids, recipe, (-1, 1), seed=1)[0]
    torch.testing.assert_close(clamped, far.clamp(-1, 1))


def test_neighbours_depend_neither_on_their_number_nor_on_the_batch(tiny_run: Path) -> None:
    run = open_run(tiny_run)
    few, many = ImageSampler(run, 0, batch_size=3), ImageSampler(run, 0)
    numbers, anchors = torch.arange(2), run.splits.train.images[:2]
    _, two = around(few, anchors, numbers, neighbours=2, radii=[0.0, 0.2], progress=Progress())
    _, five = around(many, anchors, numbers, neighbours=5, radii=[0.2], progress=Progress())
    assert two.shape == (3, 2, 2, 1, 8, 8) and five.shape == (2, 2, 5, 1, 8, 8)
    close = (two[1:].int() - five[:, :, :2].int()).abs()
    assert int(close.max()) <= 1, "within rounding of a byte"
    assert not torch.equal(two[0, :, 0], two[0, :, 1]), "each neighbour has its own noise"


def test_neighbours_have_their_anchors_condition(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Condition] = []
    continued: list[Condition] = []
    draw, go_on = image_sampler.draw_images, drawing_with.continue_chains

    def draw_spy(model: Any, recipe: Any, condition: Condition, *rest: Any, **named: Any) -> Any:
        drawn.append(condition)
        return draw(model, recipe, condition, *rest, **named)

    def go_on_spy(model: Any, recipe: Any, x: Any, condition: Condition, *rest: Any, **named: Any) -> Any:
        continued.append(condition)
        return go_on(model, recipe, x, condition, *rest, **named)

    monkeypatch.setattr(image_sampler, "draw_images", draw_spy)
    monkeypatch.setattr(drawing_with, "continue_chains", go_on_spy)
    Diversity(tiny_run, radii=(0.1,), **QUICK).compute(Progress())
    assert len(continued) == 2, "a radius and fresh canvases"
    for condition in continued:
        assert torch.equal(condition.first, drawn[0].first.repeat_interleave(4, dim=0))
        assert torch.equal(condition.weight, drawn[0].weight.repeat_interleave(4))


def test_all_anchors_can_be_of_one_class(tiny_run: Path) -> None:
    record = Diversity(tiny_run, label="7", radii=(0.0,), steps=0, **QUICK).compute(Progress()).record
    assert record["anchors"] == ["7"] * 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"anchors": 101}, "--anchors"),
        ({"neighbours": 1}, "--neighbours"),
        ({"radii": ()}, "--radii"),
        ({"radii": (0.1, -0.1)}, "--radii.*-0.1"),
        ({"radii": (math.nan,)}, "--radii.*nan"),
        ({"label": "dog"}, "'dog'"),
    ],
)
def test_options_out_of_range_are_refused(tiny_run: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Diversity(tiny_run, **{**QUICK, **options}).compute(Progress())
