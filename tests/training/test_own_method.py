# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A method defined outside the package is trained, sampled, evaluated and reported like any of the package's."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from stic_fast.cli.main import main
from stic_fast.errors import InputError, InputWarning
from stic_fast.plots import training_figure
from stic_fast.training import METHODS, ImageSampler, Jem, Method, Progress, Softmax, open_run, register_method, train
from stic_fast.training.methods import _METHODS, GROUP

SOURCE = Path(__file__).with_name("own_method.py")
TINY = ["--passes=1", "--iterations=3", "--batch-size=4", "--sampler.steps=2", "--log-every=1"]


@pytest.fixture(autouse=True)
def _none_registered_for_good(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.setattr(_METHODS, "registered", dict(_METHODS.registered))
    monkeypatch.setattr(_METHODS, "_looked", False)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the search path that holds the module smooth_method, of a package without entry points."""
    folder = tmp_path / "packages"
    folder.mkdir()
    shutil.copyfile(SOURCE, folder / "smooth_method.py")
    monkeypatch.syspath_prepend(folder)
    yield folder
    for module in ("smooth_method", "torn_method"):
        sys.modules.pop(module, None)


@pytest.fixture
def own(package: Path) -> ModuleType:
    return importlib.import_module("smooth_method")


def install(folder: Path, package: str, **points: str) -> None:
    """Gives a package entry points, as its installation does."""
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {value}\n" for name, value in points.items()]
    (about / "entry_points.txt").write_text(f"[{GROUP}]\n{''.join(lines)}")
    importlib.invalidate_caches()


def test_it_takes_few_lines() -> None:
    assert len(SOURCE.read_text().splitlines()) <= 40


def test_from_python(own: ModuleType, tmp_path: Path) -> None:
    assert "smooth" not in METHODS
    assert register_method(own.Smooth) is own.Smooth is METHODS["smooth"]
    assert register_method(own.Smooth) is own.Smooth, "a second time changes nothing"
    preset = own.Smooth.presets["digits"]
    config = dataclasses.replace(preset, passes=1, iterations=2, batch_size=4, log_every=1, smoothing=0.5)
    train(config, tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert run.config == config and run.method is own.Smooth
    assert json.loads((tmp_path / "run" / "config.json").read_text())["method"] == "smooth"
    drawn = ImageSampler(run, seed=0, steps=2).of_classes(torch.arange(3), Progress())
    assert drawn.shape == (3, 1, 8, 8) and len(drawn.unique()) > 1
    loss, accuracy = training_figure(run.folder.read_metrics(), run.method.curves).axes
    assert {line.get_label() for line in loss.lines} >= {"total", "smoothed away"}
    assert accuracy.get_title(loc="left") == "Accuracy"


def test_from_the_command_line(own: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register_method(own.Smooth)
    assert main(["train", "--help"]) == 0
    assert "Train a classifier on smoothed labels." in capsys.readouterr().out
    assert main(["train", "smooth", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--smoothing FLOAT Share of each label that is spread over all classes. (default: 0.2)" in shown
    run = tmp_path / "run"
    for argv, sentence in (
        (["train", "smooth", "--smoothing=2"], "smoothing must be from 0 to 1, got 2.0"),
        (["train", "smooth", "--preset=fashion"], "Expected one of ('digits',)"),
        (["train", "smooth", "--resume=r", "--smoothing=0.2"], "leave out --smoothing"),
    ):
        assert main(argv) == 2 and sentence in capsys.readouterr().err
    assert main(["train", "smooth", *TINY, "--smoothing=0.3", "--out", str(run)]) == 0
    assert main(["train", "smooth", "--resume", str(run)]) == 0 and (run / "curves.png").exists()
    assert main(["sample", str(run), "--n=10", "--out", str(tmp_path / "drawn.npz")]) == 0
    evaluate = ["evaluate", str(run), "--n=20", "--judge-iterations=3"]
    assert main([*evaluate, "--metrics=attacks"]) == 2
    assert "attacks" in capsys.readouterr().err
    assert main(evaluate) == 0
    record = json.loads((run / "evaluation.json").read_text())
    assert record["method"] == "smooth" and {"images", "classifier"} <= record.keys()
    assert not {"outliers", "attacks"} & record.keys(), "parts that do not apply to the method"
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "Trained by the method smooth with" in page and "smoothing" in page and "Drawn images" in page


def test_by_an_entry_point(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a process of its own, beside another package that is broken."""
    install(package, "smooth_method", smooth="smooth_method:Smooth")
    install(package, "torn_method", torn="torn_method:Torn")
    run = str(tmp_path / "run")
    commands = [
        ["train", "smooth", *TINY, "--out", run],
        ["sample", run, "--n=10", "--out", str(tmp_path / "drawn.npz")],
        ["evaluate", run, "--n=20", "--judge-iterations=3"],
        ["report", run],
    ]
    program = f"from stic_fast.cli.main import main\nfor argv in {commands!r}: assert main(argv) == 0"
    # Elsewhere than in a checkout, whose package has no native module.
    environment = {**os.environ, "PYTHONPATH": str(package)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, cwd=package, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (told,) = done.stderr.splitlines()
    assert told.startswith("stic-fast: method 'torn' of package torn_method cannot be used (No module named 'torn_m")
    assert (tmp_path / "run" / "report.html").exists() and (tmp_path / "drawn.npz").exists()

    shutil.rmtree(package)  # uninstalled
    importlib.invalidate_caches()
    assert main(["sample", run]) == 2
    told = capsys.readouterr().err
    assert "is a run of method 'smooth'" in told and "install the package" in told and "register_method" in told


def test_packages_are_looked_for_once_and_when_there_is_need(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(package, "smooth_method", smooth="smooth_method:Smooth")
    assert METHODS["stic"].name == "stic" and "smooth_method" not in sys.modules
    assert list(METHODS) == ["stic", "score-stic", "gmmc", "jem", "softmax", "igm", "inn", "icn", "winn", "smooth"]
    assert METHODS["smooth"] is sys.modules["smooth_method"].Smooth
    monkeypatch.setattr("stic_fast.training.methods.entry_points", lambda **_: pytest.fail("looked again"))
    assert len(METHODS) == 10 and "gan" not in METHODS


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raise RuntimeError('no GPU\\nfound')", "RuntimeError|no GPU"),
        ("from own_method_that_is_not_there import Torn", "own_method_that_is_not_there"),
        ("class Other: pass", "Torn"),
        ("Torn = 3", "3 is no method"),
        (SOURCE.read_text().replace('"smooth"', '"stic"').replace("Smooth(", "Torn("), "name 'stic'"),
    ],
)
def test_a_broken_package_is_told_and_leaves_the_others(package: Path, text: str, told: str) -> None:
    (package / "torn_method.py").write_text(text)
    install(package, "a_torn_one", torn="torn_method:Torn")
    install(package, "smooth_method", smooth="smooth_method:Smooth")
    with pytest.warns(InputWarning, match=rf"^method 'torn' of package a_torn_one cannot be used \(.*({told})"):
        assert list(METHODS) == ["stic", "score-stic", "gmmc", "jem", "softmax", "igm", "inn", "icn", "winn", "smooth"]
    assert METHODS["stic"].__module__ == "stic_fast.training.stic"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "stic"}, "name 'stic'"),
        ({"name": "Two words"}, "'Two words'"),
        ({"settings": Softmax.settings, "presets": Softmax.presets}, "SoftmaxConfig"),
        ({"presets": {}}, "presets"),
        ({"presets": Jem.presets}, "presets"),
        ({"evaluation": ("images", "music")}, "'music'"),
    ],
)
def test_what_cannot_be_registered(own: ModuleType, change: dict[str, Any], told: str) -> None:
    before = dict(METHODS)
    with pytest.raises(InputError, match=told):
        register_method(type("Another", (own.Smooth,), change))
    assert dict(METHODS) == before


@pytest.mark.parametrize("attribute", ["name", "summary", "settings", "presets"])
def test_what_a_method_must_say_of_itself(own: ModuleType, attribute: str) -> None:
    said = {name: value for name, value in vars(own.Smooth).items() if name != attribute}
    with pytest.raises(InputError, match=f"lacks the attribute {attribute}"):
        register_method(type("Another", (Method,), said))


def test_a_class_that_is_defined_anew_takes_the_place_of_the_first(own: ModuleType) -> None:
    register_method(own.Smooth)
    again: Callable[..., Any] = importlib.reload
    module = again(own)
    assert register_method(module.Smooth) is METHODS["smooth"] is module.Smooth
