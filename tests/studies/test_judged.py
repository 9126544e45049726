# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A judge beside a run: the scores of `stic-fast evaluate`, of drawn images, real ones and noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.evaluation import Judge, judging, load_judge, read_images
from stic_fast.evaluation.image_scores import ReferenceImages, scores_of_reading
from stic_fast.studies import Judged
from stic_fast.training import Progress, open_run

SETTINGS: dict[str, Any] = {"n": 50, "seed": 3, "judge_iterations": 30}


@pytest.fixture
def beside(tiny_run: Path) -> Judged:
    return Judged.of(open_run(tiny_run), **SETTINGS, progress=Progress())


def test_scores_are_those_of_an_evaluation(tiny_run: Path, beside: Judged) -> None:
    train, test = (getattr(open_run(tiny_run).splits, part) for part in ("train", "test"))
    judge = load_judge("cnn", train.images, train.labels, 10, seed=3, iterations=30)
    reference = ReferenceImages.of(judge, train.images, most=50, seed=3)
    reading = read_images(judge, test.images[:50], keep_features=True)
    wanted, _ = scores_of_reading(reading, reference, test.labels[:50], num_classes=10, seed=3)
    found = beside.scores(test.images[:50], test.labels[:50])
    assert found.keys() == wanted.keys() and {"FD", "KD", "IS", "Cls_R"} <= found.keys()
    for name, score in wanted.items():
        assert found[name].value == pytest.approx(score.value, rel=1e-4, abs=1e-6), name
    assert beside.name("FD") == "FD-cnn@50"


def test_real_images_are_the_floor_and_noise_the_ceiling(beside: Judged) -> None:
    real, noise = beside.real(), beside.noise()
    assert real["FD"].value < 0.2 * noise["FD"].value
    assert real["Cls_R"].value > 0.4 > noise["Cls_R"].value


def test_probabilities_are_the_judges(beside: Judged) -> None:
    images = beside.splits.test.images[:9]
    found = beside.probabilities(images)
    torch.testing.assert_close(found, read_images(beside.judge, images).logits.softmax(1))
    torch.testing.assert_close(found.sum(1), torch.ones(9))


def test_a_judge_of_other_classes_has_no_say_in_them(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Judge((1, 8, 8), 7, generator=torch.Generator().manual_seed(0)).eval()
    monkeypatch.setattr(judging, "load_judge", lambda *_, **__: other)
    beside = Judged.of(open_run(tiny_run), **SETTINGS, progress=Progress())
    assert "FD" in beside.real() and "Cls_R" not in beside.real()
    with pytest.raises(InputError, match="judge 'cnn'"):
        beside.probabilities(beside.splits.test.images)


@pytest.mark.parametrize("setting", ["n", "judge_iterations"])
def test_counts_out_of_range_are_refused(tiny_run: Path, setting: str) -> None:
    with pytest.raises(InputError, match=setting):
        Judged.of(open_run(tiny_run), **{**SETTINGS, setting: 0}, progress=Progress())
