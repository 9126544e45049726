# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast demo` trains, draws, judges, and leaves what it promises."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image

import stic_fast
from stic_fast.cli import demo
from stic_fast.cli.main import main


def test_the_short_demo_trains_draws_and_judges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one long test: everything for real, at the scale that continuous integration runs."""
    out = tmp_path / "demo"
    assert main(["demo", "--short", "--out", str(out)]) == 0
    scores = json.loads((out / "demo.json").read_text())
    distances = {"distance_drawn_to_train", "distance_test_to_train"}
    wanted = {"accuracy", "cls_r", "cls_g", "judge_accuracy", "seconds", "seed", "n", "version"} | distances
    assert set(scores) == wanted and all(0 < scores[name] < 16 for name in distances)
    assert (scores["n"], scores["seed"], scores["version"]) == (200, 0, stic_fast.__version__)
    assert scores["judge_accuracy"] > 0.9
    for name, least in (("accuracy", 0.8), ("cls_r", 0.6), ("cls_g", 0.5)):  # chance is 0.1
        assert least < scores[name] <= 1
    captured = capsys.readouterr()
    assert captured.err == "" and "\x1b" not in captured.out
    assert f"{100 * scores['accuracy']:.1f}%" in captured.out
    for name in ("samples.png", "interpolation.png", "curves.png", "demo.json"):
        assert str(out / name) in captured.out
    for name in ("samples.png", "interpolation.png", "curves.png"):
        with Image.open(out / name) as picture:
            assert picture.convert("L").getextrema() == (0, 255) or name == "curves.png"

    assert main(["sample", str(out), "--labels", "3,8", "--n", "2", "--steps", "1"]) == 0
    assert main(["report", str(out)]) == 0 and (out / "report.html").exists()
    capsys.readouterr()
    for again in (["--out", str(out)], ["--resume", str(out)]):
        assert main(["demo", *again]) == 2
        assert "holds a finished demo" in capsys.readouterr().err


def test_a_stopped_demo_goes_on(
    tiny_scale: demo.Scale, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "demo"

    def interrupted(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(demo, "train_judge", interrupted)
        assert main(["demo", "--short", "--seed", "4", "--out", str(out)]) == 130
    assert capsys.readouterr().err == f"stic-fast: stopped; continue with stic-fast demo --resume {out}\n"
    assert not (out / "demo.json").exists()

    assert main(["demo", "--short", "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert "unfinished" in told and f"stic-fast demo --resume {out}" in told

    assert main(["demo", "--resume", str(out), "--seed", "1"]) == 2
    assert "leave out --seed" in capsys.readouterr().err

    assert main(["demo", "--resume", str(out)]) == 0
    scores = json.loads((out / "demo.json").read_text())
    assert (scores["seed"], scores["n"]) == (4, 10 * tiny_scale.images_per_class)


def test_another_run_is_no_demo(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--resume", str(own_run)]) == 2
    told = capsys.readouterr().err
    assert "not a run of this version's demo" in told and f"stic-fast train stic --resume {own_run}" in told


def test_judges_see_what_they_should(tiny_scale: demo.Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of Cls_R learns the real training digits; Cls_G learns drawn ones and reads the real test digits."""
    seen: dict[str, torch.Tensor] = {}
    train_judge, cls_g = demo.train_judge, demo.cls_g

    def watched_judge(images: torch.Tensor, labels: torch.Tensor, *rest: int, **options: int) -> object:
        seen["judge"] = images
        return train_judge(images, labels, *rest, **options)

    def watched_cls_g(drawn: torch.Tensor, asked: torch.Tensor, *test: torch.Tensor, **options: int) -> float:
        seen.update(drawn=drawn, asked=asked, test=test[0])
        return cls_g(drawn, asked, *test, **options)

    monkeypatch.setattr(demo, "train_judge", watched_judge)
    monkeypatch.setattr(demo, "cls_g", watched_cls_g)
    assert main(["demo", "--short", "--out", str(tmp_path / "demo")]) == 0
    splits = stic_fast.data.load("digits")
    assert torch.equal(seen["judge"].cpu(), splits.train.images)
    assert torch.equal(seen["test"].cpu(), splits.test.images)
    assert seen["drawn"].shape == (120, 1, 8, 8)
    assert seen["asked"].tolist() == torch.arange(10).repeat_interleave(12).tolist()


@pytest.mark.usefixtures("tiny_scale")
def test_a_demo_can_be_evaluated_like_any_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the demo writes down is not taken for an evaluation, nor written over by one."""
    out = tmp_path / "demo"
    assert main(["demo", "--short", "--out", str(out)]) == 0
    scores = (out / "demo.json").read_text()
    assert main(["evaluate", str(out), "--n", "40", "--metrics", "classifier"]) == 0
    assert main(["report", str(out)]) == 0
    assert (out / "demo.json").read_text() == scores
    assert main(["demo", "--resume", str(out)]) == 2
    assert "holds a finished demo" in capsys.readouterr().err
