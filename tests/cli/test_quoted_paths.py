# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A command that stic-fast suggests can be pasted into a shell, whatever the run's folder is called."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from stic_fast.cli.main import main, parse
from stic_fast.evaluation.record_form import read_record
from stic_fast.training import RunFolder


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(copytree(tiny_run, tmp_path / "my runs" / "it's $HOME; 1"))


def suggested(text: str) -> list[list[str]]:
    """The words of each command in a text, as a shell would read them: up to the end of the words it can have."""
    commands = []
    for found in re.finditer(r"stic-fast (?:demo|train \w+|sample|evaluate|report) (?=[-'/])", text):
        rest, words = text[found.start() :], []
        for part in re.findall(r"(?:'[^']*'|\"[^\"]*\"|[^\s'\";,`])+", rest):
            words += shlex.split(part)
            if words[-1].startswith("/"):
                break
        commands.append(words)
    return commands


def test_suggested_reads_as_a_shell_does() -> None:
    text = "x is there; continue with stic-fast train stic --resume '/a b/it'\"'\"'s', or give another"
    assert suggested(text) == [["stic-fast", "train", "stic", "--resume", "/a b/it's"]]


TELL: dict[str, Callable[[Path], object]] = {
    "train again": lambda run: main(["train", "stic", "--resume", str(run)]),
    "train as another method": lambda run: main(["train", "jem", "--resume", str(run)]),
    "demo of another run": lambda run: main(["demo", "--resume", str(run)]),
    "demo where a run is": lambda run: main(["demo", "--out", str(run)]),
    "compare before evaluating": lambda run: main(["compare", f"A={run}", f"B={run}"]),
    "demo": lambda run: main(["demo", "--short", "--out", str(run.parent / f"{run.name} too")]),
    "evaluate": lambda run: main(["evaluate", str(run), "--n", "40", "--metrics", "classifier"]),
}


@pytest.mark.parametrize("what", TELL)
@pytest.mark.usefixtures("tiny_scale")
def test_paths_are_quoted(run: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    TELL[what](run)
    told = capsys.readouterr()
    commands = suggested(told.out + told.err)
    assert commands and all(words[-1].startswith(str(run)) for words in commands), told
    for _, *arguments in commands:
        parse(arguments)


@pytest.mark.parametrize("content", ["{", "{}"])
def test_a_record_of_no_use(run: Path, content: str) -> None:
    (run / "evaluation.json").write_text(content)
    with pytest.raises(ValueError) as error:
        read_record(run)
    assert suggested(str(error.value)) == [["stic-fast", "evaluate", str(run)]]


def test_what_a_run_folder_says_itself(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as error:
        RunFolder.create(run, "stic", {})
    assert f"continue it with --resume {shlex.quote(str(run))}, or" in str(error.value)
    assert f"--resume {shlex.quote(str(run))}:" in RunFolder(run)._resuming()


def test_the_page_names_the_command(run: Path) -> None:
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "has not been evaluated yet" in page and "stic-fast evaluate &#x27;" in page
