# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast compare`: evaluated runs in, a table and a picture out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from stic_fast.cli.main import main

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def evaluated_runs(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One run, evaluated, and two copies with other numbers."""
    folder = tmp_path_factory.mktemp("compared")
    first = Path(shutil.copytree(tiny_run, folder / "run0"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        quick = ["--n=400", "--judge-iterations=5", "--attacked=3", "--cw=0"]
        assert main(["evaluate", str(first), *quick]) == 0
    record = json.loads((first / "evaluation.json").read_text())
    runs = [first]
    for number in (1, 2):
        runs.append(folder / f"run{number}")
        runs[-1].mkdir()
        for row in record["classifier"]["rows"]:
            row["value"] += 0.125
        (runs[-1] / "evaluation.json").write_text(json.dumps(record))
    return runs


def test_table_and_picture_lie_beside_each_other(
    evaluated_runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = map(str, evaluated_runs)
    out = tmp_path / "new" / "all.png"
    assert main(["compare", f"STIC={first},{second}", f"my own = {third}", "--out", str(out)]) == 0
    table = out.with_suffix(".md").read_text()
    said = capsys.readouterr().out
    assert table in said and str(out) in said
    assert "| score | STIC | my own | real | noise |" in table
    assert "FD-cnn@400 ↓" in table and "FD-cnn@359 ↓" in table and "AUROC against every set of outliers" in table
    value = json.loads((evaluated_runs[0] / "evaluation.json").read_text())["classifier"]["rows"][0]["value"]
    assert f"| accuracy ↑ | {value + 0.0625:.3f} ({value:.3f} to {value + 0.125:.3f}) |" in table
    with Image.open(out) as picture:
        assert 300 < picture.width < 3000


def test_scores_can_be_chosen(evaluated_runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compare", f"a={evaluated_runs[0]}", "--out", str(tmp_path / "some.md"), "--scores"]
    assert main([*arguments, "ECE, FD"]) == 0
    rows = [line.split(" | ")[0] for line in (tmp_path / "some.md").read_text().splitlines() if line.startswith("| ")]
    assert rows == ["| score", "| ECE@20 ↓", "| FD-cnn@400 ↓", "| FD-cnn@359 ↓"]
    capsys.readouterr()
    assert main([*arguments, "beauty"]) == 2
    assert "no run has a score 'beauty'; the scores are FD, KD, IS" in capsys.readouterr().err
    assert main([*arguments, ","]) == 2
    assert "--scores names none" in capsys.readouterr().err


def test_what_cannot_be_compared_is_said_in_a_sentence(
    evaluated_runs: list[Path], own_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = map(str, evaluated_runs[:2])
    other = tmp_path / "other"
    other.mkdir()
    record = json.loads((evaluated_runs[0] / "evaluation.json").read_text())
    (other / "evaluation.json").write_text(json.dumps({**record, "seed": 1}))
    for arguments, words in (
        ([first], "named as LABEL=RUN,RUN"),
        (["=" + first], "named as LABEL=RUN,RUN"),
        (["a="], "named as LABEL=RUN,RUN"),
        ([f"a={first}", f"a={second}"], "the label 'a' stands twice"),
        ([f"a={first},{first}"], f"{first} stands twice"),
        ([f"a={own_run}"], "has not been evaluated"),
        ([f"a={tmp_path / 'nowhere'}"], "has not been evaluated"),
        ([f"a={first}", f"b={other}"], f"with --seed 0, {other} with --seed 1"),
        ([f"a={first}", "--out=all.pdf"], "--out must end in .md or .png"),
    ):
        assert main(["compare", *arguments]) == 2, arguments
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1 and "Traceback" not in said
    assert not list(tmp_path.glob("*.md"))
