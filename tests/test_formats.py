# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What is saved says its format and its version, and one rule reads older forms and refuses newer ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from stic_fast import __version__
from stic_fast.errors import InputError
from stic_fast.formats import Format
from stic_fast.training import RunFolder
from stic_fast.training.run_folder import CONFIG

FILE = Path("runs/a/file.json")
THIRD = Format(
    upgrades=(lambda old: {"error": old["wrong"] / old["all"]}, lambda old: {"accuracy": 1 - old["error"]}),
)


@pytest.mark.parametrize(
    "content",
    [
        {"wrong": 1, "all": 4},
        {"format": 1, "version": "0.0.3", "wrong": 1, "all": 4},
        {"format": 2, "version": "0.0.9", "error": 0.25},
        {"format": 3, "version": "0.1.0", "accuracy": 0.75},
    ],
)
def test_older_forms_are_brought_up_to_date(content: dict[str, Any]) -> None:
    assert THIRD.number == 3 and THIRD.current(content, FILE, "mend it")["accuracy"] == 0.75
    assert THIRD.stamp() == {"format": 3, "version": __version__}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            {"format": 4, "version": "2.1.0"},
            f"runs/a/file.json was written by stic_fast 2.1.0 in form 4, and this is stic_fast {__version__}, which "
            "reads forms up to 3; install that version or a later one",
        ),
        (
            {"format": 4, "version": ["2"]},
            f"runs/a/file.json was written by another stic_fast in form 4, and this is stic_fast {__version__}, which "
            "reads forms up to 3; install that version or a later one",
        ),
        ({"format": "3"}, "runs/a/file.json is damaged (its format is '3' and no number from 1); mend it"),
        ({"format": True}, "runs/a/file.json is damaged (its format is True and no number from 1); mend it"),
        ({"format": 0}, "runs/a/file.json is damaged (its format is 0 and no number from 1); mend it"),
        ({"format": None}, "runs/a/file.json is damaged (its format is None and no number from 1); mend it"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(content: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        THIRD.current(content, FILE, "mend it")
    assert str(caught.value) == told


def test_forms_that_are_no_longer_read() -> None:
    with pytest.raises(InputError, match=r"file\.json is of an older version of stic_fast.*; measure anew$"):
        Format(oldest=2).current({"version": "0.0.1"}, FILE, "measure anew")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder.create(tmp_path / "run", "stic", {"passes": 2}, images="0a")
    run.save_checkpoint(1, None, {"a": torch.ones(2)}, {"iteration": 3})
    return run


def stamp_of(file: Path) -> dict[str, Any]:
    with safe_open(file, framework="pt") as opened:
        stamp: dict[str, Any] = json.loads(opened.metadata()["stic_fast"])
    return stamp


def test_every_file_of_a_run_says_what_wrote_it(run: RunFolder) -> None:
    config = json.loads((run.path / CONFIG).read_text())
    assert config == {"format": 1, "version": __version__, "method": "stic", "settings": {"passes": 2}, "images": "0a"}
    checkpoint = run.newest_checkpoint()
    assert stamp_of(checkpoint.path / "model.safetensors") == {"format": 1, "version": __version__}
    state = torch.load(checkpoint.path / "state.pt", weights_only=True)
    assert state == {"format": 2, "version": __version__, "iteration": 3}


def change_config(run: RunFolder, stamp: dict[str, Any] | None) -> None:
    plain = json.loads((run.path / CONFIG).read_text())
    plain = {name: value for name, value in plain.items() if name not in ("format", "version")}
    (run.path / CONFIG).write_text(json.dumps({**(stamp or {}), **plain}))


def change_weights(run: RunFolder, stamp: dict[str, Any] | None) -> None:
    file = run.newest_checkpoint().path / "model.safetensors"
    save_file(load_file(file), file, None if stamp is None else {"stic_fast": json.dumps(stamp)})


def change_state(run: RunFolder, stamp: dict[str, Any] | None) -> None:
    torch.save({**(stamp or {}), "iteration": 3}, run.newest_checkpoint().path / "state.pt")


PARTS: list[tuple[Callable[[RunFolder, dict[str, Any] | None], None], Callable[[RunFolder], Any]]] = [
    (change_config, lambda run: (run.read_config(), run.images())),
    (change_weights, lambda run: run.newest_checkpoint().load_weights()["a"].tolist()),
    (change_state, lambda run: run.newest_checkpoint().load_state()["iteration"]),
]


@pytest.mark.parametrize(("change", "read"), PARTS)
def test_each_file_of_a_run_is_read_by_the_rule(
    run: RunFolder, change: Callable[[RunFolder, dict[str, Any] | None], None], read: Callable[[RunFolder], Any]
) -> None:
    before = read(run)
    for sums in run.path.rglob("SHA256SUMS"):
        sums.unlink()
    for stamp in (None, {}, {"format": 1}, {"format": 1, "version": "0.0.1"}):
        change(run, stamp)
        assert read(run) == before
    change(run, {"format": 3, "version": "9.0.0"})
    with pytest.raises(InputError, match=r"was written by stic_fast 9\.0\.0 in form 3.*; install that version") as told:
        read(run)
    assert "damaged" not in str(told.value)
    change(run, {"format": "1"})
    with pytest.raises(InputError, match=r"is damaged \(its format is '1' and no number"):
        read(run)


def test_metadata_of_other_writers_says_nothing(run: RunFolder) -> None:
    file = run.newest_checkpoint().path / "model.safetensors"
    (file.parent / "SHA256SUMS").unlink()
    save_file(load_file(file), file, {"format": "pt"})
    assert run.newest_checkpoint().load_weights()["a"].tolist() == [1, 1]
    save_file(load_file(file), file, {"stic_fast": "[" * 9})
    with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
        run.newest_checkpoint().load_weights()


def test_pretrained_runs_say_it_too(pretrained_place: Path) -> None:
    for path in pretrained_place.iterdir():
        assert json.loads((path / CONFIG).read_text())["format"] == 1
        assert stamp_of(path / "model.safetensors") == {"format": 1, "version": __version__}


def test_weights_of_a_newer_package_are_told(own_place: Path, tmp_path: Path) -> None:
    from stic_fast.training.checkpoint import Checkpoint

    copied = Path(shutil.copytree(own_place / "plain", tmp_path / "copied"))
    file = copied / "model.safetensors"
    (copied / "SHA256SUMS").unlink()
    save_file(load_file(file), file, {"stic_fast": json.dumps({"format": 2, "version": "1.0"})})
    with pytest.raises(InputError, match=r"written by stic_fast 1\.0 in form 2"):
        Checkpoint(copied, 1, None).load_weights()
