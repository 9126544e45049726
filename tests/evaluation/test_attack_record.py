# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What is written of attacks: every row has its count, C&W is left out in words, and divergence is told."""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.evaluation import records
from stic_fast.evaluation.attacks import pgd
from stic_fast.evaluation.carlini_wagner import carlini_wagner
from stic_fast.evaluation.gradient_masking import check_gradient_masking
from stic_fast.evaluation.record_form import (
    AttackRow,
    AttackScores,
    CarliniWagner,
    Masking,
    Unmeasured,
    to_plain,
)
from stic_fast.evaluation.records import LEFT_OUT, attack_record, subset
from stic_fast.pixels import to_unit

needs_foolbox = pytest.mark.skipif(not importlib.util.find_spec("foolbox"), reason="foolbox, an extra, is missing")
SETTINGS: dict[str, Any] = {"seed": 0, "batch_size": 5}


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


class Distances(nn.Module):
    """Logits −‖φ − μ‖²/2γ² of three classes, without a fake one, down to −1e3 and below, as GMMC's are."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Linear(36, 8)
        self.register_buffer("centres", 10 * torch.eye(3, 8))

    def forward(self, x: Tensor) -> Tensor:
        embedding = self.embedding(x.flatten(1))
        return -((embedding[:, None] - self.centres) ** 2).sum(2) * 20


@pytest.fixture
def model() -> Distances:
    return Distances()


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (12, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def labels(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        logits = model(to_unit(images))
    assert logits.min() < -1e3
    return logits.argmax(1)


def rows_of(record: AttackScores | Unmeasured) -> dict[str, AttackRow]:
    assert isinstance(record, AttackScores)
    return {row.key: row for row in record.rows}


def test_rows_are_what_the_attacks_give(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    record = attack_record(model, images, labels, 3, cw=0, **SETTINGS)
    rows = rows_of(record)
    assert isinstance(record, AttackScores)
    assert list(rows) == ["PGD-4", "PGD-8", "PGD-16", "PGD-32", "all-8"] and record == AttackScores(
        12, record.rows, record.masking
    )
    for key, row in rows.items():
        if key.startswith("PGD"):
            radius = int(key[4:]) / 255
            assert row.value == pgd(model, images, labels, 3, epsilon=radius, **SETTINGS).accuracy
        assert row.n == 12 and row.better == "higher"
    check = check_gradient_masking(model, images, labels, 3, epsilon=8 / 255, **SETTINGS)
    assert record.masking == Masking(check.masked, check.verdict, check.accuracy)
    assert rows["all-8"].value == check.accuracy


@needs_foolbox
def test_carlini_and_wagner_attack_some_of_the_images(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    record = attack_record(model, images, labels, 3, cw=4, **SETTINGS)
    rows = rows_of(record)
    assert isinstance(record, AttackScores)
    found = carlini_wagner(model, *subset(images, labels, 4, 0), 3)
    assert record.cw == CarliniWagner(4) and rows["PGD-8"].n == 12
    assert rows["CW-median"].value == pytest.approx(found.median_distance, rel=1e-3)
    assert rows["CW-mean"].value == pytest.approx(found.mean_distance, rel=1e-3)
    assert rows["CW-0.5"].value == found.accuracy_at(0.5) and rows["CW-0.5"].n == 4
    all_of_two = attack_record(model, images[:2], labels[:2], 3, cw=99, **SETTINGS)
    assert isinstance(all_of_two, AttackScores) and all_of_two.cw == CarliniWagner(2)


@needs_foolbox
def test_images_that_cannot_be_turned_leave_no_infinity(images: Tensor) -> None:
    def deaf(x: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0]]) + 0 * x.flatten(1)[:, :2]

    record = attack_record(deaf, images, torch.zeros(12, dtype=torch.int64), 2, cw=2, **SETTINGS)
    rows = rows_of(record)
    assert isinstance(record, AttackScores)
    assert rows["CW-median"].value is None and rows["CW-mean"].value is None and rows["CW-0.5"].value == 1
    assert record.cw == CarliniWagner(2, "C&W could not turn 2 of 2 images: they count as infinitely far")
    json.dumps(to_plain(record), allow_nan=False)


def test_without_foolbox_a_line_says_so_and_nothing_fails(
    model: nn.Module, images: Tensor, labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "foolbox", None)
    record = attack_record(model, images, labels, 3, cw=4, **SETTINGS)
    assert isinstance(record, AttackScores)
    assert record.cw == CarliniWagner(None, LEFT_OUT) and LEFT_OUT == 'L2 C&W left out: pip install ".[attacks]"'
    assert list(rows_of(record)) == ["PGD-4", "PGD-8", "PGD-16", "PGD-32", "all-8"]


def test_a_fake_class_is_left_out(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    def faking(x: Tensor) -> Tensor:
        return torch.cat([model(x), torch.full((len(x), 1), torch.nan)], dim=1)

    assert attack_record(faking, images, labels, 3, cw=0, **SETTINGS) == attack_record(
        model, images, labels, 3, cw=0, **SETTINGS
    )


def test_images_with_broken_logits_are_lost_and_told(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    def broken(x: Tensor) -> Tensor:
        # Black corners break it; attacks cannot make one.
        return torch.where((x[:, 0, 0, 0] < -0.999)[:, None], torch.inf, model(x))

    images[:, 0, 0, 0] = 255
    images[:3, 0, 0, 0] = 0
    with torch.no_grad():
        labels = model(to_unit(images)).argmax(1)
    record = attack_record(broken, images, labels, 3, cw=0, **SETTINGS)
    assert record.note == "3 of 12 images to attack have logits that are not finite: the run diverged"
    assert rows_of(record)["PGD-4"].value in [count / 12 for count in range(1, 10)]


def test_a_wholly_diverged_classifier_is_not_attacked(
    images: Tensor, labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "pgd", None)
    record = attack_record(lambda x: x.flatten(1)[:, :3] * torch.nan, images, labels, 3, cw=4, **SETTINGS)
    assert record == Unmeasured("12 of 12 images to attack have logits that are not finite: the run diverged", 12)
