# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""One command puts a run among those of the package, or says in a sentence why not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stic_fast.training.pretrained import PretrainedFolder


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = Path(__file__).parents[2] / "tools" / "pretrained.py"
    found = importlib.util.spec_from_file_location("pretrained_tool", path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, found.name, module)  # where dataclasses look for what their types name
    found.loader.exec_module(module)
    return module


def test_one_command(
    tool: ModuleType,
    made: dict[str, Any],
    pretrained_made: Path,
    own_place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = [word for name, value in made.items() for word in (f"--{name}", str(value))]
    monkeypatch.setattr(sys, "argv", ["pretrained.py", str(pretrained_made.parent / "plain"), "again", *options])
    assert tool.main() == 0
    assert capsys.readouterr().out == f"{own_place / 'again'}\n"
    about = PretrainedFolder("again").about
    assert about == PretrainedFolder("plain").about and about.seconds == 2.5
    assert tool.main() == 2
    assert capsys.readouterr().err == f"tools/pretrained.py: {own_place / 'again'} exists; remove it first\n"
