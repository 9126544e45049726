# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Runs are compared only where they were evaluated alike, at equal counts, with what is missing in sight."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from stic_fast.errors import InputError
from stic_fast.evaluation.comparison import (
    ComparedScore,
    area_table,
    compared,
    comparison_text,
    notes_of,
    score_table,
    values_of,
)
from stic_fast.evaluation.image_record import image_rows
from stic_fast.evaluation.image_scores import Score
from stic_fast.evaluation.record_form import (
    AttackRow,
    AttackScores,
    CarliniWagner,
    ClassifierScores,
    Evaluation,
    ImageScores,
    JudgeAbout,
    Masking,
    Nearest,
    OutlierRow,
    OutlierScores,
    ScoreRow,
    Unmeasured,
)

SETS = ("noise", "constant")


def record(fd: float = 2.0, accuracy: float | None = 0.9, *, fake: bool = True, n_real: int = 359) -> Evaluation:
    """An evaluation as `stic-fast evaluate` writes it, in the parts that matter here."""
    drawn = {"FD": Score(fd), "IS": Score(9.0, 0.2), "Cls_R": Score(0.8)}
    real = {"FD": Score(0.1), "IS": Score(9.5), "Cls_R": Score(0.99)}
    noise = {"FD": Score(80.0), "IS": Score(1.1), "Cls_R": Score(0.1)}
    few = {"FD": Score(fd + 1), "IS": Score(8.0), "Cls_R": Score(0.7)} if n_real < 1000 else None
    scores = ["log_density", *["real_log_odds"] * fake]
    return Evaluation(
        version="0.1.0",
        command="stic-fast evaluate run",
        method="stic",
        data={"train": ("digits train", 1438), "test": ("digits test", n_real)},
        seed=0,
        checkpoint="pass_001",
        seconds={},
        images=ImageScores(
            judge=JudgeAbout("cnn", 600, 0.99),
            n=1000,
            n_real=n_real,
            rows=image_rows(drawn, real, noise, judge="cnn", count=1000, at_n_real=few),
            sweep={"drawn": (), "real": (), "drawn_at_n_real": ()},
            nearest=Nearest(2.5, 2.0),
            steps=40,
        ),
        classifier=ClassifierScores(359, (ScoreRow("accuracy", accuracy, "accuracy", "higher", "share"),), None, None),
        outliers=OutlierScores(
            "digits test", 359, tuple(OutlierRow(s, o, 0.5 + 0.25 * (o == "noise")) for s in scores for o in SETS)
        ),
        attacks=AttackScores(
            100,
            (AttackRow("PGD-8", 0.5, "PGD-40 at 8/255", "higher", "share", 100),),
            Masking(False, "No sign", 0.5),
            CarliniWagner(20),
        ),
    )


def diverged() -> Evaluation:
    """One whose images could not be drawn."""
    note = Unmeasured("no images could be drawn: 9 of 9 chains diverged to NaN")
    return replace(record(), images=None, unmeasured={"images": note})


def by_name(scores: list[ComparedScore]) -> dict[str, ComparedScore]:
    return {score.name: score for score in scores}


def test_values_are_those_of_the_record_and_each_row_has_one_count() -> None:
    values = {value.name: value for value in values_of(record())}
    whole, few = values["FD-cnn@1k"], values["FD-cnn@359"]
    assert (whole.key, whole.value, whole.real, whole.noise) == ("FD", 2.0, None, 80.0)
    assert (few.key, few.value, few.real, few.noise) == ("FD", 3.0, 0.1, None)
    assert (values["Cls_R-cnn@1k"].value, values["Cls_R-cnn@1k"].real) == (0.8, 0.99), "no count matters to it"
    assert "Cls_R-cnn@359" not in values
    assert values["AUROC log p(x), mean of 2 sets"].value == 0.625
    assert values["AUROC log p(x), mean of 2 sets"].key == "AUROC-log_density"
    equal = {value.name: value for value in values_of(record(n_real=1000))}
    assert equal["FD-cnn@1k"].real == 0.1 and "FD-cnn@359" not in equal


def test_means_and_the_best_are_by_label() -> None:
    groups = {
        "a": {"r0": record(1.0), "r1": record(3.0)},
        "b": {"r2": record(1.5, fake=False)},
        "c": {"r3": diverged()},
    }
    scores = by_name(compared(groups))
    fd = scores["FD-cnn@1k"]
    assert fd.values == {"a": (1.0, 3.0), "b": (1.5,), "c": ()}
    assert (fd.mean("a"), fd.mean("c"), fd.best()) == (2.0, None, ["b"])
    assert scores["accuracy"].best() == [], "all are as good"
    assert scores["AUROC 1 − p(fake|x), mean of 2 sets"].values == {"a": (0.625, 0.625), "b": (), "c": (0.625,)}
    assert scores["distance to the nearest training image"].best() == [], "neither way is better"
    better = ComparedScore("x", "x", "higher", {"a": (0.1, 0.3), "b": (0.3,)}, None, None)
    assert better.best() == ["b"]


