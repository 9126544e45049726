# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A process that forks after its ops have run on several threads, as a server or a data loader does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import os, signal, torch, stic_fast
torch.set_num_threads(2)

def ops():
    noise = stic_fast.noise.normal((64, 3, 64, 64), seed=0)
    stepped = stic_fast.grmala_step(noise, noise, eps1=0.1, eps3=0.01, seed=0, step=0)
    return torch.stack([stepped.double().sum(), stic_fast.gram(noise.view(64, 3, -1)).double().sum()])

before = ops()
child = os.fork()
if child == 0:
    torch.set_num_threads(1)  # of PyTorch's own sums
    os._exit(0 if torch.allclose(ops(), before, rtol=1e-5) else 1)
signal.alarm(60)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs os.fork")
def test_a_forked_child_computes_on_one_thread(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", CHILD]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr
