# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Names command no terminal: control characters are written out, and rich's markup is text."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from stic_fast.cli import progress as progress_module
from stic_fast.cli.evaluation_tables import tell
from stic_fast.cli.main import main
from stic_fast.cli.progress import RichProgress
from stic_fast.cli.terminal import LONGEST, console, one_sentence, printable, say, table
from stic_fast.evaluation.record_form import ClassifierScores, Evaluation, ScoreRow, Unmeasured

NASTY = "[bold]a[/bold] :smile: \x1b[2J\x07\r\x9b1m\u202e\u2028" + os.fsdecode(b"\xff")
SHOWN = r"[bold]a[/bold] :smile: \x1b[2J\x07\r\x9b1m\u202e\u2028\udcff"


def test_what_is_no_letter_or_sign_is_written_out() -> None:
    assert printable(NASTY) == SHOWN
    assert printable("ε·∇log p − 日本 é …") == "ε·∇log p − 日本 é …"


def test_lines_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    say("one\n\x1btwo")
    assert capsys.readouterr().out == "one\n\\x1btwo\n"
    RichProgress().say(NASTY)
    assert capsys.readouterr().out == SHOWN + "\n"


def test_endless_sentences_are_cut() -> None:
    line = one_sentence("begin " + "a" * 10**6 + " end")
    assert len(line) <= LONGEST + 3 and line.startswith("begin") and line.endswith("end") and "…" in line


def test_tables_and_lines_of_a_console(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    rows = table(NASTY, title=NASTY)
    rows.add_row(NASTY)
    console().print(rows)
    out = capsys.readouterr().out
    assert out.count(SHOWN) == 3 and all(line.isprintable() for line in out.splitlines())


def test_bars_describe_literally(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def forced(**_: Any) -> Console:
        return Console(stderr=True, force_terminal=True, width=200, markup=False, emoji=False)

    monkeypatch.setattr(progress_module, "console", forced)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with RichProgress().task(NASTY, 2) as advance:
        advance()
    assert SHOWN in capsys.readouterr().err


def test_an_evaluation_with_nasty_names(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    row = ScoreRow("ECE", 0.5, NASTY, "lower", "of the bins")
    heading: dict[str, Any] = {"version": "", "command": "", "method": "", "checkpoint": "", "seed": 0}
    parts: dict[str, Any] = {
        "classifier": ClassifierScores(3, (row,), None, None),
        "unmeasured": {"images": Unmeasured(NASTY)},
    }
    tell(Evaluation(data={}, seconds={}, **heading, **parts))
    out = capsys.readouterr().out
    assert out.count(SHOWN) == 2 and all(line.isprintable() for line in out.splitlines())


def test_classes_of_nasty_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("[red]a", "\x1b[31mb", os.fsdecode(b"c\xff"))
    for name in names:
        for number in range(3):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), number).save(tmp_path / "data" / name / f"{number}.png")
    small = ["--passes=1", "--iterations=1", "--batch-size=2", "--pool.chains=2", "--references=1", "--sampler.steps=1"]
    run = tmp_path / "run\x1b[31m"
    assert main(["train", "stic", f"--data=folder:{tmp_path / 'data'}", "--out", str(run), *small]) == 0
    assert main(["sample", str(run), "--labels", "dog", "--n", "1"]) == 2
    captured = capsys.readouterr()
    assert r"the classes are 0 \x1b[31mb, 1 [red]a, 2 c\udcff" in captured.err
    assert all(line.isprintable() for line in [*captured.out.splitlines(), *captured.err.splitlines()])
    assert r"run\x1b[31m" in captured.out


def test_settings_of_nasty_values(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = own_run / "config.json"
    plain = json.loads(file.read_text())
    plain["settings"]["vrm"] = NASTY
    file.write_text(json.dumps(plain))
    (own_run / "SHA256SUMS").unlink()  # a setting edited by hand, not a damaged file
    assert main(["sample", str(own_run)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err[:-1].isprintable() and "vrm cannot be" in err
    shutil.rmtree(own_run)
