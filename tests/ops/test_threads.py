# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The threads that kernels run on: kept from call to call, whatever the sizes, and used by several callers at once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stic_fast.ops import gram_loss, grmala_step, noise

# Prints how many threads the process had when every op had run once, and how many more it has had after ten rounds of
# sizes that give work to two, three and eight threads, and to one.
PROGRAM = """
import os, torch
from stic_fast.ops import gram_loss, noise

ids, features = set(), torch.randn(64, 32, 16, 16)


def round_of_sizes():
    for elements in (300_000, 20_000, 40_000, 100, 300_000, 40_000):
        noise.normal((1, elements), seed=0)
        ids.update(os.listdir("/proc/self/task"))
    for chains in (64, 2, 1, 3, 64):
        gram_loss(features[:chains], features[64 - chains :])
        ids.update(os.listdir("/proc/self/task"))


torch.set_num_threads(8)
round_of_sizes()
before = len(ids)
for _ in range(10):
    round_of_sizes()
print(before, len(ids) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted where Linux lists them")
def test_sizes_that_alternate_create_no_threads(
    run_python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = run_python(PROGRAM, tmp_path, OMP_NUM_THREADS="8", OMP_WAIT_POLICY="passive")
    assert done.returncode == 0, done.stderr
    before, created = map(int, done.stdout.split())
    assert before >= 8 and created == 0


def results(seed: int) -> list[Tensor]:
    """Of ops large enough to be shared among threads."""
    x = noise.normal((8, 3, 64, 64), seed=seed)
    stepped = grmala_step(x, -x, eps1=0.1, eps3=0.01, seed=seed, step=1)
    return [x, stepped, gram_loss(stepped.flatten(2), x.flatten(2))]


def test_several_threads_of_python_may_call_at_once() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = [results(seed) for seed in range(4)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(results, [*range(4)] * 8))
    finally:
        torch.set_num_threads(before)
    for number, ours in enumerate(found):
        for got, wanted in zip(ours, expected[number % 4], strict=True):
            assert torch.equal(got, wanted)
