# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The `stic-fast` command: finds the subcommand, runs it, and turns what goes wrong into one sentence and an exit code.

Exit code 0: done; 2: bad input or a file that cannot be read or written; 130: stopped by Ctrl-C.
"""

from __future__ import annotations

import functools
import io
import operator
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, TextIO

import tyro

from stic_fast.cli.compare import Compare
from stic_fast.cli.demo import Demo
from stic_fast.cli.evaluate import Evaluate
from stic_fast.cli.info import Info
from stic_fast.cli.interpolate import Interpolate
from stic_fast.cli.presets import asked_preset
from stic_fast.cli.report import Report
from stic_fast.cli.sample import Sample
from stic_fast.cli.study import study_commands
from stic_fast.cli.terminal import one_sentence, say
from stic_fast.cli.train import train_commands
from stic_fast.cli.usage import usage_errors_in_a_sentence
from stic_fast.entry import STOPPED
from stic_fast.errors import InputError

DESCRIPTION = "Image classifiers that draw: trains them, and has them draw."
BAD_INPUT = 2


class Command(Protocol):
    """A subcommand with its options."""

    def execute(self) -> None:
        """Does the work; raises InputError for what the user can mend."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `stic-fast` with these arguments (the process's own if None) and returns its exit code.

    >>> main(["sample", "nowhere"])  # prints one sentence to stderr
    2
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters shows "?", not a traceback
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(arguments or ["--help"])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe, such as head, has left: no error, and nobody to tell
        _silence(sys.stdout)
        return 0
    except OSError as error:  # what was printed cannot be written, on a full disk for one
        _silence(sys.stdout)
        return _say(f"stdout cannot be written ({error.strerror or error}); free the disk", BAD_INPUT)
    return code


def parse(arguments: Sequence[str]) -> Command:
    """The subcommand that the arguments ask for.

    Raises:
        InputError: they are not of this program's options.
        SystemExit: they asked for help, which has been printed.

    >>> parse(["sample", "runs/mine", "--n", "3"]).n
    3
    """
    with usage_errors_in_a_sentence():
        command: Command = tyro.cli(
            _commands(asked_preset(arguments)), prog="stic-fast", description=DESCRIPTION, args=arguments
        )
    _refuse_settings_beside_resume(arguments)
    return command


def _run(arguments: Sequence[str]) -> int:
    try:
        parse(arguments).execute()
    except SystemExit as stop:  # the parser has printed help
        return int(stop.code or 0)
    except KeyboardInterrupt as stop:
        return _say("; ".join(["stopped", *map(str, stop.args)]), STOPPED)
    except InputError as error:
        return _say(str(error), BAD_INPUT)
    except BrokenPipeError:
        raise
    except OSError as error:
        what, reason = error.filename or "a file", error.strerror or str(error)
        hint = "mend its path or permissions, or free the disk"
        return _say(f"{what} cannot be read or written ({reason}); {hint}", BAD_INPUT)
    return 0


def _commands(preset: str) -> Any:
    """The type of all subcommands; the preset's settings are the defaults of `train METHOD`."""
    commands: tuple[tuple[str, Any, str | None], ...] = (  # name, kind, and what it does where the kind cannot say it
        ("demo", Demo, None),
        ("train", train_commands(preset), "Train a classifier that draws."),
        ("sample", Sample, None),
        ("interpolate", Interpolate, None),
        ("evaluate", Evaluate, None),
        ("study", study_commands(), "Ask a trained run one question."),
        ("report", Report, None),
        ("compare", Compare, None),
        ("info", Info, None),
    )
    kinds = [Annotated[kind, tyro.conf.subcommand(name, description=does)] for name, kind, does in commands]
    return functools.reduce(operator.or_, kinds)


def _refuse_settings_beside_resume(arguments: Sequence[str]) -> None:
    options = [argument.split("=")[0] for argument in arguments if argument.startswith("--")]
    others = [option for option in options if option != "--resume"]
    if "--resume" in options and others:
        raise InputError(f"--resume continues a run as it was configured; leave out {others[0]}, or begin a new run")


def _say(sentence: str, code: int) -> int:
    try:
        say(f"stic-fast: {one_sentence(sentence)}", to=sys.stderr)
    except OSError:  # nobody reads it; the code still tells
        _silence(sys.stderr)
    return code


def _silence(stream: TextIO) -> None:
    """Sends what is still to be written nowhere, so that the end of the process does not try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
