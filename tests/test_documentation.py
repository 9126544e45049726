# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The examples of README.md and of every public docstring run and show what they claim."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import stic_fast
from stic_fast import api
from stic_fast.evaluation import judges
from stic_fast.training.methods import _METHODS

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


ROOT = Path(__file__).parent.parent
MARKDOWN = (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")))
PAGES = ("README.md", "docs/method.md", "docs/performance.md", "docs/runs.md", "docs/textures.md")
"""Those with examples in Python; a page of them that this list lacks fails."""


def examples_of(page: str) -> str:
    """A page's blocks of Python one after the other, each line where it stands on the page."""
    lines, language = [], None
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        fence = line.startswith("```")
        lines.append(line if language == "python" and not fence else "")
        language = line[3:] if fence and language is None else None if fence else language
    return "\n".join(lines)


@pytest.fixture
def run_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Callable[[str], dict[str, Any]]:
    """Runs a page's examples in an empty folder, with less training than they ask for, and returns their names."""
    little = {"passes": 1, "iterations": 2, "batch_size": 4, "sampler.steps": 2}
    pool = {"pool": {"chains": 4, "sampler.steps": 1}}

    def train(method: str, **settings: Any) -> stic_fast.Run:
        return api.train(method, **{**settings, **little, **(pool if method == "stic" else {})})

    def runs(page: str) -> dict[str, Any]:
        script = tmp_path / "page.py"
        script.write_text(examples_of(page), encoding="utf-8")
        return runpy.run_path(str(script))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stic_fast, "train", train)
    monkeypatch.setattr(_METHODS, "registered", dict(_METHODS.registered))
    monkeypatch.setattr(judges, "_LOADERS", dict(judges._LOADERS))
    torch.manual_seed(0)
    return runs


def test_every_page_with_examples_is_run() -> None:
    pages = (path.relative_to(ROOT).as_posix() for path in MARKDOWN)
    assert tuple(page for page in pages if examples_of(page).strip()) == PAGES


def anchors(path: Path) -> set[str]:
    """What a link can name in a page: its headings, in small letters, with hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", MARKDOWN, ids=[path.name for path in MARKDOWN])
def test_links_lead_somewhere(path: Path) -> None:
    for place, anchor in re.findall(r"\]\((?!http)([^)#\s]*)#?([^)\s]*)\)", path.read_text(encoding="utf-8")):
        target = path.parent / place if place else path
        if target.suffix in (".png", ".webp") and (ROOT / "PKG-INFO").exists():
            continue  # a source distribution has no pictures
        assert target.exists(), place
        assert not anchor or anchor in anchors(target), f"{place}#{anchor}"


def test_readme_examples(run_examples: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    names = run_examples("README.md")
    assert {path.name for path in tmp_path.glob("*.png")} == {"digits.png", "counterfactual.png"}
    assert names["images"].shape == (16, 1, 8, 8)
    assert names["drawn"].shape == (5, 1, 8, 8) and len(names["trace"]) == 5
    assert names["features"].grad.norm() > 0


@pytest.mark.parametrize("page", PAGES[1:])
def test_examples_of_a_page(page: str, run_examples: Callable[[str], dict[str, Any]]) -> None:
    """They say themselves, by assert, what they show."""
    run_examples(page)
