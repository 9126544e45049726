# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A run folder holds whole files or none, says what is damaged, and never runs what it reads."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.training import RunFolder

WEIGHTS = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(4)}
STATE = {"iteration": 3, "pool": {"states": torch.tensor([1, 2], dtype=torch.uint8)}, "name": None}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", "stic", {"passes": 2})


def files(run: RunFolder) -> set[str]:
    return {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_create_and_read_back(run: RunFolder) -> None:
    assert RunFolder(run.path).read_config() == ("stic", {"passes": 2})
    assert files(run) == {"config.json", "SHA256SUMS", ".lock"}


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    RunFolder.create(tmp_path / "run", "stic", {})
    RunFolder.create(tmp_path / "new" / "deep", "stic", {})
    assert (tmp_path / "new" / "deep" / "config.json").exists()


def test_create_refuses_what_is_there(run: RunFolder, tmp_path: Path) -> None:
    before = (run.path / "config.json").read_bytes()
    with pytest.raises(InputError, match=r"holds a run already.*--resume"):
        RunFolder.create(run.path, "stic", {"passes": 3})
    assert (run.path / "config.json").read_bytes() == before
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    for occupied in ("photos", "photos/cat.png"):
        with pytest.raises(InputError, match="holds other files; give a new folder"):
            RunFolder.create(tmp_path / occupied, "stic", {})
    with pytest.raises(InputError, match=r"cat.png/run cannot be written \(.*Not a directory"):
        RunFolder.create(tmp_path / "photos" / "cat.png" / "run", "stic", {})


def test_configurations_that_cannot_be_read(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist; give the folder of a run"):
        RunFolder(tmp_path / "nowhere").read_config()
    with pytest.raises(InputError, match=r"is not a run: config\.json is missing"):
        RunFolder(tmp_path).read_config()
    deep = '{"method": ' + "[" * 100_000
    for listed in (True, False):
        for damaged in ('{"method": "stic"', "[1, 2]", "{}", '{"method": "stic", "settings": 3}', "\x00\x00", deep):
            (run.path / "config.json").write_text(damaged)
            with pytest.raises(InputError, match=r"config\.json is damaged") as told:
                run.read_config()
            assert ("its SHA-256 is not the one" in str(told.value)) == listed
        (run.path / "SHA256SUMS").unlink(missing_ok=True)
    (run.path / "config.json").write_bytes(b'{"method": "\xff"}')
    with pytest.raises(InputError, match=r"config\.json is damaged .*can't decode byte 0xff"):
        run.read_config()
    (run.path / "config.json").unlink()
    (run.path / "config.json").mkdir()
    with pytest.raises(InputError, match=r"config\.json is damaged .it is no file"):
        run.read_config()


def test_a_meant_change_of_the_configuration_is_let_be(run: RunFolder) -> None:
    file = run.path / "config.json"
    file.write_text(file.read_text().replace("2", "3"))
    with pytest.raises(InputError, match=r"config.json is damaged.*SHA256SUMS"):
        run.read_config()
    sums = run.path / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "config.json" not in line))
    assert run.read_config() == ("stic", {"passes": 3})


def test_a_checkpoint_comes_back(run: RunFolder) -> None:
    weights = {**WEIGHTS, "a": WEIGHTS["a"].T}  # not contiguous
    saved = run.save_checkpoint(1, None, weights, STATE)
    assert saved == run.newest_checkpoint() and saved.path.name == "pass_001"
    assert {name for name in files(run) if name.startswith("checkpoints")} == {
        f"checkpoints/pass_001/{name}" for name in ("model.safetensors", "state.pt", "SHA256SUMS")
    }
    loaded = saved.load_weights()
    assert loaded.keys() == weights.keys() and all(torch.equal(loaded[name], weights[name]) for name in weights)
    state = saved.load_state()
    assert state["iteration"] == 3 and state["name"] is None
    assert torch.equal(state["pool"]["states"], STATE["pool"]["states"])  # type: ignore[index]


