# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast info`, `python -m stic_fast`, and what is shown while work is going on."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import stic_fast
from stic_fast.cli import info
from stic_fast.cli.main import main
from stic_fast.cli.progress import RichProgress
from stic_fast.native import kernels


def test_info_tells_how_it_was_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    build = kernels.build_info()
    told = dict(line.split("  ", 1) for line in printed.splitlines())
    assert told["stic-fast"].strip() == stic_fast.__version__
    assert told["torch"].strip() == torch.__version__
    assert told["compiler"].strip() == build["compiler"]
    assert told["instruction sets"].strip() == f"{', '.join(build['isa_found'])} found; {build['isa']} chosen"
    assert build["cuda_reason"] in told["CUDA part"]
    assert "cpu" in told["devices"]
    if build["openmp"]:
        assert str(torch.get_num_threads()) in told["OpenMP"]


def test_info_with_and_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    build = kernels.build_info()
    for toolkit, reason, told in (
        (None, "no CUDA compiler was found", "not compiled: no CUDA compiler was found"),
        (12090, "nvcc 12.9.41", "compiled with CUDA 12.9: nvcc 12.9.41"),
    ):
        changed = {**build, "cuda_toolkit": toolkit, "cuda_reason": reason, "openmp": False, "openmp_reason": "lost"}
        monkeypatch.setattr(info, "kernels", SimpleNamespace(build_info=lambda changed=changed: changed))
        assert info.facts()["CUDA part"] == told
        assert info.facts()["OpenMP"] == "no, 1 thread: lost"


def test_info_lists_the_openmp_runtimes_that_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert info.facts()["OpenMP runtimes"] != "none"  # PyTorch's own
    loaded: list[dict[str, str]] = [{"user_api": "blas", "filepath": "/libs/libopenblas.so"}]
    monkeypatch.setattr(info, "threadpool_info", lambda: loaded)
    for path, told in (
        (None, "none"),
        ("/torch/libgomp.so.1", "/torch/libgomp.so.1"),
        ("/libs/libomp.so", "/torch/libgomp.so.1; /libs/libomp.so (2, whose threads compete for the cores)"),
    ):
        if path is not None:
            loaded.append({"user_api": "openmp", "filepath": path})
        assert info.facts()["OpenMP runtimes"] == told


def test_python_m_stic_fast_prints_info(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "stic_fast"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert process.returncode == 0
    assert process.stderr == ""
    assert process.stdout.splitlines()[0].split() == ["stic-fast", stic_fast.__version__]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def work(progress: RichProgress) -> None:
    with progress.task("drawing", 3) as advance:
        for _ in range(3):
            advance()
    progress.say("drawn")


def test_bars_with_time_left_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    work(RichProgress())
    shown = terminal.getvalue()
    assert "drawing" in shown and "3/3" in shown and "left" in shown
    assert capsys.readouterr().out == "drawn\n"


def test_quiet_without_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as many build machines set it
    work(RichProgress())
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out == "drawn\n"
