# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Damage at random: whatever happens to a file of a run is told in one sentence, or changes no result.

Each trial damages one file and then reads the run by one command. STIC_FAST_DAMAGES=1000 tries a thousand.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stic_fast.cli.main import main
from stic_fast.plots.page import Page
from stic_fast.training import Progress, RunFolder, resume
from stic_fast.training.runs import open_run

pytestmark = pytest.mark.usefixtures("one_thread")

TRIALS = int(os.environ.get("STIC_FAST_DAMAGES", "60"))
QUICK = ["--n=20", "--judge-iterations=3", "--metrics=images,classifier,outliers"]
UNTIMED = ("seconds", "command", "version")

Damage = Callable[[random.Random, Path, list[Path]], None]


def flip(chance: random.Random, file: Path, files: list[Path]) -> None:
    content = bytearray(file.read_bytes())
    for _ in range(chance.choice((1, 1, 1, 3))):
        if content:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def change_a_digit(chance: random.Random, file: Path, files: list[Path]) -> None:
    """The change that is hardest to see in a text."""
    content = bytearray(file.read_bytes())
    digits = [place for place, letter in enumerate(content) if letter in b"0123456789"]
    if digits:
        content[chance.choice(digits)] = chance.choice(b"0123456789")
    file.write_bytes(content)


def truncate(chance: random.Random, file: Path, files: list[Path]) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: chance.randrange(len(content) + 1)])


def truncate_at_a_line(chance: random.Random, file: Path, files: list[Path]) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[: chance.randrange(len(lines) + 1)]))


def extend(chance: random.Random, file: Path, files: list[Path]) -> None:
    more = chance.choice((b"\x00", b"\n", b" ", b"}", chance.randbytes(40), file.read_bytes()))
    file.write_bytes(file.read_bytes() + more)


def blank(chance: random.Random, file: Path, files: list[Path]) -> None:
    """A block of zeros, or of anything, as a bad disk leaves."""
    content = bytearray(file.read_bytes())
    start = chance.randrange(len(content) + 1)
    stop = min(len(content), start + chance.choice((1, 16, 512, 4096)))
    content[start:stop] = bytes(stop - start) if chance.random() < 0.7 else chance.randbytes(stop - start)
    file.write_bytes(content)


def replace(chance: random.Random, file: Path, files: list[Path]) -> None:
    """By a file of the same kind if there is another: the weights of another pass, the list of another folder."""
    alike = [other for other in files if other.suffix == file.suffix and other != file]
    shutil.copy(chance.choice(alike or files), file.with_name("incoming"))
    file.with_name("incoming").rename(file)


def swap(chance: random.Random, file: Path, files: list[Path]) -> None:
    other = chance.choice(files)
    mine, theirs = file.read_bytes(), other.read_bytes()
    file.write_bytes(theirs)
    other.write_bytes(mine)


def delete(chance: random.Random, file: Path, files: list[Path]) -> None:
    file.unlink()


def become_a_folder(chance: random.Random, file: Path, files: list[Path]) -> None:
    file.unlink()
    file.mkdir()
    if chance.random() < 0.5:
        (file / "within").touch()


SUBTLE: tuple[Damage, ...] = (flip, flip, change_a_digit, blank, replace, truncate_at_a_line)
ROUGH: tuple[Damage, ...] = (truncate, extend, swap, delete, become_a_folder)


@dataclass(frozen=True)
class Reader:
    """A command, what it reads, and what its result is."""

    arguments: list[str]
    reads: tuple[str, ...]
    """Patterns of the files; what is there more often is damaged more often."""
    result: Callable[[Path, str], Any]
    """Of the run's folder and what was printed."""


def samples(run: Path, told: str) -> Any:
    with np.load(run.parent / "x.npz") as arrays:
        return {name: array.tobytes() for name, array in arrays.items()}


def numbers(file: str) -> Callable[[Path, str], Any]:
    def read(run: Path, told: str) -> Any:
        found = json.loads((run / file if file == "evaluation.json" else run.parent / file).read_text())
        return {name: value for name, value in found.items() if name not in UNTIMED}

    return read


def page(run: Path, told: str) -> Any:
    return (run.parent / "page.html").read_text()


def trained(run: Path, told: str) -> Any:
    records = [{**record, "seconds": 0} for record in RunFolder(run).read_metrics()]
    return (RunFolder(run).newest_checkpoint().path / "model.safetensors").read_bytes(), records


