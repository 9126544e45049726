# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Every command takes pretrained:NAME for a run, without its images where it can, and writes nothing beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import stic_fast
from stic_fast.cli.main import main
from stic_fast.errors import InputError

pytestmark = [pytest.mark.usefixtures("pretrained_place"), pytest.mark.usefixtures("one_thread")]

QUICK = ["--n=20", "--judge-iterations=2", "--metrics=images,outliers"]


def written() -> list[str]:
    """The files in the current folder."""
    return sorted(os.path.relpath(path) for path in Path().rglob("*") if path.is_file() and path.name != ".lock")


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert said.startswith("stic-fast: ") and said.count("\n") == 1 and "Traceback" not in said
    return said


def test_what_is_drawn_goes_where_it_is_asked_or_into_a_folder_here() -> None:
    assert main(["sample", "pretrained:far", "--labels=2,0", "--n=6", "--out=drawn.npz"]) == 0
    assert written() == ["drawn.npz"]
    with np.load("drawn.npz") as arrays:
        assert arrays["arr_0"].shape == (6, 8, 12, 3) and arrays["arr_1"].tolist() == [2, 2, 2, 0, 0, 0]
        images = stic_fast.load("pretrained:far").sample([2, 0], n=3)
        assert np.array_equal(images.permute(0, 2, 3, 1), arrays["arr_0"])
    assert main(["sample", "pretrained:far", "--n=6"]) == 0
    assert main(["interpolate", "pretrained:far", "--from=0", "--to=2", "--n=2", "--frames=3"]) == 0
    assert main(["sample", "pretrained:far", "--n=3", "--out=pictures"]) == 0
    pictures = [f"pictures/0000{number}_{number}.png" for number in range(3)]
    samples = [f"pretrained-far/samples/{name}_seed0.png" for name in ("interpolate_0_2", "sample")]
    assert written() == ["drawn.npz", *pictures, *samples]


def test_counterfactuals(npz_images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "pretrained:far", "--n=1", "--out=pictures"]) == 0
    picture = "pictures/00000_0.png"
    assert main(["counterfactual", "pretrained:far", picture, "--to=1", "--out=one.png"]) == 0
    assert written() == ["one.png", picture]
    said = refused(capsys, "counterfactual", "pretrained:far", "test:3", "--to=1")
    assert "pretrained:far was trained on" in said and "--data npz:PATH" in said
    command = ["counterfactual", "pretrained:far", "test:3", "--to=1", f"--data=npz:{npz_images}"]
    assert main(command) == 0
    assert "pretrained-far/samples/counterfactual_test3_to_1_seed0.png" in written()
    assert main(["counterfactual", "pretrained:plain", "test:3", "--to=1", "--out=digit.png"]) == 0


def test_an_evaluation_takes_the_images_and_is_kept_here(npz_images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--data npz:PATH" in refused(capsys, "evaluate", "pretrained:far", *QUICK)
    assert written() == [] and not Path("pretrained-far").exists()
    assert "are not those that pretrained:far" in refused(capsys, "evaluate", "pretrained:far", "--data=digits")
    data = f"--data=npz:{npz_images}"
    assert main(["evaluate", "pretrained:far", *QUICK, data]) == 0
    record = json.loads(Path("pretrained-far/evaluation.json").read_text())
    assert record["command"].startswith("stic-fast evaluate pretrained:far") and "--data" in record["command"]
    assert record["checkpoint"].startswith("far-")
    assert main(["report", "pretrained:far"]) == 0
    page = Path("pretrained-far/report.html").read_text()
    assert "Drawn images" in page and "one core" in page and "Real test images, for" not in page
    assert main(["report", "pretrained:far", data, "--out=page.html"]) == 0
    assert "Real test images, for comparison." in Path("page.html").read_text()


def test_scores_that_came_with_it_are_reported_and_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "pretrained:far", "--out=page.html"]) == 0
    page = Path("page.html").read_text()
    assert "Run pretrained:far" in page and "stic-fast evaluate pretrained:far" in page and "FD-cnn@20" in page
    assert main(["compare", "JEM=pretrained:plain", "STIC=pretrained:gram"]) == 0
    assert "| score | JEM | STIC | real | noise |" in Path("comparison.md").read_text()
    assert written() == ["comparison.md", "comparison.png", "page.html"]


