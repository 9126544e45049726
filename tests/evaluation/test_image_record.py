# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Drawn and real images are compared at one count, and what a judge read of the training images is read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.data import ImageSet, Splits
from stic_fast.evaluation.image_record import image_record, image_rows
from stic_fast.evaluation.image_scores import COUNT_DEPENDENT, MEANINGS, ReferenceImages, Score
from stic_fast.evaluation.judge import Judge
from stic_fast.evaluation.judging import Judging
from stic_fast.evaluation.nearest import nearest_distances
from stic_fast.evaluation.network_judge import NetworkJudge
from stic_fast.evaluation.record_form import ImageRow, ImageScores
from stic_fast.evaluation.records import subset

pytestmark = pytest.mark.usefixtures("one_thread")


def grey(count: int, seed: int) -> Tensor:
    return torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


TRAIN, TEST, DRAWN = grey(90, 0), grey(20, 1), grey(48, 2)
TEST_LABELS = torch.arange(20) % 4


@pytest.fixture(scope="module")
def judge() -> Judge:
    """It has learnt nothing, which the arithmetic does not mind."""
    return Judge((1, 8, 8), 4, generator=torch.Generator().manual_seed(3)).eval()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def judging_of(judge: Any, count: int) -> Judging:
    """A judge beside the sets above, for sets of so many."""
    names = ("a", "b", "c", "d")
    train, test = ImageSet(TRAIN, torch.arange(90) % 4, names, "train"), ImageSet(TEST, TEST_LABELS, names, "test")
    return Judging(judge, Splits(train, test), 4, True, count, seed=0, judge_iterations=3, batch_size=16, say=None)


@pytest.fixture(autouse=True)
def _nobody_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Judging, "cls_g", lambda *_: 0.5)
    monkeypatch.setattr(Judging, "cls_g_of_real", lambda *_: 0.9)


def record_of(judge: Any, count: int) -> ImageScores:
    return image_record(judging_of(judge, count), DRAWN[:count], torch.arange(count) % 4)


def rows_of(record: ImageScores) -> dict[str, ImageRow]:
    return {row.key: row for row in record.rows}


def test_few_real_images_are_held_against_as_few_drawn_ones(judge: Judge) -> None:
    record = record_of(judge, 48)
    assert (record.n, record.n_real) == (48, 20)
    labels = torch.arange(48) % 4
    rows, few_labels = subset(torch.arange(48), labels, 20, 0)
    judging = judging_of(judge, 48)
    whole, _ = judging.measured(DRAWN, labels)
    few, few_sweep = judging.measured(DRAWN[rows], few_labels)
    real, _ = judging.measured(TEST, TEST_LABELS)
    for key, row in rows_of(record).items():
        if key == "Cls_G":
            assert (row.drawn, row.real, row.drawn_at_n_real) == (0.5, 0.9, None)
            continue
        assert row.drawn == pytest.approx(whole[key].value, rel=1e-4, abs=1e-6)
        assert row.real == pytest.approx(real[key].value, rel=1e-4, abs=1e-6)
        if key in COUNT_DEPENDENT:
            assert row.drawn_at_n_real == pytest.approx(few[key].value, rel=1e-4, abs=1e-6)
        else:
            assert row.drawn_at_n_real is None
    assert rows_of(record)["coverage"].drawn_at_n_real != rows_of(record)["coverage"].drawn
    assert record.sweep["drawn_at_n_real"][2].recall == pytest.approx(few_sweep[2].recall)
    distances = nearest_distances(DRAWN, TRAIN)
    assert record.nearest.drawn == pytest.approx(float(distances.mean()), rel=1e-5)


def test_as_many_real_images_need_no_second_column(judge: Judge) -> None:
    record = record_of(judge, 12)
    assert (record.n, record.n_real) == (12, 12)
    assert {row.drawn_at_n_real for row in record.rows} == {None}
    assert list(record.sweep) == ["drawn", "real"]


def test_the_training_images_are_read_once(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    read, of = [], ReferenceImages.of
    monkeypatch.setattr(
        ReferenceImages, "of", lambda *given, **named: read.append(named["most"]) or of(*given, **named)
    )
    first = record_of(judge, 48)
    assert record_of(judge, 48) == first and read == [48]
    record_of(judge, 30)
    other = Judge((1, 8, 8), 4, generator=torch.Generator().manual_seed(4)).eval()
    assert record_of(other, 48).rows != first.rows
    assert read == [48, 30, 48]


def test_a_kept_reference_is_what_was_read(judge: Judge, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"most": 30, "seed": 0, "batch_size": 16}
    whole = ReferenceImages.of(judge, TRAIN, **settings)
    for _ in range(2):
        kept = ReferenceImages.cached(judge, TRAIN, cache=tmp_path, **settings)
        assert torch.equal(kept.some, whole.some) and torch.equal(kept.everything.logits, whole.everything.logits)
        assert kept.everything.statistics.count == 90
        assert torch.equal(kept.everything.statistics.scatter, whole.everything.statistics.scatter)
        assert torch.equal(kept.everything.statistics.mean, whole.everything.statistics.mean)
    assert len(list(tmp_path.glob("reference-*.safetensors"))) == 1


def test_a_judge_whose_weights_are_out_of_reach_reads_anew(judge: Judge, tmp_path: Path) -> None:
    class Pair(torch.nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            features = x.flatten(1)
            return features, features[:, :4]

    network = NetworkJudge(Pair(), name="pair", num_classes=4)
    reference = ReferenceImages.cached(network, TRAIN, most=5, seed=0, cache=tmp_path)
    assert reference.some.shape == (5, 64) and not list(tmp_path.glob("reference-*"))


def test_scores_at_the_real_count_stand_only_where_the_count_matters() -> None:
    scores = {key: Score(1.0, 0.5) for key in MEANINGS}
    rows = {row.key: row for row in image_rows(scores, scores, {}, judge="cnn", count=1000, at_n_real=scores)}
    assert {key for key, row in rows.items() if row.drawn_at_n_real is not None} == set(COUNT_DEPENDENT)
    assert rows["FD"].name == "FD-cnn@1k" and rows["FD"].noise is None and rows["FD"].spread == 0.5
    assert image_rows({"FD": Score(float("nan"))}, {}, {}, judge="cnn", count=9)[0].drawn is None
    assert image_rows(scores, scores, {}, judge="cnn", count=9)[0].drawn_at_n_real is None
