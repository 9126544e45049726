# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast evaluate` and `stic-fast report`: from a run to numbers and a page."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stic_fast.cli.main import main

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = ["--n=40", "--judge-iterations=10", "--attacked=3"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def evaluated(run: Path, *options: str) -> dict[str, Any]:
    assert main(["evaluate", str(run), *QUICK, *options]) == 0
    return json.loads((run / "evaluation.json").read_text())


def rows_of(part: dict[str, Any], key: str = "name") -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in part["rows"]}


@pytest.fixture(scope="module")
def evaluated_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evaluated once, in all parts."""
    run = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("evaluated") / "run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        evaluated(run)
    return run


def test_all_parts_are_there_and_make_sense(evaluated_run: Path) -> None:
    record = json.loads((evaluated_run / "evaluation.json").read_text())
    images = rows_of(record["images"])
    assert {"FD-cnn@40", "KD-cnn@40", "IS-cnn@40", "MIS-cnn@40", "Cls_R-cnn@40", "Cls_G-cnn@40"} <= set(images)
    assert images["FD-cnn@40"]["better"] == "lower" and images["FD-cnn@40"]["real"] < images["FD-cnn@40"]["noise"]
    assert record["images"]["judge"]["name"] == "cnn" and record["images"]["n_real"] == 40
    classifier = rows_of(record["classifier"])
    assert 0 <= classifier["accuracy"]["value"] <= 1 and classifier["NLL"]["value"] > 0
    assert sum(record["classifier"]["reliability"]["counts"]) == record["classifier"]["n"]
    assert {row["score"] for row in record["outliers"]["rows"]} >= {"log_density", "real_log_odds"}
    assert all(0 <= row["auroc"] <= 1 for row in record["outliers"]["rows"])
    accuracies = [row["accuracy"] for row in record["attacks"]["rows"]]
    assert len(accuracies) == 4 and accuracies == sorted(accuracies, reverse=True)
    assert record["command"].endswith("--n 40 --attacked 3 --judge-iterations 10")


def test_numbers_depend_neither_on_the_batch_nor_on_a_kill(
    own_run: Path, evaluated_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stic_fast.evaluation import drawn_images

    whole = json.loads((evaluated_run / "evaluation.json").read_text())
    monkeypatch.setattr(drawn_images, "PART", 16)
    draw, drawn = drawn_images.DrawnImages.complete, []

    def killed(self: drawn_images.DrawnImages, pen: Any) -> None:
        def stroke(rows: Any) -> Any:
            if drawn:
                raise KeyboardInterrupt
            drawn.append(len(rows))
            return pen(rows)

        draw(self, stroke)

    with monkeypatch.context() as patch:
        patch.setattr(drawn_images.DrawnImages, "complete", killed)
        assert main(["evaluate", str(own_run), *QUICK, "--batch-size=7", "--metrics=images"]) == 130
    assert drawn == [16] and not (own_run / "evaluation.json").exists()
    again = evaluated(own_run, "--batch-size=7", "--metrics=images,classifier")
    for part in ("images", "classifier"):
        found, wanted = rows_of(again[part]), rows_of(whole[part])
        assert found.keys() == wanted.keys()
        for name, row in found.items():
            for key, value in row.items():
                if isinstance(value, float):
                    assert math.isclose(value, wanted[name][key], rel_tol=1e-4, abs_tol=1e-5), (name, key)


def test_bad_input_is_one_sentence(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, words in (
        (["--metrics=beauty"], "--metrics must name some of images, classifier, outliers, attacks"),
        (["--n=0"], "--n must be from 1"),
        (["--judge=oracle"], "there is no judge 'oracle'"),
        (["--judge=resnet20:nowhere.th"], "nowhere.th"),
    ):
        assert main(["evaluate", str(own_run), *QUICK, *options]) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1 and "Traceback" not in said
    assert main(["report", str(own_run.parent / "nothing")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_report_of_an_evaluated_run(evaluated_run: Path, tmp_path: Path) -> None:
    assert main(["report", str(evaluated_run), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    for words in ("Drawn images", "FD-cnn@40", "ECE@20", "Out of distribution", "PGD-40 at 8/255", "pool.chains"):
        assert words in page
    assert page.count("<img") == 6 and "http" not in page


def test_report_of_a_run_that_is_not_evaluated(own_run: Path) -> None:
    assert main(["report", str(own_run)]) == 0
    page = (own_run / "report.html").read_text()
    assert "It has not been evaluated yet" in page and "Training" in page


def test_a_real_browser_shows_the_report(evaluated_run: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("needs chromium or Chrome")
    assert main(["report", str(evaluated_run), "--out", str(tmp_path / "page.html")]) == 0
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1100,3000"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'page.png'}"]
    subprocess.run([*command, (tmp_path / "page.html").as_uri()], capture_output=True, timeout=120, check=True)
    with Image.open(tmp_path / "page.png") as shot:
        assert shot.size == (1100, 3000)
        colours = shot.convert("RGB").getcolors(2**24)
    assert colours is not None and len(colours) > 50, "text, lines and pictures"


def test_a_damaged_record_is_said(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_run / "evaluation.json").write_text("{")
    assert main(["report", str(own_run)]) == 2
    assert "evaluation.json is damaged" in capsys.readouterr().err
