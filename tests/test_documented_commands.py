# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Every command that README.md, docs/, the other Markdown files, docstrings and usage comments show can be given.

None is run; each is read by the parser of the program it calls, so a renamed option, a moved file or a program that is
no more is noticed. A line in a block of commands that calls something else fails: it would escape.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import io
import itertools
import re
import shlex
import subprocess
import sys
import sysconfig
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from stic_fast.cli.main import parse
from stic_fast.errors import InputError
from stic_fast.training import METHODS

ROOT = Path(__file__).parent.parent
MARKDOWN = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), ROOT / "benchmarks/README.md"]
MARKDOWN.append(ROOT / "tests/cpp/README.md")
PYTHON = sorted(path for folder in ("stic_fast", "benchmarks", "tools") for path in ROOT.glob(f"{folder}/**/*.py"))
PLAIN = [ROOT / "tools/gpu_check.sh", ROOT / "constraints.txt"]

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.M | re.S)
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:stic-fast|pytest|python3?|pip|tools/\S+)(?: .*)?")
"""What inline code must look like to be one."""
PLACEHOLDERS = {"METHOD": list(METHODS), "NAME": ["evolution", "calibration"], "S": ["0"]}
REST = (
    [],
    ["RUN"],
    ["RUN", "--from", "0", "--to", "1"],
    ["RUN", "IMAGE", "--to", "1"],
    ["stic"],
    ["evolution", "RUN"],
    ["RUN", "--reference", "digits"],
)
"""With one of these a command that is only mentioned, such as `stic-fast sample`, is whole."""


def blocks(text: str) -> Iterator[str]:
    """Commands of fenced and indented blocks, one a line; `\\` at the end of a line goes on."""
    fenced = [body for language, body in FENCE.findall(text) if language in ("", "sh")]
    indented = re.findall(r"(?:^ {4}\S.*\n)+", FENCE.sub("", text.replace("\\\n", " ")), re.M)
    for body in (*fenced, *indented):
        for line in body.replace("\\\n", " ").splitlines():
            for command in line.split(" #")[0].split("&&"):
                if command.strip() and not command.strip().startswith("#"):
                    yield command.strip()


def inline(text: str) -> Iterator[str]:
    """Commands in backticks."""
    for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", FENCE.sub("", text)):
        code = " ".join(code.split())
        if COMMAND.fullmatch(code) and "{" not in code:
            yield code


def options(text: str) -> Iterator[str]:
    """Options that stand alone in backticks."""
    yield from re.findall(r"(?<!`)`(--[a-z][\w.-]*)[^`]*`(?!`)", text)


