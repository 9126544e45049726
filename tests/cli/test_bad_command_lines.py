# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""200 command lines that cannot be used: each ends with code 2 and one sentence, and leaves nothing behind."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from stic_fast.cli.main import main
from stic_fast.cli.terminal import LONGEST
from stic_fast.evaluation import judges
from stic_fast.training import Engine, ImageSampler

COUNT = 200


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    path = Path(__file__).with_name("bad_command_lines.py")
    found = importlib.util.spec_from_file_location("bad_command_lines", path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def place(generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    generator.places(folder)
    return folder


def content(folder: Path) -> dict[str, bytes | None]:
    """Every file under a folder with its bytes, and every folder."""
    found = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in found}


def check_told(argv: list[str], out: str, err: str) -> None:
    assert out == "", argv
    assert err.startswith("stic-fast: ") and err.endswith("\n") and err.count("\n") == 1, (argv, err)
    assert err[:-1].isprintable(), (argv, err)
    assert "Traceback" not in err and len(err) < LONGEST + 30, (argv, err)


@pytest.mark.parametrize("seed", [0])
def test_bad_command_lines(
    seed: int,
    generator: ModuleType,
    place: Path,
    own_run: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kind, name in ((Engine, "train"), (ImageSampler, "_draw"), (judges, "train_judge")):
        monkeypatch.setattr(kind, name, lambda *_, **__: pytest.fail("work was begun"))
    lines = generator.command_lines(str(own_run), COUNT, seed)
    assert len(lines) == len(set(map(tuple, lines))) == COUNT
    before, run_before = content(place), content(own_run)
    capsys.readouterr()
    for argv in lines:
        code = main(argv)
        captured = capsys.readouterr()
        assert code == 2, (argv, captured)
        check_told(argv, captured.out, captured.err)
    assert content(place) == before and content(own_run) == run_before


def test_some_in_processes_of_their_own(generator: ModuleType, place: Path, own_run: Path) -> None:
    lines = [line for line in generator.command_lines(str(own_run), COUNT, 1) if sum(map(len, line)) < 10_000][:4]
    before = content(place)
    for argv in lines:
        done = subprocess.run([sys.executable, "-m", "stic_fast", *argv], capture_output=True, cwd=place, check=False)
        assert done.returncode == 2, (argv, done)
        check_told(argv, done.stdout.decode(), done.stderr.decode())
    assert content(place) == before
