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
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import make_dataclass
from typing import Annotated, Any, Protocol, TextIO

import tyro

from stic_fast.cli.compare import Compare
from stic_fast.cli.counterfactual import Counterfactual
from stic_fast.cli.demo import Demo
from stic_fast.cli.evaluate import Evaluate
from stic_fast.cli.info import Info
from stic_fast.cli.interpolate import Interpolate
from stic_fast.cli.report import Report
from stic_fast.cli.sample import Sample
from stic_fast.cli.score import Score
from stic_fast.cli.study import study_commands
from stic_fast.cli.terminal import one_sentence, say
from stic_fast.cli.texture import Stylize, Texture
from stic_fast.cli.train import train_commands
from stic_fast.cli.usage import usage_errors_in_a_sentence
from stic_fast.entry import STOPPED
from stic_fast.errors import InputError, InputWarning

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
        with _warnings_in_a_sentence():
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
    preset, _ = _ahead("preset", arguments)
    commands = _commands(preset)
    with usage_errors_in_a_sentence():
        command: Command = tyro.cli(commands, prog="stic-fast", description=DESCRIPTION, args=arguments)
    resume, rest = _ahead("resume", arguments)
    others = [word.partition("=")[0] for word in rest if word.startswith("--")]
    if resume is not None and others:
        raise InputError(f"--resume continues a run as it was configured; leave out {others[0]}, or begin a new run")
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


def _commands(preset: str | None) -> Any:
    """The type of all subcommands; the preset's settings are the defaults of `train METHOD`."""
    commands: tuple[tuple[str, Any, str | None], ...] = (  # name, kind, and what it does where the kind cannot say it
        ("demo", Demo, None),
        ("train", train_commands(preset), "Train a classifier that draws."),
        ("sample", Sample, None),
        ("interpolate", Interpolate, None),
        ("counterfactual", Counterfactual, None),
        ("texture", Texture, None),
        ("stylize", Stylize, None),
        ("evaluate", Evaluate, None),
        ("score", Score, None),
        ("study", study_commands(), "Ask a trained run one question."),
        ("report", Report, None),
        ("compare", Compare, None),
        ("info", Info, None),
    )
    kinds = [Annotated[kind, tyro.conf.subcommand(name, description=does)] for name, kind, does in commands]
    return functools.reduce(operator.or_, kinds)


def _ahead(option: str, arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The value of one option, wherever it stands, and the arguments without it.

    tyro needs to know the defaults of all options before it reads any, which --preset decides; and once it has read
    them it does not tell those that were given from those that were not, which --resume asks. So each is read alone.

    >>> _ahead("preset", ["train", "stic", "--preset", "fashion", "--passes=3"])
    ('fashion', ['train', 'stic', '--passes=3'])
    """
    alone = make_dataclass("Alone", [(option, str | None, None)])
    try:
        with usage_errors_in_a_sentence():
            read: tuple[Any, list[str]] = tyro.cli(alone, args=arguments, add_help=False, return_unknown_args=True)
    except InputError:  # which the parser of all options puts better
        return None, list(arguments)
    return getattr(read[0], option), read[1]


@contextmanager
def _warnings_in_a_sentence() -> Iterator[None]:
    """Around everything: an InputWarning is told as an error is, and the work goes on."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def tell(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
            if issubclass(category, InputWarning):
                _say(str(message), 0)
            else:
                show(message, category, *where, **options)

        warnings.showwarning = tell
        yield


def _say(sentence: str, code: int) -> int:
    try:
        say(f"stic-fast: {one_sentence(sentence)}", to=sys.stderr)
    except OSError:  # nobody reads it; the code still tells
        _silence(sys.stderr)
    return code


def _silence(stream: TextIO) -> None:
    """Sends what is still to be written nowhere, so that the end of the process does not try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
