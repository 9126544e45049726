# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Runs set side by side have names of their own, and the same images."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stic_fast.data import Splits
from stic_fast.errors import InputError
from stic_fast.studies import other_runs
from stic_fast.studies.other_runs import open_beside
from stic_fast.training import open_run
from stic_fast.training.run_images import RunImages


def test_runs_are_named_by_their_folders(tiny_run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(tiny_run, tmp_path / "baseline"))
    run = open_run(tiny_run)
    found = open_beside(run, [other])
    assert list(found) == ["run", "baseline"]
    assert found["run"] is run and found["baseline"].folder.path == other


def test_folders_of_one_name_are_told_apart_by_their_paths(tiny_run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    assert list(open_beside(open_run(tiny_run), [other])) == [str(tiny_run), str(other)]


def test_what_cannot_be_compared_is_refused(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run(tiny_run)
    with pytest.raises(InputError, match="run stands twice"):
        open_beside(run, [tiny_run / ".." / "run"])
    with pytest.raises(InputError, match="nowhere"):
        open_beside(run, [tmp_path / "nowhere"])
    train = run.splits.train
    renamed = replace(train, class_names=tuple(f"digit {name}" for name in train.class_names))
    monkeypatch.setattr(
        other_runs, "open_run", lambda path, **_: replace(run, images=RunImages.of(Splits(renamed, renamed)))
    )
    with pytest.raises(InputError, match="renamed"):
        open_beside(run, [tmp_path / "renamed"])
