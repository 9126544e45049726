# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study evolution`: the same chains through the classifier of every pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.studies import evolution
from stic_fast.studies.evolution import Evolution
from stic_fast.training import ImageSampler, Progress, open_run


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The images that a study shows, filled as it is carried out."""
    shown: list[Tensor] = []
    picture = evolution.evolution_figure

    def spy(metrics: Any, moments: Any, *rest: Any, **named: Any) -> Any:
        shown.extend(moment.images for moment in moments)
        return picture(metrics, moments, *rest, **named)

    monkeypatch.setattr(evolution, "evolution_figure", spy)
    return shown


def test_each_column_is_drawn_with_the_weights_of_its_pass(tiny_run: Path, columns: list[Tensor]) -> None:
    record = Evolution(tiny_run, seed=5, classes=4, batch_size=3).compute(Progress()).record
    assert [(each["pass"], each["iteration"]) for each in record["passes"]] == [(0, 0), (1, 3), (2, 6)]
    assert [each["test_accuracy"] is None for each in record["passes"]] == [True, False, False]
    assert list(record["classes"]) == ["0", "1", "2", "3"] and record["steps"] == 2
    assert [each["iteration"] for each in record["losses"]] == [1, 2, 3, 4, 5, 6]
    assert all({"loss", "loss_real"} <= each.keys() for each in record["losses"])
    for number, images in enumerate(columns):
        run = open_run(tiny_run, pass_number=number)
        assert torch.equal(images, ImageSampler(run, 5).of_classes(torch.arange(4), Progress()))
    assert not torch.equal(columns[0], columns[2])
    json.dumps(record, allow_nan=False)


def test_canvas_noise_and_condition_are_the_same_after_every_pass(tiny_run: Path, columns: list[Tensor]) -> None:
    Evolution(tiny_run, steps=0).compute(Progress())
    assert len(columns) == 3 and all(torch.equal(images, columns[0]) for images in columns)
    assert columns[0].flatten(1).unique(dim=0).shape[0] == 10, "each class has its own canvas"


def test_few_columns_keep_both_ends(tiny_run: Path) -> None:
    record = Evolution(tiny_run, passes=2, classes=1, steps=0).compute(Progress()).record
    assert [each["pass"] for each in record["passes"]] == [0, 2]


def test_options_out_of_range_are_refused(tiny_run: Path) -> None:
    for options, words in (({"passes": 1}, "--passes"), ({"classes": 0}, "--classes"), ({"steps": -1}, "steps")):
        with pytest.raises(InputError, match=words):
            Evolution(tiny_run, **options).compute(Progress())
