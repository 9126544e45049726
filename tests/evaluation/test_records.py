# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Records hold what was measured, and None with a note where nothing could be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.evaluation.calibration import expected_calibration_error, negative_log_likelihood, tempered
from stic_fast.evaluation.judge import predict_logits
from stic_fast.evaluation.outliers import outlier_sets
from stic_fast.evaluation.record_form import FORMAT, read_record, to_plain, written
from stic_fast.evaluation.records import classifier_record, divergence_note, outlier_record

pytestmark = pytest.mark.usefixtures("one_thread")
CENTRES = torch.tensor([0.3, 0.5, 0.7])


@pytest.fixture
def images() -> Tensor:
    """Grey images whose class is their shade, with noise."""
    generator = torch.Generator().manual_seed(0)
    shades = (255 * CENTRES).to(torch.uint8)[torch.arange(30) % 3].view(30, 1, 1, 1)
    return shades + torch.randint(0, 40, (30, 1, 6, 6), dtype=torch.uint8, generator=generator)


LABELS = torch.arange(30) % 3


def distances(x: Tensor) -> Tensor:
    """Logits −‖φ − μ‖²/2γ² of three classes, without a fake one, down to −1e3 and below, as GMMC's are."""
    shade = (x.mean(dim=(1, 2, 3)) + 1) / 2
    return -((shade[:, None] - CENTRES) ** 2) * 1e4


def with_fake_class(x: Tensor) -> Tensor:
    return torch.cat([distances(x), torch.zeros(len(x), 1)], dim=1)


def broken_on(rows: list[int], value: float) -> Callable[[Tensor], Tensor]:
    """The same, but not finite for some of the images it sees."""

    def model(x: Tensor) -> Tensor:
        logits = distances(x).clone()
        if len(x) == 30:
            logits[rows, 1] = value
        return logits

    return model


def test_a_sound_classifier_has_all_scores_and_no_note(images: Tensor) -> None:
    record = classifier_record(distances, images, LABELS, 3, batch_size=7)
    logits = predict_logits(distances, images, batch_size=30)
    values = {row.key: row.value for row in record.rows}
    assert logits.min() < -1e3
    assert values["accuracy"] == float((logits.argmax(1) == LABELS).float().mean())
    assert values["NLL"] == pytest.approx(negative_log_likelihood(logits, LABELS, 3))
    assert values["ECE"] == pytest.approx(expected_calibration_error(logits, LABELS, 3))
    assert not record.note and record.reliability is not None and sum(record.reliability.counts) == 30
    assert record.reliability.reliability().ece == values["ECE"]
    after = tempered(logits, LABELS, 3)
    assert values["NLL-T"] == pytest.approx(negative_log_likelihood(after.logits, LABELS, 3))
    assert values["ECE-T"] == pytest.approx(expected_calibration_error(after.logits, LABELS, 3))
    assert values["temperature"] == pytest.approx(median(after.temperatures))
    assert record.reliability_after is not None and sum(record.reliability_after.counts) == 30
    json.dumps(to_plain(record), allow_nan=False)
    assert classifier_record(with_fake_class, images, LABELS, 3, batch_size=7) == record


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_diverged_classifier_keeps_its_accuracy_and_says_so(images: Tensor, value: float) -> None:
    sound = classifier_record(distances, images, LABELS, 3, batch_size=30).rows[0].value
    record = classifier_record(broken_on([0, 1, 4], value), images, LABELS, 3, batch_size=30)
    accuracy, *others = (row.value for row in record.rows)
    assert sound is not None
    assert accuracy == pytest.approx(sound - 3 / 30) and others == [None] * 5
    assert record.note == "3 of 30 test images have logits that are not finite: the run diverged"
    assert record.reliability is None and record.reliability_after is None


def test_outliers_of_a_classifier_without_a_fake_class(images: Tensor) -> None:
    record, scores = outlier_record(distances, images, outlier_sets(images, seed=0), 3, 11, "shades")
    assert list(scores) == ["log_density", "class_confidence", "gradient"] and not record.note
    assert len(record.rows) == 15 and all(row.auroc is not None and 0 <= row.auroc <= 1 for row in record.rows)
    constant = record.areas()["log_density"]["constant"]
    assert constant is not None and constant > 0.6
    fake, _ = outlier_record(with_fake_class, images, outlier_sets(images, seed=0), 3, 11, "shades")
    assert {row.score for row in fake.rows} == {*scores, "real_log_odds"}


def test_scores_that_are_not_finite_have_no_auroc_and_spare_the_other_sets(images: Tensor) -> None:
    sets = {"dark": images // 4, "few": images[:9]}

    def model(x: Tensor) -> Tensor:
        return torch.where((x.mean(dim=(1, 2, 3)) < -0.6)[:, None], torch.nan, distances(x))

    record, scores = outlier_record(model, images, sets, 3, 30, "shades")
    dark = [row.auroc for row in record.rows if row.outliers == "dark"]
    few = [row.auroc for row in record.rows if row.outliers == "few"]
    broken = int((~scores["log_density"]["dark"].isfinite()).sum())
    assert dark == [None] * 3 and all(area is not None for area in few) and broken > 0
    assert record.note == f"images whose scores are not finite: {broken} of 30 of dark; the run diverged"
    everywhere, _ = outlier_record(broken_on([2], torch.nan), images, sets, 3, 30, "shades")
    assert {row.auroc for row in everywhere.rows} == {None}
    json.dumps(to_plain(everywhere), allow_nan=False)


def test_notes_count_images() -> None:
    assert divergence_note(torch.zeros(3, 2)) == ""
    logits = torch.tensor([[torch.inf, 0.0], [torch.nan, torch.nan], [0.0, 1.0]])
    assert divergence_note(logits, "x") == "2 of 3 x have logits that are not finite: the run diverged"


HEADING = {
    "format": FORMAT.number,
    "version": "0.1.0",
    "command": "stic-fast evaluate run",
    "method": "stic",
    "data": {"train": ["digits train", 9], "test": ["digits test", 9]},
    "seed": 3,
    "checkpoint": "pass_001",
    "seconds": {"all": 2.5},
}


def test_records_are_read_back_or_refused(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    file = tmp_path / "evaluation.json"
    file.write_text(json.dumps(HEADING))
    record = read_record(tmp_path)
    assert record is not None and json.loads(json.dumps(written(record))) == HEADING
    for text, words in (
        ('{"seed": 3}', "an older version"),
        ("{", "is damaged"),
        ("[1]", "is damaged"),
        ("[" * 100_000, "is damaged .it is nested too deeply"),
        ('{"a": ' * 90 + "1" + "}" * 90, "is damaged .it is nested more than 64 deep"),
        (json.dumps({"format": FORMAT.number}), "is damaged .*version"),
        (json.dumps({**HEADING, "seed": "3"}), "is damaged .*seed"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=f"{words}.*write it anew with stic-fast evaluate"):
            read_record(tmp_path)
    file.write_text(json.dumps({**HEADING, "format": FORMAT.number + 1, "version": "7.0"}))
    with pytest.raises(InputError, match=r"written by stic_fast 7\.0 .*; install that version or a later one$"):
        read_record(tmp_path)


def test_a_single_image_has_a_calibration_but_no_temperature(images: Tensor) -> None:
    record = classifier_record(distances, images[:1], LABELS[:1], 3, batch_size=30)
    values = {row.key: row.value for row in record.rows}
    assert values["NLL"] is not None and values["temperature"] is None and values["NLL-T"] is None
    assert record.reliability_after is None and record.reliability is not None and sum(record.reliability.counts) == 1
