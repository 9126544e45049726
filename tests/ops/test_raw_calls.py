# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""No call of an op, however wrong its arguments, leaves its tensors: raw_calls.py in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import stic_fast  # noqa: F401, registers the ops

PROGRAM = Path(__file__).with_name("raw_calls.py")
PROCESSES, CALLS = 4, 300
OPS = torch.ops.stic_fast


@pytest.mark.skipif(sys.platform == "win32", reason="guard pages need mprotect")
def test_random_raw_calls_are_refused_or_right() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    commands = [
        [sys.executable, "-W", "ignore", "-X", "faulthandler", str(PROGRAM), str(seed), str(CALLS)]
        for seed in range(PROCESSES)
    ]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        for command in commands
    ]
    for process in running:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        outcomes = eval(said.splitlines()[-1])
        assert outcomes["refused"] > CALLS / 4 and outcomes["right"] > CALLS / 4


X = torch.zeros(2, 3)
IDS = torch.arange(2)
EPS = torch.full((3, 2), 0.1, dtype=torch.float64)
STEP = (None, None, 0.5, 0.25, 0.1, -1.0, 1.0, 0, 0)


ROWS, LAYER = X[None], torch.zeros(2, 2, 3)
SQUARES = torch.zeros(1, 2, 2)


@pytest.mark.parametrize(
    ("call", "error", "named"),
    [
        (lambda: OPS.grmala_step(X, X[:1], None, None, *STEP), ValueError, "grad_logp"),
        (lambda: OPS.grmala_step(X, X, X.double(), None, *STEP), TypeError, "grad_gram"),
        (lambda: OPS.grmala_step(X, X, None, IDS.int(), *STEP), TypeError, "chain_ids"),
        (lambda: OPS.grmala_step(X, X, None, IDS[:0], *STEP), ValueError, "chain_ids"),
        (lambda: OPS.grmala_step(X, X, None, None, IDS[:0], *STEP[1:]), ValueError, "step"),
        (lambda: OPS.grmala_step(X, X, None, None, None, EPS[:2], *STEP[2:]), ValueError, "eps"),
        (lambda: OPS.grmala_step(X, X, None, None, None, EPS.float(), *STEP[2:]), TypeError, "eps"),
        (lambda: OPS.grmala_step(X, None, None, None, *STEP), TypeError, "grad_logp"),
        (lambda: OPS.grmala_step(X, X.to("meta"), None, None, *STEP), ValueError, "grad_logp"),
        (lambda: OPS.normal(IDS, None, [-1], 0, 0, 0, torch.float32), ValueError, "the sample's shape"),
        (lambda: OPS.normal(IDS[None], None, [3], 0, 0, 0, torch.float32), ValueError, "chain_ids"),
        (lambda: OPS.normal(IDS, None, [3], 0, 0, -1, torch.float32), ValueError, "stream"),
        (lambda: OPS.uniform(IDS, None, [2**20, 2**20], 0, 0, 0, torch.float32), ValueError, "shape"),
        (lambda: OPS.scaled_silu(X, IDS, 1.0), TypeError, "scale"),
        (lambda: OPS.scaled_silu(X, X[:1], 1.0), ValueError, "scale"),
        (lambda: OPS.scaled_silu_backward(X[:1], X, None, 1.0), ValueError, "grad"),
        (lambda: OPS.scaled_silu_backward(X, X[0], None, 1.0), ValueError, "x"),
        (lambda: OPS.gram_loss([ROWS], [ROWS, ROWS], [False], [False], "log", True, True), ValueError, "targets"),
        (lambda: OPS.gram_loss([ROWS], [SQUARES], [True], [True], "log", True, True), ValueError, "layer 0"),
        (lambda: OPS.gram_loss_gradient(X[0, :1], X[:1, :1], X[:1, :0], [ROWS], [None]), ValueError, "products"),
        (
            lambda: OPS.gram_loss_gradient(X[0, :1], X[:2, :1], X[:1], [ROWS, LAYER], [None, None]),
            ValueError,
            r"features\[1\]",
        ),
    ],
)
def test_a_raw_call_names_the_argument(call, error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=rf"^{named}\W"):
        call()


def test_a_tensor_without_memory_is_refused() -> None:
    freed = torch.zeros(2, 3)
    freed.untyped_storage().resize_(0)
    with pytest.raises(ValueError, match="no memory"):
        OPS.grmala_step(X, freed, None, None, *STEP)


@pytest.mark.parametrize("place", ["grad_logp", "grad_gram", "eps", "step_tensor", "chain_ids"])
def test_in_place_refuses_what_shares_a_part_of_its_memory(place: str) -> None:
    """As torch's own in-place operations do, whose message is the RuntimeError of `whole[1:].add_(whole[:-1])`."""
    whole = torch.zeros(13, dtype=torch.float64)
    x = whole[1:].view(4, 3)
    arguments: dict[str, torch.Tensor | None] = {
        "grad_logp": torch.zeros_like(x),
        "grad_gram": torch.zeros_like(x),
        "chain_ids": None,
        "step_tensor": None,
        "eps": None,
    }
    arguments[place] = {
        "grad_logp": whole[:-1].view(4, 3),
        "grad_gram": whole[:-1].view(4, 3),
        "eps": whole[1:].view(3, 4),
        "step_tensor": whole[3:4].view(torch.int64),
        "chain_ids": whole[4:8].view(torch.int64),
    }[place]
    with pytest.raises(RuntimeError, match=r"^x .*memory"):
        OPS.grmala_step_(x, *arguments.values(), *STEP[2:])
    assert not whole.any()


def test_in_place_refuses_an_expanded_state_as_torch_does() -> None:
    x = torch.zeros(1, 3).expand(2, 3)
    with pytest.raises(RuntimeError, match="single memory location"):
        OPS.grmala_step_(x, X, None, None, *STEP)


def test_in_place_takes_its_own_state_as_a_gradient() -> None:
    x = torch.full((2, 3), 0.25)
    OPS.grmala_step_(x, x, x, None, None, None, 0.5, 0.25, 0.0, -1.0, 1.0, 0, 0)
    assert torch.equal(x, torch.full((2, 3), 0.25 * 1.25))
