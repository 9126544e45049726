# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The command's first second and its streams: Ctrl-C, closed files and full disks leave no traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from stic_fast import entry

SCRIPT = "import sys; sys.argv[0] = 'bin/stic-fast'; from stic_fast.entry import main; sys.exit(main())"
"""What the installed script does."""
COMMANDS = {"module": ["-m", "stic_fast"], "script": ["-c", SCRIPT]}


def loading(process: subprocess.Popen[bytes], library: str) -> bool:
    """Waits until the process has begun to load a library, or has ended."""
    while process.poll() is None:
        if library in Path(f"/proc/{process.pid}/maps").read_text():
            return True
        time.sleep(0.001)
    return False


@pytest.mark.parametrize(("command", "library"), [("module", "libtorch"), ("script", "numpy"), ("script", "_imaging")])
def test_ctrl_c_within_the_first_second(command: str, library: str, tmp_path: Path) -> None:
    argv = [sys.executable, *COMMANDS[command], "sample", "nowhere"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert loading(process, library)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"stic-fast: stopped\n")


def test_a_program_that_imports_the_package_keeps_its_own_conduct(tmp_path: Path) -> None:
    program = "import stic_fast, signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, capture_output=True, cwd=tmp_path, text=True, check=True)
    assert done.stdout == "True\n"
    with entry.stopping_at_once():
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("info >&-", 0, ""),
        ("sample nowhere <&- >&- 2>&-", 2, ""),
        ("sample nowhere 2>/dev/full", 2, ""),
        ("info >/dev/full", 2, "No space left on device"),
    ],
)
def test_streams_that_cannot_be_written(command: str, code: int, told: str, tmp_path: Path) -> None:
    shell = f"{sys.executable} -m stic_fast {command}"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, cwd=tmp_path, text=True, check=False)
    assert done.returncode == code and done.stdout == ""
    assert told in done.stderr and done.stderr.count("\n") == (1 if told else 0)


def test_the_installed_script_begins_here() -> None:
    script = shutil.which("stic-fast", path=sysconfig.get_path("scripts"))
    assert script is not None
    assert "from stic_fast.entry import main" in Path(script).read_text()
    done = subprocess.run([script, "sample", os.fsdecode(b"no\xffwhere")], capture_output=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith(b"stic-fast: no\\udcffwhere does not exist")
