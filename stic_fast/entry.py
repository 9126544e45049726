# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Where the `stic-fast` command begins, before the second that its imports take.

Until they are done Ctrl-C ends the process at once: an exception could surface anywhere in a half-imported library. The
command alone does so; a program that imports the package keeps its own conduct.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

STOPPED = 130
"""128 + SIGINT, the exit code that shells report of a stopped program."""


def main() -> int:
    """Runs the command with the process's own arguments, and returns its exit code."""
    _open_missing_streams()
    with stopping_at_once():
        from stic_fast.cli.main import main as run
        from stic_fast.memory import keep_what_is_freed
    keep_what_is_freed()
    return run()


@contextmanager
def stopping_at_once() -> Iterator[None]:
    """Around imports: Ctrl-C ends the process with code 130 and one line, if it is the command's.

    >>> with stopping_at_once():
    ...     import json
    """
    ours = (
        _is_the_command()
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, _stop)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _stop(*_: object) -> None:
    try:
        os.write(2, b"stic-fast: stopped\n")
    finally:
        os._exit(STOPPED)


def _is_the_command() -> bool:
    """Whether this is `stic-fast`, or `python -m stic_fast`, whose argv[0] is set after the package's import."""
    script = PurePath(sys.argv[0]).stem if sys.argv else ""
    module = next((after for word, after in zip(sys.orig_argv, sys.orig_argv[1:], strict=False) if word == "-m"), "")
    return script == "stic-fast" or module == "stic_fast"


def _open_missing_streams() -> None:
    """Has closed streams lead nowhere, so that no file is opened in their place and written to by mistake."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which this is
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - for as long as the process lives
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