def change(path: str, value: Any) -> Callable[[Any], None]:
    def changed(record: Any) -> None:
        *folders, last = path.split(".")
        setattr(functools.reduce(getattr, folders, record), last, value)

    return changed


@pytest.mark.parametrize(
    ("mutate", "words"),
    [
        (change("seed", 1), "r0 was evaluated with --seed 0, r1 with --seed 1, so their scores cannot be compared"),
        (change("images.n", 500), "--n 1000, r1 with --n 500"),
        (change("images.judge.name", "resnet20"), "--judge cnn, r1 with --judge resnet20"),
        (change("images.judge.iterations", 60), "--judge-iterations 600, r1 with --judge-iterations 60"),
        (change("attacks.n", 50), "--attacked 100, r1 with --attacked 50"),
        (change("attacks.cw.n", 5), "--cw 20, r1 with --cw 5"),
        (
            change("data", {"train": ("digits train", 1438), "test": ("mnist test", 10000)}),
            r"digits test \(359\), r1 with images digits train \(1438\), mnist test",
        ),
        (
            change("data", {"train": ("digits train", 9), "test": ("digits test", 359)}),
            r"digits test \(359\), r1 with images digits train \(9\)",
        ),
        (change("outliers.rows", ()), r"outliers noise, constant \(359 each\), r1 with outliers"),
    ],
)
def test_runs_that_were_evaluated_differently_are_refused(mutate: Callable[[Any], None], words: str) -> None:
    other = copy.deepcopy(record())
    mutate(other)
    with pytest.raises(InputError, match=f"{words}.*") as refusal:
        compared({"a": {"r0": record()}, "b": {"r1": other}})
    assert str(refusal.value).endswith("evaluate both alike") and "\n" not in str(refusal.value)


def test_a_part_that_one_run_lacks_is_no_difference() -> None:
    without_cw = record()
    assert without_cw.attacks is not None
    without_cw.attacks.cw = CarliniWagner(None, "L2 C&W left out")
    short = replace(record(), images=None, outliers=None)
    assert compared({"a": {"r0": record()}, "b": {"r1": without_cw, "r2": short, "r3": diverged()}})
    with pytest.raises(InputError, match="no runs to compare"):
        compared({})


def test_the_table_has_means_ranges_and_dashes() -> None:
    groups = {
        "a": {"r0": record(1.0), "r1": record(3.5), "r2": diverged()},
        "max|b": {"r3": record(15.0, accuracy=None)},
    }
    lines = score_table(compared(groups)).splitlines()
    assert lines[0] == "| score | a | max\\|b | real | noise |" and lines[1] == "|---|---|---|---|---|"
    assert "| FD-cnn@1k ↓ | **2.25** (1.00 to 3.50, 2 of 3) | 15.0 | — | 80.0 |" in lines
    assert "| FD-cnn@359 ↓ | **3.25** (2.00 to 4.50, 2 of 3) | 16.0 | 0.100 | — |" in lines
    assert "| accuracy ↑ | 0.900 (0.900 to 0.900) | — | — | — |" in lines
    assert "| AUROC log p(x), mean of 2 sets ↑ | 0.625 (0.625 to 0.625) | 0.625 | — | — |" in lines
    only = score_table([ComparedScore("k", "k", None, {"a": (-0.25,)}, None, None)])
    assert only.splitlines() == ["| score | a |", "|---|---|", "| k | −0.250 |"], "empty columns are left out"


def test_every_set_of_outliers_has_a_column() -> None:
    other = record(fake=False)
    assert other.outliers is not None
    for row in other.outliers.rows:
        row.auroc = None if row.outliers == "noise" else 0.25
    lines = area_table({"a": {"r0": record(), "r1": other}, "b": {"r2": other}}).splitlines()
    assert lines[0] == "| score |  | noise | constant |"
    assert "| log p(x) | a | 0.750 | 0.375 |" in lines and "| log p(x) | b | — | 0.250 |" in lines
    assert "| 1 − p(fake\\|x) | a | 0.750 | 0.500 |" in lines and len(lines) == 5


def test_the_text_tells_how_it_was_made_and_what_to_beware_of() -> None:
    masked = record()
    assert masked.attacks is not None
    masked.attacks.masking.masked = True
    assert notes_of(record()) == [] and notes_of(masked) == [
        "attacks: gradient masking, so its accuracy under PGD is no robustness"
    ]
    groups = {"a": {"r0": record(), "r1": masked}, "b": {"r2": diverged()}}
    text = comparison_text(groups, compared(groups))
    assert "Means of the runs (a 2, b 1)" in text and "--n 1000" in text and "--judge-iterations 600" in text
    assert "- a, r1: attacks: gradient masking" in text
    assert "- b, r2: images: no images could be drawn: 9 of 9 chains diverged to NaN" in text
    plain = {"a": {"r0": record()}, "b": {"r1": record()}}
    some = [score for score in compared(plain) if score.key == "FD"]
    assert "Beware" not in comparison_text(plain, some) and "AUROC" not in comparison_text(plain, some)
    assert "(1 each)" in comparison_text(plain, some)
