# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The examples of README.md and of every public docstring run and show what they claim."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import stic_fast

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(stic_fast.__path__, "stic_fast.")
    if not module.name.endswith(("__main__", "_native"))
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"torch": torch}, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_readme_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less training than they ask for."""
    monkeypatch.chdir(tmp_path)
    little: dict[str, Any] = {
        "passes": 1,
        "iterations": 2,
        "sampler.steps": 2,
        "pool": {"chains": 4, "sampler.steps": 1},
    }
    monkeypatch.setattr(stic_fast, "train", partial(stic_fast.train, batch_size=4, **little))
    readme = Path(__file__).parent.parent / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    assert len(blocks) >= 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(readme), "exec"), names)
    assert (tmp_path / "digits.png").exists()
    drawn = names["drawn"]
    assert isinstance(drawn, torch.Tensor) and drawn.shape == (5, 1, 8, 8)
