# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast evaluate` and `stic-fast report`: from a run to numbers and a page."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from stic_fast.cli.main import main
from stic_fast.evaluation import class_scores, judges
from stic_fast.models import wrap
from stic_fast.training import RunFolder, open_run

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = ["--n=40", "--judge-iterations=10", "--attacked=3", "--cw=2"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def evaluated(run: Path, *options: str) -> dict[str, Any]:
    assert main(["evaluate", str(run), *QUICK, *options]) == 0
    return json.loads((run / "evaluation.json").read_text())


def rows_of(part: dict[str, Any], key: str = "name") -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in part["rows"]}


def spoil(run: Path, value: float) -> None:
    """Puts a value into the last layer of the run's newest checkpoint."""
    file = RunFolder(run).newest_checkpoint().path / "model.safetensors"
    weights = load_file(file)
    weights["head.weight"][0, 0] = value
    save_file(weights, file)
    file.with_name("SHA256SUMS").unlink()


class NegativeDistances(torch.nn.Module):
    """Logits −‖φ − μ‖²/2γ² of ten classes, without a fake one, down to −1e3 and below, as GMMC's are."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Conv2d(1, 16, 3, padding=1)
        self.register_buffer("centres", 10 * torch.eye(10, 16))

    def forward(self, x: Tensor) -> Tensor:
        embedding = self.features(x).mean((2, 3))
        return -10 * ((embedding[:, None] - self.centres) ** 2).sum(2)


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
    attacks = rows_of(record["attacks"], "key")
    accuracies = [attacks[f"PGD-{radius}"]["value"] for radius in (4, 8, 16, 32)]
    assert accuracies == sorted(accuracies, reverse=True) and attacks["all-8"]["value"] <= attacks["PGD-8"]["value"]
    assert ("CW-median" in attacks) == ("note" not in record["attacks"]["cw"])
    assert record["command"].endswith("--n 40 --attacked 3 --cw 2 --judge-iterations 10")
    assert (record["method"], record["data"]["test"]) == ("stic", ["digits test", 359])
    assert not any("note" in record[part] for part in ("images", "classifier", "outliers", "attacks"))


def test_numbers_depend_neither_on_the_batch_nor_on_a_kill(
    own_run: Path, evaluated_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stic_fast.evaluation import drawn_images

    whole = json.loads((evaluated_run / "evaluation.json").read_text())
    monkeypatch.setattr(drawn_images, "PART", 16)
    draw, drawn = drawn_images.DrawnImages.complete, []

    def killed(self: drawn_images.DrawnImages, pen: Any, say: Any) -> None:
        def stroke(rows: Any) -> Any:
            if drawn:
                raise KeyboardInterrupt
            drawn.append(len(rows))
            return pen(rows)

        draw(self, stroke, say)

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
        (["--cw=-1"], "--cw must be from 0"),
        (["--judge=oracle"], "there is no judge 'oracle'"),
        (["--judge=resnet20:nowhere.th"], "nowhere.th"),
    ):
        assert main(["evaluate", str(own_run), *QUICK, *options]) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1 and "Traceback" not in said
    assert main(["report", str(own_run.parent / "nothing")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_model_without_a_fake_class_is_evaluated_in_all_parts(
    own_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = open_run(own_run)
    torch.manual_seed(0)
    model = wrap(NegativeDistances(), gram_layers=["features"], num_classes=10)
    with torch.no_grad():
        assert model(torch.zeros(1, 1, 8, 8)).min() < -1e3
    other = dataclasses.replace(run, model=model)
    monkeypatch.setattr("stic_fast.cli.evaluate.open_run", lambda path, **_: other)
    record = evaluated(own_run)
    assert not any("note" in record[part] for part in ("images", "classifier", "outliers", "attacks"))
    assert {row["score"] for row in record["outliers"]["rows"]} == {"log_density", "class_confidence", "gradient"}
    assert rows_of(record["classifier"])["NLL"]["value"] > 1
    monkeypatch.setattr("stic_fast.cli.report.open_run", lambda path, **_: other)
    assert main(["report", str(own_run), "--out", str(tmp_path / "page.html")]) == 0
    assert "p(fake|x)" not in (tmp_path / "page.html").read_text()


def test_a_diverged_run_is_told_and_the_rest_is_kept(
    own_run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    spoil(own_run, float("nan"))
    record = evaluated(own_run)
    json.dumps(record, allow_nan=False)
    said = " ".join(capsys.readouterr().out.split())
    for part, note in (
        ("images", "no images could be drawn: 40 of 40 chains diverged"),
        ("classifier", "359 of 359 test images have logits that are not finite: the run diverged"),
        ("outliers", "images whose scores are not finite: 40 of 40 of digits test, 40 of 40 of uniform noise"),
        ("attacks", "3 of 3 images to attack have logits that are not finite: the run diverged"),
    ):
        assert note in record[part]["note"] and f"{part}: {note}" in said
    values = {row["key"]: row["value"] for row in record["classifier"]["rows"]}
    assert values.pop("accuracy") == 0.0 and len(values) == 5 and set(values.values()) == {None}
    assert {row["auroc"] for row in record["outliers"]["rows"]} == {None}
    assert list(record["images"]) == ["note"] and "rows" not in record["attacks"]
    assert main(["report", str(own_run), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert page.count("<p class=warning>") == 4 and page.count("<img") == 1, "of the pictures only the curves are left"


def test_fewer_real_images_get_a_column_of_as_many_drawn_ones(
    own_run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record = evaluated(own_run, "--n=400", "--metrics=images")
    assert record["images"]["n_real"] == 359
    row = rows_of(record["images"], "key")["coverage"]
    assert row["drawn_at_n_real"] is not None and row["real"] is not None
    assert "drawn@359" in capsys.readouterr().out
    assert main(["report", str(own_run), "--out", str(tmp_path / "page.html")]) == 0
    assert "drawn@359" in (tmp_path / "page.html").read_text()


def test_a_second_run_on_the_same_data_trains_one_judge_of_three(
    own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "fresh"))
    trained = []
    for module in (class_scores, judges):
        train = module.train_judge

        def counted(*given: Any, train: Any = train, **named: Any) -> Any:
            trained.append(len(given[0]))
            return train(*given, **named)

        monkeypatch.setattr(module, "train_judge", counted)
    first = evaluated(own_run, "--metrics=images")
    assert trained == [1438, 40, 40]
    assert evaluated(own_run, "--metrics=images")["images"] == first["images"]
    assert trained == [1438, 40, 40, 40], "that of the drawn images"


def test_without_foolbox_the_record_says_so(
    own_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "foolbox", None)
    record = evaluated(own_run, "--metrics=attacks")
    assert record["attacks"]["cw"] == {"note": 'L2 C&W left out: pip install ".[attacks]"'}
    assert 'L2 C&W left out: pip install ".[attacks]"' in capsys.readouterr().out
    assert "cw" not in evaluated(own_run, "--metrics=attacks", "--cw=0")["attacks"]


def test_report_of_an_evaluated_run(evaluated_run: Path, tmp_path: Path) -> None:
    assert main(["report", str(evaluated_run), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    for words in ("Drawn images", "FD-cnn@40", "ECE@20", "Out of distribution", "PGD-40 at 8/255", "pool.chains"):
        assert words in page
    assert page.count("<img") == 7 and "http" not in page


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
    (own_run / "evaluation.json").write_text('{"seed": 0}')
    assert main(["report", str(own_run)]) == 2
    assert "evaluation.json is of an older version" in capsys.readouterr().err