def test_checkpoints_come_in_the_order_of_training(run: RunFolder) -> None:
    for pass_number, iteration in ((2, None), (1, 10), (10, 9), (1, None), (2, 12), (0, None), (1, 9)):
        name = f"pass_{pass_number:03d}" + ("" if iteration is None else f"_iteration_{iteration:06d}")
        (run.path / "checkpoints" / name).mkdir(parents=True)
    for stray in ("pass_011.old", ".pass_012.partial", "notes"):
        (run.path / "checkpoints" / stray).mkdir()
    order = [(c.pass_number, c.iteration) for c in run.checkpoints()]
    assert order == [(0, None), (1, 9), (1, 10), (1, None), (2, 12), (2, None), (10, 9)]
    assert run.newest_checkpoint().iteration == 9


def test_no_checkpoint_yet(run: RunFolder) -> None:
    assert run.checkpoints() == []
    with pytest.raises(InputError, match="has no checkpoint yet; train it first"):
        run.newest_checkpoint()


def test_what_is_kept(run: RunFolder) -> None:
    def kept() -> dict[str, str]:
        return {
            path.name: "+".join(sorted(file.name[0] for file in path.iterdir() if file.name != "SHA256SUMS"))
            for path in sorted((run.path / "checkpoints").iterdir())
        }

    run.save_checkpoint(0, None, WEIGHTS, STATE)
    run.save_checkpoint(1, 2, WEIGHTS, STATE)
    assert kept() == {"pass_000": "m+s", "pass_001_iteration_000002": "m+s"}
    run.save_checkpoint(1, 4, WEIGHTS, STATE)
    assert kept() == {"pass_000": "m", "pass_001_iteration_000002": "m+s", "pass_001_iteration_000004": "m+s"}
    run.save_checkpoint(1, None, WEIGHTS, STATE)
    assert kept() == {"pass_000": "m", "pass_001": "m+s", "pass_001_iteration_000004": "m+s"}
    run.save_checkpoint(2, 8, WEIGHTS, STATE)
    assert kept() == {"pass_000": "m", "pass_001": "m+s", "pass_002_iteration_000008": "m+s"}
    run.save_checkpoint(2, None, WEIGHTS, STATE)
    run.save_checkpoint(3, None, WEIGHTS, STATE)
    assert kept() == {"pass_000": "m", "pass_001": "m", "pass_002": "m+s", "pass_003": "m+s"}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("os.fsync", OSError(errno.EIO, "Input/output error")),
        ("os.replace", OSError(errno.ENOSPC, "No space left on device")),
        ("pathlib.Path.open", OSError(errno.ENOSPC, "No space left on device")),
        ("pathlib.Path.rename", OSError(errno.EACCES, "Permission denied")),
    ],
)
def test_a_full_disk_leaves_the_checkpoint_before(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception
) -> None:
    run.save_checkpoint(1, None, WEIGHTS, STATE)
    before = files(run)

    def refuse(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(name, refuse)
        with pytest.raises(InputError) as caught:
            run.save_checkpoint(2, None, {"a": torch.zeros(9)}, STATE)
    message = str(caught.value)
    assert f"{run.path}/checkpoints/pass_002 cannot be written ({str(error).splitlines()[0]})" in message
    assert f"free the disk or mend permissions, then continue with --resume {run.path}" in message
    assert "\n" not in message and files(run) == before
    assert {path.name for path in (run.path / "checkpoints").iterdir()} == {"pass_001"}
    assert torch.equal(run.newest_checkpoint().load_weights()["a"], WEIGHTS["a"])
    assert run.newest_checkpoint().load_state()["iteration"] == 3
    run.save_checkpoint(2, None, WEIGHTS, STATE)  # the disk has room again
    assert run.newest_checkpoint().pass_number == 2


def test_weights_may_be_read_by_whom_the_state_may(run: RunFolder) -> None:
    path = run.save_checkpoint(1, None, WEIGHTS, STATE).path
    assert (path / "model.safetensors").stat().st_mode == (path / "state.pt").stat().st_mode


def test_what_a_killed_save_left_behind_does_not_matter(run: RunFolder) -> None:
    partial = run.path / "checkpoints" / ".pass_001.partial"
    partial.mkdir(parents=True)
    (partial / "model.safetensors").write_bytes(b"half")
    (partial / "rubbish").touch()
    assert run.checkpoints() == []
    run.save_checkpoint(1, None, WEIGHTS, STATE)
    assert not partial.exists() and len(files(run)) == 6


def test_a_file_is_replaced_whole_or_not_at_all(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    run.write_json("numbers.json", {"a": 1})
    for name in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full_disk)
            with pytest.raises(InputError, match=r"numbers\.json cannot be written.*No space"):
                run.write_json("numbers.json", {"a": 2})
        assert json.loads((run.path / "numbers.json").read_text()) == {"a": 1}
        assert files(run) == {"config.json", "numbers.json", "SHA256SUMS", ".lock"}


def test_the_folder_of_a_picture_is_made(run: RunFolder) -> None:
    assert run.picture("samples", "pass_001.png") == run.path / "samples" / "pass_001.png"
    assert (run.path / "samples").is_dir()
    with pytest.raises(InputError, match="cannot be written"):
        run.picture("config.json", "pass_001.png")


@pytest.mark.parametrize("name", ["model.safetensors", "state.pt"])
def test_damaged_files_are_told_with_the_folder_to_move(run: RunFolder, name: str) -> None:
    run.save_checkpoint(1, None, WEIGHTS, STATE)
    checkpoint = run.save_checkpoint(2, None, WEIGHTS, STATE)
    load = checkpoint.load_weights if name == "model.safetensors" else checkpoint.load_state
    file = checkpoint.path / name
    whole, sums = file.read_bytes(), checkpoint.path / "SHA256SUMS"
    list_of_digests = sums.read_text()
    flipped = bytearray(whole)
    flipped[-20 if name == "model.safetensors" else len(whole) // 2] ^= 1
    for damaged in (whole[: len(whole) // 2], b"", whole[:7], b"\x00" * len(whole), whole + b"\n", bytes(flipped)):
        for listed in (True, False):
            if not listed and damaged[:7] == whole[:7] and len(damaged) >= len(whole):
                continue  # a run of an older version: what can be read is taken
            sums.write_text(list_of_digests if listed else "")
            file.write_bytes(damaged)
            with pytest.raises(InputError) as caught:
                load()
            message = str(caught.value)
            assert message.startswith(f"{file} is damaged (") and "\n" not in message
            assert f"; move the folder {checkpoint.path} away to go on from the checkpoint before it" in message
            assert ("SHA-256" in message) == listed
    file.unlink()
    file.mkdir()
    with pytest.raises(InputError, match=f"{name} is damaged.*no file"):
        load()
    file.rmdir()
    with pytest.raises(InputError, match=f"{name} is missing; move the folder .*pass_002 away"):
        load()
    shutil.move(checkpoint.path, checkpoint.path.with_name("pass_002.damaged"))
    assert run.newest_checkpoint().pass_number == 1
    assert run.newest_checkpoint().load_state()["iteration"] == 3


class Evil:
    """Unpickled, it would create a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_code_in_a_state_is_not_run(run: RunFolder, tmp_path: Path, how: str) -> None:
    checkpoint, marker = run.save_checkpoint(1, None, WEIGHTS, STATE), tmp_path / "pwned"
    file = checkpoint.path / "state.pt"
    if how == "torch":
        torch.save({"iteration": Evil(marker)}, file)
    else:
        file.write_bytes(pickle.dumps({"iteration": Evil(marker)}))
    for listed in (True, False):
        with pytest.raises(InputError, match=r"state\.pt is damaged"):
            checkpoint.load_state()
        if listed:
            (checkpoint.path / "SHA256SUMS").unlink()
    assert not marker.exists()
    pickle.loads(pickle.dumps(Evil(marker)))
    assert marker.exists(), "the attack must work where it is let"


def test_a_state_saved_on_another_device_is_read_to_the_cpu(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = run.save_checkpoint(1, None, WEIGHTS, STATE)
    asked: dict[str, Any] = {}
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: asked.update(k) or load(*a, **k))
    checkpoint.load_state()
    assert asked == {"map_location": "cpu", "weights_only": True}
