# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Each script of examples/ is short, runs, and shows what it says it shows."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
pytestmark = pytest.mark.usefixtures("one_thread")

Run = Callable[[str], str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them run, so that the second one finds the first one's training."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs an example, and returns what it prints."""

    def runs(name: str) -> str:
        monkeypatch.chdir(folder)
        (path,) = [path for path in EXAMPLES if path.stem == name]
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    return runs


def picture(folder: Path, name: str) -> np.ndarray:
    with Image.open(folder / name) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"[-+]?\d+\.\d+", text)]


def test_they_are_short() -> None:
    assert len(EXAMPLES) == 6
    for path in EXAMPLES:
        assert len(path.read_text().splitlines()) < 40, path.name


def test_own_classifier(run: Run, folder: Path) -> None:
    (accuracy,) = numbers(run("own_classifier").splitlines()[0])
    assert accuracy > 0.9
    assert picture(folder, "own_classifier.png").std() > 30


def test_outliers(run: Run) -> None:
    found = dict(line.split(": ") for line in run("outliers").splitlines())
    for easy in ("uniform noise", "negatives"):
        assert min(numbers(found[easy])) > 0.9
    density, fake = numbers(found["means of two digits"])
    assert density > 0.6 > fake


def test_counterfactual(run: Run, folder: Path) -> None:
    *lines, last = run("counterfactual").splitlines()
    assert len(lines) == 4 and last == "picture: counterfactual.png"
    assert all(line.startswith("called 3 before") and ", 8 after (0.8" in line for line in lines)
    assert picture(folder, "counterfactual.png").std() > 30


def test_foreign_model(run: Run) -> None:
    lines = run("foreign_model").splitlines()
    assert [line.split(":")[0] for line in lines] == ["torch.float64", "torch.float32", "torch.float16"]
    for line in lines:
        accuracy, attacked, score, as_asked = numbers(line)
        assert accuracy > 0.95 and 0.7 < attacked < accuracy and score > 0.9 and as_asked > 0.95


def test_style(run: Run, folder: Path) -> None:
    losses = [numbers(line)[-1] for line in run("style").splitlines()]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0] / 100
    assert picture(folder, "style.png").std() > 30


def test_mala_density(run: Run, folder: Path) -> None:
    acceptance, mean, variance = (numbers(line) for line in run("mala_density").splitlines())
    assert 0.5 < acceptance[0] < 1
    for of_samples, of_density in zip(mean[:2] + variance[:2], mean[2:] + variance[2:], strict=True):
        assert of_samples == pytest.approx(of_density, abs=0.1)
    assert picture(folder, "mala_density.png").std() > 30
