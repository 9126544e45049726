# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study NAME`: a picture, the numbers in it, and one sentence for what cannot be used."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.figure
import pytest
from PIL import Image

from stic_fast import __version__
from stic_fast.api.command_line import command_line
from stic_fast.cli.main import main, parse
from stic_fast.cli.study import StudyCommand, save_figure
from stic_fast.digests import listed
from stic_fast.studies import STUDIES
from stic_fast.studies.diversity import Diversity
from stic_fast.studies.evolution import Evolution
from stic_fast.studies.interpolation import Interpolation
from stic_fast.studies.passes import Passes

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = ["--anchors=2", "--neighbours=2", "--judge-iterations=10", "--radii", "0", "0.5"]
Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that must fail, and returns its one sentence."""

    def run(*arguments: str) -> str:
        assert main(["study", *arguments]) == 2
        said = capsys.readouterr().err
        assert said.startswith("stic-fast: ") and said.count("\n") == 1 and "Traceback" not in said
        return said

    return run


def numbers(file: Path) -> dict[str, Any]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(file.read_text(), parse_constant=refuse)


def test_a_picture_and_its_numbers_are_written(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "evolution", str(own_run), "--classes=2"]) == 0
    told = capsys.readouterr().out
    picture, found = own_run / "studies" / "evolution.png", numbers(own_run / "studies" / "evolution.json")
    assert str(picture) in told and str(picture.with_suffix(".json")) in told
    with Image.open(picture) as shown:
        assert shown.format == "PNG" and 300 < shown.width < 3000
    assert list(found)[:4] == ["command", "version", "seed", "seconds"]
    assert found["command"] == f"stic-fast study evolution {own_run} --classes 2"
    assert found["version"] == __version__ and found["seed"] == 0 and found["seconds"] > 0
    assert [each["pass"] for each in found["passes"]] == [0, 1, 2]
    assert sorted(file.name for file in picture.parent.iterdir()) == ["SHA256SUMS", "evolution.json", "evolution.png"]
    assert list(listed(picture.parent)) == ["evolution.json"]


def test_a_seed_fixes_the_record(own_run: Path, tmp_path: Path) -> None:
    records = []
    for name, seed in (("one", 4), ("two", 4), ("three", 5)):
        out = tmp_path / f"{name}.png"
        assert main(["study", "diversity", str(own_run), *QUICK, f"--seed={seed}", "--out", str(out)]) == 0
        records.append({key: value for key, value in numbers(out.with_suffix(".json")).items() if key != "seconds"})
    assert records[0] == records[1] and records[0]["radii"] != records[2]["radii"]
    assert not (own_run / "studies").exists(), "--out puts everything elsewhere"


def test_a_run_that_is_not_there_is_one_sentence(tmp_path: Path, refused: Refused) -> None:
    for name in STUDIES:
        more = ["--from=0", "--to=1"] if name == "interpolation" else []
        assert f"{tmp_path / 'nowhere'} does not exist" in refused(name, str(tmp_path / "nowhere"), *more)
        assert "is not a run" in refused(name, str(tmp_path), *more)
    assert not list(tmp_path.iterdir()), "nothing is made where there is no run"


def test_bad_options_are_one_sentence(own_run: Path, tmp_path: Path, refused: Refused) -> None:
    assert "let --out end in .png" in refused("evolution", str(own_run), "--out", str(tmp_path / "picture"))
    assert "is a folder" in refused("evolution", str(own_run), "--out", _folder(tmp_path / "folder.png"))
    assert "--passes must be from 2" in refused("evolution", str(own_run), "--passes=1")
    assert "there is no class '12'" in refused("interpolation", str(own_run), "--from=12", "--to=1")
    assert "there is no judge 'oracle'" in refused("passes", str(own_run), "--judge=oracle")
    assert "beauty" in refused("beauty", str(own_run))


def test_a_study_that_is_stopped_leaves_the_older_picture(own_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["study", "evolution", str(own_run), "--classes=1"]) == 0
    before = {file.name: file.read_bytes() for file in (own_run / "studies").iterdir()}

    def stop(self: Evolution, progress: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Evolution, "compute", stop)
    assert main(["study", "evolution", str(own_run), "--classes=2"]) == 130
    assert {file.name: file.read_bytes() for file in (own_run / "studies").iterdir()} == before


def test_every_study_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "--help"]) == 0
    told = capsys.readouterr().out
    for name, kind in STUDIES.items():
        assert name in told and (kind.__doc__ or "").split()[0] in told
        assert main(["study", name, "--help"]) == 0
        assert "--seed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("study", "options"),
    [
        (Evolution(Path("my run")), ""),
        (Passes(Path("my run"), n=9, cls_g=True, steps=0), " --steps 0 --n 9 --cls-g"),
        (Diversity(Path("my run"), label="a b", radii=(0.0, 2.5)), " --label 'a b' --radii 0.0 2.5"),
        (
            Interpolation(Path("my run"), start="3", to="8", baseline=Path("other"), seed=2),
            " --seed 2 --from 3 --to 8 --baseline other",
        ),
    ],
)
def test_the_command_that_is_noted_does_the_same_again(study: Any, options: str) -> None:
    name = next(name for name, kind in STUDIES.items() if kind is type(study))
    line = command_line(["study", name], study)
    assert line == f"stic-fast study {name} 'my run'{options}"
    command = parse(shlex.split(line)[1:])
    assert isinstance(command, StudyCommand) and command.study == study and command.out is None


def test_a_footer_stays_within_the_picture(tmp_path: Path) -> None:
    for width, footer in ((3.0, "word " * 60), (40.0, "short")):
        figure = matplotlib.figure.Figure(figsize=(width, 2.0))
        figure.subplots().plot([0, 1])
        save_figure(figure, tmp_path / "picture.png", footer=footer)
        with Image.open(tmp_path / "picture.png") as shown:
            assert 300 < shown.width < 3000
            assert shown.width < 1.25 * width * 130
        assert figure.texts[0].get_text().replace("\n", " ").split() == footer.split()


def _folder(path: Path) -> str:
    path.mkdir()
    return str(path)


def test_a_study_that_is_refused_leaves_no_folder(own_run: Path, tmp_path: Path, refused: Refused) -> None:
    before = sorted(own_run.rglob("*"))
    for out in ([], [f"--out={tmp_path / 'new' / 'newer' / 'x.png'}"]):
        assert "there is no image source 'nowhere'" in refused("extremes", str(own_run), "--data=nowhere", *out)
    assert sorted(own_run.rglob("*")) == before and not (tmp_path / "new").exists()