def test_studies(npz_images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = ["study", "extremes", "pretrained:far", "--n=6", "--shown=1", "--judge-iterations=2"]
    assert "--data npz:PATH" in refused(capsys, *study)
    assert main([*study, f"--data=npz:{npz_images}"]) == 0
    assert "pretrained-far/studies/extremes.json" in written()
    study = ["study", "manifold", "pretrained:plain", "--others=pretrained:gram", "--n=20", "--judge-iterations=2"]
    assert main([*study, "--out=both.png"]) == 0
    assert "pretrained:gram" in Path("both.json").read_text()


@pytest.mark.parametrize(
    "argv",
    [
        ["sample", "pretrained:cat"],
        ["evaluate", "pretrained:cat"],
        ["report", "pretrained:cat"],
        ["compare", "a=pretrained:cat"],
        ["study", "extremes", "pretrained:cat"],
        ["train", "jem", "--resume", "pretrained:cat"],
    ],
)
def test_names_that_are_none(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "use pretrained:far or pretrained:gram or pretrained:plain" in refused(capsys, *argv)
    assert written() == []


def test_no_training_touches_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds weights alone" in refused(capsys, "train", "jem", "--resume", "pretrained:plain")
    assert "another folder" in refused(capsys, "train", "jem", "--out", "pretrained:mine")
    assert "does not exist" in refused(capsys, "demo", "--resume", "pretrained:plain")
    assert written() == []


def test_a_run_of_that_name_is_left_alone(pretrained_made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pretrained-plain").symlink_to(pretrained_made.parent / "plain")
    before = (pretrained_made.parent / "plain" / "evaluation.json").read_bytes()
    for command in (["sample", "pretrained:plain"], ["evaluate", "pretrained:plain", *QUICK]):
        assert "pretrained-plain, which is a run itself" in refused(capsys, *command)
    assert (pretrained_made.parent / "plain" / "evaluation.json").read_bytes() == before
    evaluation = stic_fast.load("pretrained:plain").folder.evaluation()
    assert evaluation is not None and "pretrained:plain" in evaluation.command


def test_info_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    told = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert told["pretrained:far"].strip().startswith("jem, 3 classes of 3×8×12 images; FD-cnn@20 ")
    assert "; accuracy 0." in told["pretrained:gram"]


def test_info_tells_of_a_damaged_one(own_place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_place / "far").chmod(0o755)
    whole = (own_place / "far" / "about.json").read_text()
    (own_place / "far" / "about.json").write_text(whole.replace("seconds", "minutes"))
    assert main(["info"]) == 0
    told = capsys.readouterr()
    assert "about.json is damaged" in told.out and "pretrained:plain" in told.out and told.err == ""
    (own_place / "far" / "about.json").write_text(whole)


def test_from_python(npz_images: Path) -> None:
    run = stic_fast.load("pretrained:far")
    assert repr(run) == "Run('pretrained:far': jem, 3 classes of (3, 8, 12) images)"
    image = run.sample(1, n=1)
    assert len(run.counterfactual(image, to=2)) == 1 and len(run.log_density(image)) == 1
    for ask in (lambda: run.splits, lambda: run.evaluate(n=20)):
        with pytest.raises(InputError, match=r"load\(\.\.\., data='npz:PATH'\)"):
            ask()
    assert written() == []
    beside = stic_fast.load("pretrained:far", data=f"npz:{npz_images}")
    assert beside.config.data == f"npz:{npz_images}" and len(beside.splits.test) == 60
    record = beside.evaluate(n=20, metrics="classifier")
    assert record == beside.folder.evaluation() and written()[-1] == "pretrained-far/evaluation.json"