def prose(path: Path) -> str:
    """The docstrings and comments of a Python file."""
    source = path.read_text(encoding="utf-8")
    texts = [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join([*texts, *(token.string for token in tokens if token.type == tokenize.COMMENT)])


def usage(path: Path) -> Iterator[str]:
    """Commands of a comment: in backticks, or on a line of their own with what they do beside them."""
    comments = "\n".join(line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#"))
    yield from inline(comments)
    yield from re.findall(r"^(tools/.*?)(?:  .*)?$", comments, re.M)


def documented() -> list[tuple[str, str, bool]]:
    """Where it stands, the command, and whether it is only mentioned, so that arguments may be missing."""
    found = []
    for path in MARKDOWN:
        text, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
        found += [(name, command, False) for command in blocks(text)]
        found += [(name, command, True) for command in inline(text)]
    for path in PYTHON:
        found += [(str(path.relative_to(ROOT)), command, True) for command in inline(prose(path))]
    for path in PLAIN:
        found += [(str(path.relative_to(ROOT)), command, True) for command in usage(path)]
    return list(dict.fromkeys(found))


def check(command: str, *, mentioned: bool) -> None:
    """Raises AssertionError where the command cannot be given."""
    words = shlex.split(command)
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    program, *arguments = words
    if program in ("python", "python3") and arguments[:2] == ["-m", "stic_fast"]:
        program, arguments = "stic-fast", arguments[2:] or ["info"]
    if program == "stic-fast" and (arguments or not mentioned):
        check_stic_fast(arguments, mentioned)
    elif program == "stic-fast":
        pass  # the program's name
    elif program == "pytest":
        check_pytest(arguments)
    elif program in ("python", "python3"):
        check_python(arguments, mentioned)
    elif program == "pip":
        check_pip(arguments)
    elif program.startswith("tools/") and program.endswith(".sh"):
        check_script(program, arguments)
    elif program.startswith("tools/") and mentioned:
        assert (ROOT / program).exists(), f"there is no {program}"
    elif program in ("c++", "nvcc"):
        check_compiler(arguments)
    elif program.startswith("./"):
        assert (ROOT / "tests/cpp" / f"{program[2:]}.cpp").exists(), f"no program of tests/cpp is called {program[2:]}"
    else:
        pytest.fail(f"nothing here can tell whether {program!r} would run; teach this test, or take the command out")


def check_stic_fast(arguments: list[str], mentioned: bool) -> None:
    """By stic-fast's own parser, which reads no file."""
    for words in itertools.product(*(PLACEHOLDERS.get(word) or word.split("|") for word in arguments)):
        refusals = []
        for rest in REST if mentioned else REST[:1]:
            try:
                parse([*words, *rest])
                break
            except InputError as error:
                refusals.append(str(error))
        else:
            pytest.fail(refusals[0])


def check_pytest(arguments: list[str]) -> None:
    """Options by pytest's own list of them in this checkout, places by their being there."""
    waiting = False
    for argument in arguments:
        option, equals, _ = argument.partition("=")
        if argument.startswith("-"):
            known = pytest_options("benchmarks" if "benchmarks" in arguments else "tests")
            assert option in known, f"pytest has no option {option} there"
            waiting = not equals and known[option]
        elif waiting:
            waiting = False
        else:
            assert (ROOT / argument.split("::")[0]).exists(), f"there is no {argument}"


@cache
def pytest_options(folder: str) -> dict[str, bool]:
    """The options that pytest has in a folder of this checkout, and whether a value follows."""
    program = [str(Path(sysconfig.get_path("scripts")) / "pytest"), folder, "--help", "-p", "no:cacheprovider"]
    text = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout
    lines = re.findall(r"^  (-.+?)(?:  .*)?$", text, re.M)
    return {
        option: bool(value)
        for line in lines
        for option, value in re.findall(r"(?<![\w-])(--?[a-zA-Z][\w-]*)([= ][^-, ]\S*)?", line)
    }


class Parsed(Exception):
    """The arguments were accepted; nothing is to be run."""


def check_python(arguments: list[str], mentioned: bool) -> None:
    """By the argparse parser of the module or file; one without a parser takes no arguments."""
    if arguments[0] == "-m":
        _, name, *rest = arguments
        module = importlib.import_module(name)
        assert f"python -m {name}" in (module.__doc__ or "") + Path(str(module.__file__)).read_text()
    else:
        name, *rest = arguments
        assert (ROOT / name).exists(), f"there is no {name}"
        assert not rest, f"{name} takes no arguments"
        return
    rest = [word for word in rest if word != "..."]
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        read = argparse.ArgumentParser.parse_args

        def parsed(self: argparse.ArgumentParser, *given: object) -> None:
            read(self, *given)
            raise Parsed

        patch.setattr(argparse.ArgumentParser, "parse_args", parsed)
        patch.setattr(sys, "stderr", printed)
        try:
            module.main(rest)
        except Parsed:
            return
        except SystemExit:
            missing = "the following arguments are required" in printed.getvalue()
    assert missing and mentioned, printed.getvalue()


def check_pip(arguments: list[str]) -> None:
    """What is to be installed is this package, its extras are there, and so is the file of constraints."""
    assert arguments[0] == "install"
    waiting = False
    for argument in arguments[1:]:
        if waiting:
            assert (ROOT / argument).exists(), f"there is no {argument}"
        elif argument != "-c":
            name, _, extras = argument.rstrip("]").partition("[")
            assert name == ".", f'no index has {name}; install from the checkout: ".[{extras}]"'
            listed = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.M)
            assert set(filter(None, extras.split(","))) <= set(listed), f"there is no extra {extras}"
        waiting = argument == "-c"


def check_script(program: str, arguments: list[str]) -> None:
    """A script of tools/ has a --plan, which runs nothing."""
    finished = subprocess.run([ROOT / program, *arguments, "--plan"], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr


def check_compiler(arguments: list[str]) -> None:
    """Sources and folders of headers are there."""
    sources = [word for word in arguments if word.endswith(".cpp")]
    headers = [word for before, word in itertools.pairwise(arguments) if before == "-I"]
    assert sources and all(list(ROOT.glob(word)) for word in (*sources, *headers)), arguments


DOCUMENTED = documented()


@pytest.mark.parametrize(("place", "command", "mentioned"), DOCUMENTED, ids=[f"{p}: {c}" for p, c, _ in DOCUMENTED])
def test_documented_command(place: str, command: str, mentioned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])  # last: its stic_fast may have no native module
    check(command, mentioned=mentioned)


def test_all_kinds_of_places_are_read() -> None:
    places = {place for place, _, _ in DOCUMENTED}
    assert places >= {"README.md", "docs/results.md", "docs/studies.md", "benchmarks/README.md", "tests/cpp/README.md"}
    assert places >= {"stic_fast/cli/train.py", "benchmarks/report.py", "tools/gpu_check.sh", "constraints.txt"}
    commands = [command for place, command, _ in DOCUMENTED if place == "README.md"]
    assert "stic-fast sample runs/fashion --labels 0,1,2 --n 300 --out shoes.npz" in commands
    assert "pip install -c constraints.txt ." in commands and "stic-fast demo" in commands


def test_options_that_are_named_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Of benchmarks/README.md in the suites or the report; of the others in some command of stic-fast."""
    ours = set()
    commands = (
        "sample",
        "interpolate",
        "counterfactual",
        "evaluate",
        "score",
        "study boundaries",
        "compare",
        "texture",
        "stylize",
        *(f"train {m}" for m in METHODS),
    )
    for command in commands:
        with pytest.raises(SystemExit):
            parse([*command.split(), "--help"])
        ours |= set(re.findall(r"--[a-z][\w.-]*", capsys.readouterr().out))
    programs = {"--filter", "--list", "--first", "--runs", "--seconds", "--sums"}  # of the native programs
    assert all(f'"{option}"' in (ROOT / "tests/cpp/suite.h").read_text() for option in programs)
    report = set(re.findall(r'"(--[a-z]+)"', (ROOT / "benchmarks/report.py").read_text()))
    script = set(re.findall(r"^ +(--[a-z]+)[ )]", (ROOT / "tools/gpu_check.sh").read_text(), re.M))
    for path in MARKDOWN:
        known = ours | script
        if path.parent.name == "benchmarks":
            known = {*pytest_options("benchmarks"), *report} | script
        if path.parent.name == "cpp":
            known = programs
        unknown = set(options(path.read_text(encoding="utf-8"))) - known
        assert not unknown, f"{path.relative_to(ROOT)} names {', '.join(unknown)}"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("stic-fast sample RUN --lables 0", "--lables"),
        ("stic-fast trian stic", "trian"),
        ("pytest benchmarks --divice cuda", "no option --divice"),
        ("pytest tests/nowhere", "there is no tests/nowhere"),
        ("python -m benchmarks.report a.json --machine NAME --outt x", "--outt"),
        ("python tools/nothing.py", "there is no tools/nothing.py"),
        ("pip install .[tests]", "there is no extra tests"),
        ("pip install stic_fast[attacks]", 'no index has stic_fast; install from the checkout: ".[attacks]"'),
        ("tools/gpu_check.sh --frist", "no option '--frist'"),
        ("c++ -I tests/cpp tests/cpp/no_cases.cpp", "no_cases"),
        ("make everything", "nothing here can tell whether 'make' would run"),
    ],
)
def test_what_is_stale_is_told(command: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])  # last: its stic_fast may have no native module
    with pytest.raises((AssertionError, pytest.fail.Exception), match=re.escape(told)):
        check(command, mentioned=False)
