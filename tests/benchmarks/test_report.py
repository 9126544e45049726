# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The report writes a page, its data and its picture, and can be drawn again from its own data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.report import main


@pytest.fixture
def result(tmp_path: Path, measured: dict[str, Any]) -> Path:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(measured))
    return path


def test_page_picture_and_data(tmp_path: Path, result: Path) -> None:
    main([str(result), "--machine", "some-cpu", "--out", str(tmp_path / "pages")])
    assert {path.name for path in (tmp_path / "pages").iterdir()} == {"some-cpu.json", "some-cpu.md", "some-cpu.png"}
    page = (tmp_path / "pages" / "some-cpu.md").read_text()
    titles = [line[3:] for line in page.split("\n") if line.startswith("## ")]
    assert titles == ["Targets", "Ops", "Size", "Form of the Gram loss", "Ceilings of the machine"]
    assert page.startswith("# Benchmarks: some-cpu\n\n- Some CPU, 2 cores, 2 threads;") and "(some-cpu.png)" in page
    assert "| copy in memory | 5.00 GB/s | 10.0 GB/s |" in page
    with Image.open(tmp_path / "pages" / "some-cpu.png") as picture:
        assert picture.width > 1000 and len(picture.convert("L").histogram()) == 256


def test_drawn_again_from_its_own_data(tmp_path: Path, result: Path) -> None:
    main([str(result), "--machine", "one", "--out", str(tmp_path)])
    first = (tmp_path / "one.md").read_text(), (tmp_path / "one.json").read_text()
    main([str(tmp_path / "one.json"), "--machine", "one", "--out", str(tmp_path)])
    assert ((tmp_path / "one.md").read_text(), (tmp_path / "one.json").read_text()) == first


def test_several_runs_give_a_range(tmp_path: Path, result: Path, measured: dict[str, Any]) -> None:
    for entry in measured["benchmarks"]:
        if entry["extra_info"]["implementation"] == "eager":
            entry["stats"]["median"] *= 1.2
    again = tmp_path / "again.json"
    again.write_text(json.dumps(measured))
    main([str(result), str(again), "--machine", "two", "--out", str(tmp_path)])
    assert "27.5x (25.0–30.0)" in (tmp_path / "two.md").read_text()


def test_run_without_a_rival_still_draws(tmp_path: Path, result: Path, measured: dict[str, Any]) -> None:
    measured["benchmarks"] = measured["benchmarks"][:1]
    result.write_text(json.dumps(measured))
    main([str(result), "--machine", "lonely", "--out", str(tmp_path)])
    assert (tmp_path / "lonely.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.json", "--machine", "x"], r"absent\.json cannot be read"),
        (["absent.json", "--machine", "docs/x"], r"must be a plain name"),
        (["absent.json"], r"--machine"),
    ],
)
def test_one_sentence_for_bad_input(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert message.replace("\\", "") in error and "Traceback" not in error
