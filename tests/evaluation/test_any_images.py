# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Images in any form, with or without labels, get the scores that can be computed, and every misfit is named."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from stic_fast.data import ImageSet, Splits, load
from stic_fast.errors import InputError
from stic_fast.evaluation import Judge, evaluate_images
from stic_fast.evaluation.image_record import image_rows
from stic_fast.evaluation.image_scores import Score
from stic_fast.evaluation.record_form import ImageScores, JudgeAbout, Nearest
from stic_fast.pixels import to_unit

pytestmark = pytest.mark.usefixtures("one_thread")

CLASSES = ("dark", "grey", "light")
QUICK: dict[str, Any] = {"judge_iterations": 5}


def shades(count: int, seed: int) -> ImageSet:
    """Noisy images of three shades in turn."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    noise = torch.randint(0, 60, (count, 1, 8, 8), generator=generator)
    return ImageSet((noise + 90 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels, CLASSES, f"shades {seed}")


SPLITS = Splits(train=shades(90, 0), test=shades(30, 1))
DRAWN = shades(24, 2)
WITH_LABELS = {"MIS", "Cls_R", "Cls_G"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def judge() -> Judge:
    return Judge((1, 8, 8), 3, generator=torch.Generator().manual_seed(3)).eval()


def keys(scores: ImageScores) -> set[str]:
    return {row.key for row in scores.rows}


def test_labels_bring_the_scores_that_need_them() -> None:
    plain = evaluate_images(DRAWN.images, SPLITS, **QUICK)
    labelled = evaluate_images(DRAWN.images, SPLITS, labels=DRAWN.labels.tolist(), **QUICK)
    assert {"FD", "KD", "IS", "precision", "recall", "density", "coverage"} == keys(plain)
    assert keys(labelled) == keys(plain) | WITH_LABELS
    assert [row for row in labelled.rows if row.key not in WITH_LABELS] == list(plain.rows)
    assert (plain.n, plain.n_real, plain.judge.name) == (24, 24, "cnn")
    assert all(row.real is not None and row.noise is not None for row in plain.rows)
    assert plain.nearest.drawn > 0 and plain.judge.accuracy == labelled.judge.accuracy


class Labelled(Tensor):
    """A tensor that knows the labels of its images."""

    labels: Tensor


def test_every_form_of_the_same_images_scores_alike(tmp_path: Path) -> None:
    names = [CLASSES[label] for label in DRAWN.labels.tolist()]
    for place, (image, name) in enumerate(zip(DRAWN.images[:, 0].numpy(), names, strict=True)):
        for file in (tmp_path / "loose" / f"{place:02d}.png", tmp_path / "sorted" / name / f"{place:02d}.png"):
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(file)
    last = DRAWN.images.permute(0, 2, 3, 1).numpy()
    np.savez(tmp_path / "plain.npz", last)
    np.savez(tmp_path / "labelled.npz", last, DRAWN.labels.numpy())
    own = DRAWN.images.as_subclass(Labelled)
    own.labels = DRAWN.labels
    options = {"judge": judge(), **QUICK}
    plain = evaluate_images(DRAWN.images, SPLITS, **options)
    labelled = evaluate_images(DRAWN.images, SPLITS, labels=DRAWN.labels, **options)
    for form in (DRAWN.images.numpy(), to_unit(DRAWN.images), to_unit(DRAWN.images).double().numpy()):
        assert evaluate_images(form, SPLITS, **options) == plain
    for path in (tmp_path / "loose", str(tmp_path / "plain.npz")):
        assert evaluate_images(path, SPLITS, **options) == plain
    assert evaluate_images(tmp_path / "labelled.npz", SPLITS, **options) == labelled
    assert evaluate_images(own, SPLITS, **options) == labelled
    by_class = evaluate_images(tmp_path / "sorted", SPLITS, **options)
    order = DRAWN.labels.argsort(stable=True)
    assert by_class == evaluate_images(DRAWN.images[order], SPLITS, labels=DRAWN.labels[order], **options)


def test_a_reference_is_a_source_splits_a_set_or_images_alone() -> None:
    digits = load("digits")
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    named = evaluate_images(digits.test.images[:40], "digits", judge=network)
    assert named == evaluate_images(digits.test.images[:40], digits, judge=network)
    whole = SPLITS.train
    held = Splits.stratified(whole, test_fraction=0.1)
    options = {"judge": judge(), "labels": DRAWN.labels, **QUICK}
    assert evaluate_images(DRAWN.images, whole, **options) == evaluate_images(DRAWN.images, held, **options)
    alone = evaluate_images(DRAWN.images, whole.images, **options)
    assert alone.n_real == 9 and keys(alone) == {"FD", "KD", "IS", "precision", "recall", "density", "coverage"} | {
        "MIS",
        "Cls_R",
    }, "no Cls_G without real labels"
    assert {row.real for row in alone.rows if row.key == "Cls_R"} == {None}


def test_some_of_the_images_are_drawn_by_the_seed() -> None:
    some = [evaluate_images(DRAWN.images, SPLITS, n=9, seed=seed, judge=judge()) for seed in (0, 0, 1)]
    assert some[0] == some[1] and some[0].n == 9 and some[0].rows[0].drawn != some[2].rows[0].drawn
    assert some[0].rows[0].name == "FD-cnn@9"


def test_a_single_image_has_the_scores_that_one_can_have() -> None:
    one = evaluate_images(DRAWN.images[:1], SPLITS, labels=[1], judge=judge(), judge_iterations=2)
    assert {"IS", "Cls_R"} <= keys(one) and "FD" not in keys(one) and (one.n, one.n_real) == (1, 1)


def test_images_of_another_size_or_colour_are_brought_to_the_real_ones_and_a_note_says_so() -> None:
    large = DRAWN.images.repeat_interleave(2, 2).repeat_interleave(2, 3).expand(-1, 3, -1, -1)
    fitted = evaluate_images(large, SPLITS, judge=judge())
    assert fitted.note == "images of 16x16 pixels in RGB were brought to 8x8 pixels in grey"
    assert fitted.note in str(fitted) and not evaluate_images(DRAWN.images, SPLITS, judge=judge()).note


def test_progress_is_told() -> None:
    class Display:
        def __init__(self) -> None:
            self.tasks: list[tuple[str, int]] = []
            self.done = 0

        @contextmanager
        def task(self, description: str, total: int) -> Any:
            self.tasks.append((description, total))

            def advance(*_: object) -> None:
                self.done += 1

            yield advance

        def say(self, message: str) -> None:
            raise AssertionError(message)

    display = Display()
    evaluate_images(DRAWN.images, SPLITS, labels=DRAWN.labels, progress=display, **QUICK)
    assert [total for _, total in display.tasks] == [5, 5, 5] and display.done == 15


def test_scores_print_as_a_table() -> None:
    drawn = {"FD": Score(2.0), "IS": Score(9.0, 0.25)}
    rows = image_rows(drawn, {"FD": Score(0.5)}, {}, judge="cnn", count=1000, at_n_real={"FD": Score(3.25)})
    about = {"judge": JudgeAbout("cnn", 5, None), "nearest": Nearest(1.0, 1.0), "rows": rows, "note": "resized"}
    sweep: dict[str, Any] = {"drawn": (), "real": (), "drawn_at_n_real": ()}
    lines = str(ImageScores(n=1000, n_real=90, sweep=sweep, **about)).splitlines()
    assert [line.split() for line in lines] == [
        ["score", "drawn", "drawn@90", "real@90", "noise"],
        ["FD-cnn@1k", "↓", "2", "3.25", "0.5", "–"],
        ["IS-cnn@1k", "↑", "9", "±", "0.25", "–", "–", "–"],
        ["resized"],
    ]
    assert len({len(line) for line in lines[:3]}) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": [1, 2]}, "images .* list"),
        ({"images": torch.zeros(0, 1, 8, 8, dtype=torch.uint8)}, "images"),
        ({"images": DRAWN.images.permute(0, 2, 3, 1).expand(-1, -1, -1, 3)}, "images .* channels"),
        ({"images": DRAWN.images.long()}, "images"),
        ({"images": DRAWN.images.float()}, r"images .*\[-1, 1\]"),
        ({"images": torch.full((3, 1, 8, 8), torch.nan)}, r"images .*\[-1, 1\]"),
        ({"images": "nowhere"}, "nowhere"),
        ({"reference": DRAWN.images.float()}, "reference"),
        ({"reference": "nowhere"}, "nowhere"),
        ({"reference": DRAWN.images, "judge": "cnn"}, "judge cnn"),
        ({"labels": DRAWN.labels + 1}, "labels"),
        ({"labels": DRAWN.labels[:3]}, "labels"),
        ({"labels": DRAWN.labels.float()}, "labels"),
        ({"labels": ["dark"] * 24}, "labels"),
        ({"reference": DRAWN.images, "labels": DRAWN.labels + 1}, "labels"),
        ({"judge": "oracle"}, "oracle"),
        ({"judge": 3}, "judge .* int"),
        ({"n": 0}, "n must be"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_what_cannot_be_scored_is_named(change: dict[str, Any], words: str) -> None:
    given = {"images": DRAWN.images, "reference": SPLITS, "judge": judge(), **change}
    with pytest.raises(InputError, match=words) as refusal:
        evaluate_images(given.pop("images"), given.pop("reference"), **given)
    assert "\n" not in str(refusal.value)