WEIGHTS = ("checkpoints/pass_002/model*", "checkpoints/pass_001/model*")
EVALUATED = ("evaluation.json", "evaluation/*.safetensors", "evaluation/drawn*/*")
READERS = {
    "sample": Reader(["sample", "RUN", "--n=4", "--out=x.npz"], ("config.json", WEIGHTS[0]), samples),
    "calibration": Reader(["study", "calibration", "RUN", "--out=c.png"], WEIGHTS, numbers("c.json")),
    "evolution": Reader(["study", "evolution", "RUN", "--out=e.png"], ("metrics.jsonl",), numbers("e.json")),
    "report": Reader(["report", "RUN", "--out=page.html"], (*EVALUATED, "metrics.jsonl", "config.json"), page),
    "compare": Reader(["compare", "a=RUN", "--out=t.md"], EVALUATED[:1], lambda run, told: told),
    "evaluate": Reader(["evaluate", "RUN", *QUICK], (*WEIGHTS[:1], *EVALUATED), numbers("evaluation.json")),
    "resume": Reader(
        ["train", "stic", "--resume", "RUN"],
        ("config.json", "metrics.jsonl", "checkpoints/*5/state.pt", "checkpoints/*5/model*"),
        trained,
    ),
}


def picture_in_numbers(page: Page, picture: Any, *, caption: str, alt: str) -> None:
    """In place of a picture what it shows, which takes less time to draw."""
    if isinstance(picture, Image.Image):
        shown = [picture.tobytes()]
    else:
        drawn = [line.get_xydata() for axes in picture.axes for line in axes.lines]
        drawn += [bar.get_extents().get_points() for axes in picture.axes for bar in axes.patches]
        shown = [np.asarray(each).tobytes() for each in drawn]
    page.paragraph(f"{caption} {hash(tuple(shown))}")


@pytest.fixture(scope="module", autouse=True)
def _quick_pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(Page, "picture", picture_in_numbers)
        patch.setattr("stic_fast.cli.study.save_figure", lambda figure, target, footer: None)
        patch.setattr("stic_fast.cli.compare.save_comparison", lambda shown, path: None)
        yield


class Stop(Progress):
    """Ctrl-C as the run's second pass has saved within it."""

    def say(self, message: str) -> None:
        if message.startswith("pass 2"):
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def runs(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An evaluated run, for all that read; and one that has not come to its end, to go on with."""
    folder = tmp_path_factory.mktemp("damaged")
    whole, part = (Path(shutil.copytree(tiny_run, folder / name)) for name in ("whole", "part"))
    assert main(["evaluate", str(whole), *QUICK]) == 0
    shutil.rmtree(part / "checkpoints" / "pass_002")
    with pytest.raises(KeyboardInterrupt):
        resume(part, progress=Stop())
    assert RunFolder(part).newest_checkpoint().path.name == "pass_002_iteration_000005"
    open_run(whole)
    return {name: part if name == "resume" else whole for name in READERS}


@pytest.fixture(scope="module")
def read(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Copies a reader's run, has it damaged, and reads it: exit code, result and what was said of errors."""
    place = tmp_path_factory.mktemp("read")

    def read(name: str, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any, str]:
        shutil.rmtree(place)
        run = Path(shutil.copytree(runs[name], place / "run"))
        damage(run)
        reader = READERS[name]
        arguments = [
            argument.replace("RUN", str(run)).replace("--out=", f"--out={place}/") for argument in reader.arguments
        ]
        capsys.readouterr()
        code = main(arguments)
        told = capsys.readouterr()
        return code, reader.result(run, told.out) if code == 0 else None, told.err

    return read


@pytest.fixture(scope="module")
def undamaged() -> dict[str, Any]:
    """Results by reader, once there is one."""
    return {}


@pytest.mark.parametrize("seed", range(TRIALS))
def test_damage_is_told_or_does_not_matter(
    seed: int, read: Callable[..., Any], undamaged: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(seed)
    name = chance.choice(list(READERS))
    if name not in undamaged:
        code, undamaged[name], _ = read(name, lambda run: None, capsys)
        assert code == 0
    done: list[str] = []

    def damage(run: Path) -> None:
        files = sorted(file for file in run.rglob("*") if file.is_file())
        pattern = chance.choices(("reads", "**/SHA256SUMS", "**/*"), (8, 1, 1))[0]
        found = run.glob(chance.choice(READERS[name].reads) if pattern == "reads" else pattern)
        file = chance.choice(sorted(file for file in found if file.is_file()))
        harm = chance.choice(SUBTLE if chance.random() < 0.7 else ROUGH)
        done.append(f"{name} after {harm.__name__} of {file.relative_to(run)}")
        harm(chance, file, files)

    code, result, said = read(name, damage, capsys)
    if code == 0:
        assert result == undamaged[name], f"{done}: used without a word"
    else:
        assert code == 2 and said.startswith("stic-fast: ") and said.count("\n") == 1 and len(said) < 900, (done, said)
        assert ("Traceback" not in said and said.isprintable()) or said[:-1].isprintable(), (done, said)
