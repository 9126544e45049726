# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Imports point downward only, those within functions too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import stic_fast

PACKAGE = Path(stic_fast.__file__).parent
MODELS = {"foundations", "ops"}
EVALUATION = {*MODELS, "models", "data"}
SAMPLING = {*MODELS, "models"}
TRAINING = {*SAMPLING, "sampling", *EVALUATION, "evaluation", "plots"}
BENEATH = {
    "foundations": set[str](),
    "ops": {"foundations"},
    "models": MODELS,
    "sampling": SAMPLING,
    "data": {"foundations"},
    "plots": {"foundations"},
    "evaluation": EVALUATION,
    "training": TRAINING,
    "textures": SAMPLING,
    "studies": {*TRAINING, "training"},
    "api": {*TRAINING, "training", "studies", "textures"},
    "cli": {*TRAINING, "training", "studies", "api"},
}
"""The layers that each may import. Foundations are the modules beside the folders: errors, counts, files, …"""
OF_OPS = {"counts": {"ops.checks"}, "noise_addresses": {"ops.noise"}}
"""What foundations take of the ops: bounds of their arguments, and the streams of their noise."""
BEGINNINGS = {"__init__", "__main__", "entry"}
"""Where programs begin, by way of names that are looked up when they are used."""


def imported(file: Path) -> Iterator[str]:
    """The modules of the package that a file imports, wherever in it, without the package's name."""
    for node in ast.walk(ast.parse(file.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} has a relative import; write the module in full"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "stic_fast" else [module]
        yield from (name.removeprefix("stic_fast.") for name in names if name.startswith("stic_fast."))


def layer_of(module: str) -> str:
    first = module.partition(".")[0]
    return first if first in BENEATH else "foundations"


def upward(module: str, file: Path) -> list[str]:
    """The imports of a module that its layer does not allow."""
    own = layer_of(module)
    allowed, also = {own, *BENEATH[own]}, OF_OPS.get(module, set())
    return [f"{module} imports {name}" for name in imported(file) if layer_of(name) not in allowed and name not in also]


def test_imports_point_downward() -> None:
    files = {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")}
    assert {layer_of(module) for module in files} == set(BENEATH)
    assert [each for module, file in files.items() if module not in BEGINNINGS for each in upward(module, file)] == []


def test_an_upward_import_is_seen_within_a_function_too(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("def late():\n    from stic_fast.cli import main\n    import stic_fast.ops.noise\n")
    assert upward("api.module", file) == ["api.module imports cli"]
    assert upward("errors", file) == ["errors imports cli", "errors imports ops.noise"]
