# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A state.pt that is well formed and yet not the run's: whatever it holds instead, resuming says so in a sentence."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from stic_fast.data import Splits
from stic_fast.errors import InputError
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.training import Jem, JemConfig, Progress, RunConfig, RunFolder, SticConfig, build_network, resume, train


class Stop(Progress):
    """Ctrl-C at the end of the second pass, before it is saved."""

    def say(self, message: str) -> None:
        if message.startswith("pass 2"):
            raise KeyboardInterrupt


def stopped(config: RunConfig, path: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        train(config, path, progress=Stop())
    return path


@pytest.fixture(scope="module")
def stic_run(tmp_path_factory: pytest.TempPathFactory, tiny: SticConfig) -> Path:
    """A run of STIC with a pool and the classifier that refreshes it, stopped within its second pass."""
    config = dataclasses.replace(tiny, pool=dataclasses.replace(tiny.pool, refresh=2))
    return stopped(config, tmp_path_factory.mktemp("stopped") / "run")


def put(path: list[Any], value: Any) -> Callable[[Any], Any]:
    """Sets what lies at a path of keys within a state; the sentinel `GONE` removes it."""

    def change(state: Any) -> Any:
        inner = state
        for key in path[:-1]:
            inner = inner[key]
        if value is GONE:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value(inner[path[-1]]) if callable(value) else value
        return state

    return change


GONE = object()
POOL, ADAM = ["method", "pool"], ["optimiser", "model"]
WRONG: list[tuple[Callable[[Any], Any], str]] = [
    (lambda state: [state], "list"),
    (lambda state: torch.zeros(3), "Tensor"),
    (lambda state: None, "NoneType"),
    (lambda state: {}, "'iteration'"),
    *(
        (put(["iteration"], value), "iteration must be 10")
        for value in (10**9, -1, 9, 10.0, True, "10", None, torch.tensor(10), [10], 10**40)
    ),
    *((put(["rollbacks"], value), "rollbacks must be from 0 to 5") for value in (-1, 6, "0", None, 1.0)),
    *((put([key], GONE), f"'{key}'") for key in ("iteration", "rollbacks", "optimiser", "method")),
    (put(["optimiser"], None), "optimisers"),
    (put(["optimiser"], {}), "optimisers.* nothing"),
    (put(ADAM, {}), "optimiser must hold.* nothing"),
    (put([*ADAM, "state"], []), "optimiser must hold"),
    (put([*ADAM, "param_groups"], {}), "optimiser must have 1 group"),
    (put([*ADAM, "param_groups"], lambda groups: groups * 2), "optimiser must have 1 group"),
    (put([*ADAM, "param_groups", 0], 3), "optimiser must have the parameters"),
    (
        put([*ADAM, "param_groups", 0, "params"], [0, 1]),
        "optimiser must have the parameters",
    ),
    (put([*ADAM, "state", 99], {}), "optimiser.* 99"),
    (put([*ADAM, "state", "x"], {}), "optimiser.* 'x'"),
    (put([*ADAM, "state", 0], None), "optimiser.state.0 must hold"),
    (
        put([*ADAM, "state", 0, "exp_avg"], GONE),
        "optimiser.state.0 must hold",
    ),
    (
        put([*ADAM, "state", 0, "exp_avg"], lambda x: x[:1]),
        "optimiser.state.0.exp_avg must be",
    ),
    (put([*ADAM, "state", 0, "exp_avg_sq"], lambda x: x.double()), "optimiser.state.0.exp_avg_sq must be"),
    (
        put([*ADAM, "state", 0, "step"], lambda x: x.expand(2)),
        "optimiser.state.0.step must be",
    ),
    (put([*ADAM, "state", 0, "step"], 3), "optimiser.state.0.step must be"),
    (put(["method"], None), "NoneType"),
    (put(["method"], []), "list"),
    (put(["method", "checksum"], GONE), "'checksum'"),
    (put(POOL, GONE), "'pool'"),
    (put(POOL, [1]), "pool must hold states"),
    (put([*POOL, "states"], GONE), "pool must hold states"),
    (put([*POOL, "states"], lambda x: x.float()), "pool.states must be.* float32"),
    (put([*POOL, "states"], lambda x: x[0]), "pool.states must be"),
    (put([*POOL, "second"], lambda x: x[:1]), "pool.second must be"),
    (put([*POOL, "first"], lambda x: x + 10**6), "pool.first must be from 0"),
    (put([*POOL, "second"], lambda x: x - 10**6), "pool.second must be from 0"),
    (put([*POOL, "clock"], lambda x: x - 99), "pool.clock must be from 0"),
    (put([*POOL, "clock"], lambda x: torch.cat([x, x])), "pool.clock must be"),
    (put([*POOL, "split"], lambda x: x[:1]), "pool.split must be"),
    (put(["method", "previous"], {}), "previous must hold"),
    (put(["method", "previous"], lambda x: {**x, "stem.weight": x["stem.weight"][:2]}), "previous.stem.weight must be"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_state_that_is_not_the_runs_is_told(stic_run: Path, tmp_path: Path, number: int) -> None:
    change, words = WRONG[number]
    own = Path(shutil.copytree(stic_run, tmp_path / "run"))
    checkpoint = RunFolder(own).newest_checkpoint()
    assert checkpoint.path.name == "pass_002_iteration_000010"
    torch.save(change(checkpoint.load_state()), checkpoint.path / "state.pt")
    (checkpoint.path / "SHA256SUMS").unlink()
    metrics = (own / "metrics.jsonl").read_bytes()
    with pytest.raises(InputError, match=rf"state\.pt is damaged \(.*{words}") as caught:
        resume(own)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
    assert (own / "metrics.jsonl").read_bytes() == metrics


def test_the_state_of_another_checkpoint_is_told(stic_run: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(stic_run, tmp_path / "run"))
    *_, older, newest = RunFolder(own).checkpoints()
    for name in ("state.pt", "SHA256SUMS", "model.safetensors"):
        shutil.copy(older.path / name, newest.path / name)
    with pytest.raises(InputError, match=r"state\.pt is damaged.*iteration must be 10"):
        resume(own)


def test_weights_of_another_type_are_told(stic_run: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(stic_run, tmp_path / "run"))
    file = RunFolder(own).newest_checkpoint().path / "model.safetensors"
    save_file({name: weight.half() for name, weight in load_file(file).items()}, file)
    file.with_name("SHA256SUMS").unlink()
    with pytest.raises(InputError, match=r"another model: blocks.*float16.*float32"):
        resume(own)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite_are_told(stic_run: Path, tmp_path: Path, value: float) -> None:
    own = Path(shutil.copytree(stic_run, tmp_path / "run"))
    file = RunFolder(own).newest_checkpoint().path / "model.safetensors"
    weights = load_file(file)
    weights["head.bias"][3] = value
    save_file(weights, file)
    file.with_name("SHA256SUMS").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors is damaged.*not finite"):
        resume(own)


def test_a_state_of_a_replay_buffer_is_checked_alike(tiny_jem: JemConfig, tmp_path: Path) -> None:
    own = stopped(tiny_jem, tmp_path / "run")
    checkpoint = RunFolder(own).newest_checkpoint()
    state = checkpoint.load_state()
    state["method"]["pool"]["weight"] = state["method"]["pool"]["weight"].double()
    torch.save(state, checkpoint.path / "state.pt")
    (checkpoint.path / "SHA256SUMS").unlink()
    with pytest.raises(InputError, match=r"state\.pt is damaged.*pool\.weight"):
        resume(own)


def test_a_buffer_that_was_kept_as_bytes_goes_on_as_floats(tiny_jem: JemConfig, splits: Splits) -> None:
    """Runs of earlier versions rounded the chains of energy-based methods."""
    method = Jem(build_network(tiny_jem, splits), splits, tiny_jem)
    method.negatives(0)
    state = method.state_dict()
    state["pool"]["states"] = to_bytes(state["pool"]["states"])
    method.load_state_dict(state)
    assert method.pool is not None and torch.equal(method.pool.states, to_unit(state["pool"]["states"]))
