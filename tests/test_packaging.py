# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What is packed, and what is asked of other packages: each has a floor, a reason for it, and one tested release."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stic_fast import __version__

ROOT = Path(__file__).parents[1]
PRETRAINED = ("SHA256SUMS", "about.json", "config.json", "evaluation.json", "model.safetensors")
BUILD = """
from scikit_build_core.build import build_sdist, build_wheel
build_sdist("dist")
build_wheel("dist", {"wheel.cmake": "false"})
"""


def test_pretrained_runs_are_packed(tmp_path: Path) -> None:
    """By the settings and the ignored files of this checkout; nothing is compiled."""
    for name in ("pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    files = [f"stic_fast/pretrained/digits/{name}" for name in PRETRAINED]
    for name in ("stic_fast/__init__.py", *files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    subprocess.run([sys.executable, "-c", BUILD], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    (wheel,), (source,) = (tmp_path / "dist").glob("*.whl"), (tmp_path / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as packed:
        assert set(files) <= set(packed.namelist())
    with tarfile.open(source) as packed:
        assert set(files) <= {name.partition("/")[2] for name in packed.getnames()}


def test_pictures_and_the_gate_are_not_packed(tmp_path: Path) -> None:
    """Documents without their pictures, and all that a build and the tests need."""
    for name in ("pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    left_out = {".ci/run", "docs/images/a.png", "docs/images/b/c.webp", "docs/benchmarks/d.png"}
    packed = {"docs/a.md", "docs/benchmarks/d.json", "tests/test_a.py", "constraints.txt", "stic_fast/__init__.py"}
    for name in left_out | packed:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    build = "from scikit_build_core.build import build_sdist; build_sdist('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    (source,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(source) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert packed <= names and not left_out & names


def asked() -> list[str]:
    """The requirements of pyproject.toml: of the build, of the package, and of its extras."""
    lines = (ROOT / "pyproject.toml").read_text().partition("[project.scripts]")[0].splitlines()
    return [line for line in lines if re.match(r'  "[\w-]+[<>=]', line)]


PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PINS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if re.match(r"\w", line)]


def pins_of(name: str, python: str) -> list[str]:
    """The releases of a package that constraints.txt allows for a Python."""
    place = {"python_version": python, "python_full_version": f"{python}.1"}
    return [
        str(pin.specifier)
        for pin in PINS
        if canonicalize_name(pin.name) == canonicalize_name(name) and (pin.marker is None or pin.marker.evaluate(place))
    ]


def reached(python: str) -> set[str]:
    """All that the requirements bring in, as far as the packages are installed here to be asked for theirs."""
    waiting = [(Requirement(line.split('"')[1]), "") for line in asked()]
    found: set[tuple[str, str]] = set()
    while waiting:
        need, extra = waiting.pop()
        place = {"python_version": python, "python_full_version": f"{python}.1", "extra": extra}
        if need.marker is not None and not need.marker.evaluate(place):
            continue
        name = canonicalize_name(need.name)
        for wanted in ("", *need.extras):
            if (name, wanted) not in found:
                found.add((name, wanted))
                try:
                    inner = metadata.requires(name) or []
                except metadata.PackageNotFoundError:
                    inner = []
                waiting += [(Requirement(line), wanted) for line in inner]
    return {name for name, _ in found}


def test_every_requirement_has_a_floor_and_its_reason() -> None:
    assert len(asked()) > 20, "one requirement a line"
    for line in asked():
        assert ">=" in line or line == '  "scipy<2", # foolbox imports what SciPy 2 removes', line
        assert re.search(r'", # \w', line), line


@pytest.mark.parametrize("python", PYTHONS)
def test_all_that_can_be_brought_in_has_one_tested_release(python: str) -> None:
    """Of the build too, and of what scikit-build-core asks for where the system has none."""
    for name in sorted(reached(python) | {"cmake", "ninja"}):
        pins = pins_of(name, python)
        assert len(pins) == 1 and pins[0].startswith("=="), f"{name} for Python {python}: {pins or 'no pin'}"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_tested_release_is_one_that_is_asked_for(python: str) -> None:
    for line in asked():
        need = Requirement(line.split('"')[1])
        (pin,) = pins_of(need.name, python)
        assert need.specifier.contains(pin.removeprefix("==")), f"{need} and {pin}"


def test_one_version_stands_everywhere() -> None:
    for file, line in (
        ("pyproject.toml", f'version = "{__version__}"'),
        ("CITATION.cff", f"version: {__version__}"),
        ("README.md", f"  version = {{{__version__}}},"),
        ("CHANGELOG.md", f"## [{__version__}]"),
    ):
        assert line in (ROOT / file).read_text(encoding="utf-8").splitlines(), f"{file} has no line {line}"
