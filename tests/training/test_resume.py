# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Killed and starved runs, in processes of their own, reach bit by bit what an undisturbed run reaches."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.training import RunFolder, open_run, resume

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork and signals")

KILLED = {
    # Where each death leaves the run: the newest checkpoint, and how many records may stand in metrics.jsonl.
    "at-once": ("pass_000", 0),
    "within-pass-1": ("pass_001_iteration_000004", 4),
    "saving-within-pass-1": ("pass_001_iteration_000002", 4),
    "samples-between-passes": ("pass_001_iteration_000004", 4),
    "saving-between-passes": ("pass_001_iteration_000004", 7),
    "drawing-the-pool": ("pass_001", 7),
    "within-pass-2": ("pass_002_iteration_000008", 11),
    "from-outside": ("pass_001", 7),
}
KILLED_OF_ANY_METHOD = {
    # The same of methods that draw no chains as a pass begins.
    "within-pass-1": ("pass_001_iteration_000004", 4),
    "saving-within-pass-1": ("pass_001_iteration_000002", 4),
    "saving-between-passes": ("pass_001_iteration_000004", 7),
    "within-pass-2": ("pass_002_iteration_000008", 9),
}
STARVED = {
    "no-room-for-metrics": ("metrics.jsonl cannot be written", "pass_001_iteration_000002"),
    "no-room-for-samples": ("samples/pass_001.png cannot be written", "pass_001_iteration_000004"),
    "no-room-for-weights": ("checkpoints/pass_001 cannot be written", "pass_001_iteration_000004"),
    "no-room-for-state": ("checkpoints/pass_001 cannot be written", "pass_001_iteration_000004"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs of STIC are."""
    return tmp_path_factory.mktemp("killed_runs") / "stic"


@pytest.fixture(scope="module")
def deaths(deaths_of: dict[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Those of STIC."""
    return deaths_of["stic"]


@pytest.fixture(scope="module")
def deaths_of(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """What killed_runs.py tells of each run, by method and name."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    program = Path(__file__).with_name("killed_runs.py")
    done = subprocess.run(
        [sys.executable, str(program), str(folder.parent)],
        env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, dict[str, dict[str, Any]]] = {}
    for line in map(json.loads, done.stdout.splitlines()):
        told.setdefault(line.pop("method"), {})[line["name"]] = line
    return told


def records(path: Path) -> list[dict[str, Any]]:
    read = RunFolder(path).read_metrics()
    for record in read:
        record.pop("seconds", None)
    return read


def assert_equal(ours: Any, theirs: Any) -> None:
    """Bit by bit, through whatever torch.save can hold of a run."""
    assert type(ours) is type(theirs)
    if isinstance(ours, Tensor):
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert_equal(ours[key], theirs[key])
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_equal(mine, other)
    else:
        assert ours == theirs


def assert_same_run(path: Path, whole: Path) -> None:
    def files(run: Path) -> set[str]:
        return {str(file.relative_to(run)) for file in run.rglob("*") if file.is_file()}

    assert files(path) == files(whole)
    for name in sorted(files(whole)):
        if name.endswith((".safetensors", ".png", "config.json")):
            assert (path / name).read_bytes() == (whole / name).read_bytes(), name
        elif name.endswith("state.pt"):
            assert_equal(*(torch.load(run / name, weights_only=True) for run in (path, whole)))
    assert records(path) == records(whole)


def test_the_undisturbed_run(deaths: dict[str, dict[str, Any]], folder: Path) -> None:
    assert deaths["whole"] == {"name": "whole", "exit": 0, "said": ""}
    kinds = [(r["pass"], r["iteration"], r["kind"]) for r in records(folder / "whole")]
    assert kinds == [
        *[(1, iteration, "train") for iteration in range(1, 7)],
        (1, 6, "evaluation"),
        *[(2, 6, "chain")] * 2,
        *[(2, iteration, "train") for iteration in range(7, 13)],
        (2, 12, "evaluation"),
    ]
    first, last = (RunFolder(folder / "whole").checkpoints()[place].load_weights() for place in (0, -1))
    assert all(not torch.equal(first[name], last[name]) for name in first)


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_run_resumes_to_the_same_bits(deaths: dict[str, dict[str, Any]], folder: Path, name: str) -> None:
    newest, count = KILLED[name]
    assert deaths[name]["exit"] == -signal.SIGKILL
    dead = RunFolder(folder / f"{name}.dead")
    assert dead.newest_checkpoint().path.name == newest
    assert len(dead.read_metrics()) == count
    assert (deaths[name]["resumed"], deaths[name]["resume_said"]) == (0, "")
    assert_same_run(folder / name, folder / "whole")


@pytest.mark.parametrize("method", ["score-stic", "score-stic-one-level", "jem", "gmmc"])
def test_killed_runs_of_other_methods_resume_to_the_same_bits(
    deaths_of: dict[str, dict[str, dict[str, Any]]], folder: Path, method: str
) -> None:
    """Replay buffers, and of GMMC the running γ² and a buffer that is made on the way, among them."""
    deaths, folder = dict(deaths_of[method]), folder.with_name(method)
    assert deaths.pop("whole") == {"name": "whole", "exit": 0, "said": ""}
    assert deaths.keys() == KILLED_OF_ANY_METHOD.keys()
    states = [checkpoint.load_state() for checkpoint in RunFolder(folder / "whole").checkpoints()[-2:]]
    if method.startswith("score-stic"):
        assert not all(torch.equal(*(state["weights"][name] for state in states)) for name in states[0]["weights"])
    else:
        assert not torch.equal(*(state["method"]["pool"]["states"] for state in states))
    for name, (newest, count) in KILLED_OF_ANY_METHOD.items():
        dead = RunFolder(folder / f"{name}.dead")
        assert deaths[name]["exit"] == -signal.SIGKILL and dead.newest_checkpoint().path.name == newest
        assert len(dead.read_metrics()) == count
        assert (deaths[name]["resumed"], deaths[name]["resume_said"]) == (0, "")
        assert_same_run(folder / name, folder / "whole")
    if method == "gmmc":
        before = RunFolder(folder / "saving-within-pass-1.dead").newest_checkpoint()
        assert before.load_state()["method"]["pool"] is None, "its chains had begun after that"


@pytest.mark.parametrize("name", STARVED)
def test_a_run_without_room_says_so_and_resumes(deaths: dict[str, dict[str, Any]], folder: Path, name: str) -> None:
    what, newest = STARVED[name]
    assert deaths[name]["exit"] == 2
    assert what in deaths[name]["said"] and "; free the disk or mend permissions" in deaths[name]["said"]
    assert "\n" not in deaths[name]["said"]
    dead = RunFolder(folder / f"{name}.dead")
    assert dead.newest_checkpoint().path.name == newest
    assert [path.name for path in dead.path.rglob(".*")] == [".lock"], "nothing half written stays"
    dead.newest_checkpoint().load_weights()
    dead.newest_checkpoint().load_state()
    assert deaths[name]["resumed"] == 0
    assert_same_run(folder / name, folder / "whole")


@pytest.mark.parametrize("file", ["model.safetensors", "state.pt"])
def test_a_damaged_checkpoint_moved_away_costs_no_bit(
    deaths: dict[str, dict[str, Any]], folder: Path, tmp_path: Path, file: str
) -> None:
    shutil.copytree(folder / "whole", tmp_path / "run")
    newest = RunFolder(tmp_path / "run").newest_checkpoint().path
    whole = (newest / file).read_bytes()
    (newest / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=rf"{file} is damaged.*{newest}"):
        resume(tmp_path / "run")
    shutil.move(newest, tmp_path / "damaged")
    resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", folder / "whole")


def test_a_finished_run_opens_and_resumes_at_once(deaths: dict[str, dict[str, Any]], folder: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in (folder / "whole" / "checkpoints").rglob("*")}
    weights = RunFolder(folder / "whole").newest_checkpoint().load_weights()
    for run in (open_run(folder / "whole"), resume(folder / "whole")):
        assert run.config.passes == 2 and run.splits.train.num_classes == 10
        assert_equal(
            {name: value.cpu() for name, value in run.model.state_dict().items()}, dict(sorted(weights.items()))
        )
    assert {file: file.stat().st_mtime_ns for file in (folder / "whole" / "checkpoints").rglob("*")} == before
