# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Whatever is wrong with a command line is told in one sentence, with exit code 2 and without a traceback."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stic_fast.cli import sample
from stic_fast.cli.main import main
from stic_fast.cli.usage import as_sentence


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The sentence with which a command line is refused."""
    capsys.readouterr()
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("stic-fast: ")
    assert captured.err.endswith("\n") and captured.err.count("\n") == 1
    assert "Traceback" not in captured.err and "\x1b" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (
            ["nonsense"],
            [
                "nonsense",
                "demo, train, sample, interpolate, counterfactual, texture, stylize, evaluate, score, study, report",
            ],
        ),
        (["train"], ["stic"]),
        (["train", "stic", "--preset", "nope"], ["'nope'", "digits", "fashion", "cifar10-paper"]),
        (["train", "stic", "--pases", "3"], ["--pases", "--passes INT"]),
        (["train", "stic", "--passes", "x"], ["--passes", "'x'"]),
        (["train", "stic", "--passes", "0"], ["passes must be from 1 to", "got 0"]),
        (["train", "stic", "--vrm", "maybe"], ["'maybe'", "'on', 'off'"]),
        (["train", "stic", "--sampler.steps", "-1"], ["parsing sampler: steps must be from 0", "got -1"]),
        (["train", "stic", "--data", "nowhere"], ["no image source 'nowhere'", "digits", "cifar10:PATH"]),
        (["train", "stic", "--data", "npz:"], ["npz needs a path", "npz:PATH"]),
        (["train", "stic", "--data", "npz:missing.npz"], ["missing.npz does not exist"]),
        (["train", "stic", "--preset", "cifar10-paper"], ["preset cifar10-paper", "--data cifar10:PATH"]),
        (["train", "stic", "--network.depth", "11"], ["depth must be 6n + 4", "10 or 16"]),
        (["train", "stic", "--resume", "r", "--passes", "4"], ["--resume", "leave out --passes"]),
        (["train", "stic", "--out=o", "--resume=r"], ["--resume", "leave out --out"]),
        (["train", "stic", "--resume", "missing"], ["missing does not exist"]),
        (["demo", "--resume", "missing"], ["missing does not exist"]),
        (["sample"], ["missing from stic-fast sample", "RUN"]),
        (["sample", "missing"], ["missing does not exist", "stic-fast train"]),
        (["sample", "missing", "--n"], ["--n"]),
        (["interpolate", "missing", "--from", "3"], ["--to"]),
    ],
)
def test_bad_input_is_one_sentence(
    argv: list[str],
    told: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = refused(argv, capsys)
    for words in told:
        assert words in sentence
    assert not list(tmp_path.iterdir()), "a refused command leaves nothing behind"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--labels", "0,10"], ["no class '10'", "the classes are 0, 1, 2"]),
        (["--labels", "-1"], ["-1"]),
        (["--labels", "cat"], ["no class 'cat'"]),
        (["--labels", "3,4,3"], ["'3' stands twice"]),
        (["--n", "0"], ["--n must be from 1", "got 0"]),
        (["--seed", "-1"], ["seed must be from 0", "got -1"]),
        (["--seed", str(2**64)], ["seed must be from 0"]),
        (["--steps", "-1"], ["steps must be from 0", "got -1"]),
        (["--batch-size", "0"], ["--batch-size must be from 1"]),
        (["--out", "grid.jpg"], ["grid.jpg", ".png or .npz"]),
        (["--out", "file.txt"], ["file.txt is a file"]),
        (["--out", "file.txt/grid.png"], ["file.txt", "cannot be read or written"]),
        (["--out", "full"], ["full is not empty"]),
        (["--out", "folder.png"], ["folder.png is a folder"]),
    ],
)
def test_sample_refuses_before_it_draws(
    options: list[str],
    told: list[str],
    tiny_run: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "other.png").write_bytes(b"mine")
    (tmp_path / "folder.png").mkdir()
    monkeypatch.setattr(sample.ImageSampler, "of_classes", lambda *_: pytest.fail("drew images"))
    sentence = refused(["sample", str(tiny_run), *options], capsys)
    for words in told:
        assert words in sentence
    assert (tmp_path / "file.txt").read_text() == "mine"
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["other.png"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--from", "3", "--to", "12"], "no class '12'"),
        (["--from", "3,4", "--to", "8"], "one class at each end"),
        (["--from", "3", "--to", "8", "--frames", "1"], "--frames must be from 2"),
        (["--from", "3", "--to", "8", "--n", "0"], "--n must be from 1"),
        (["--from", "3", "--to", "8", "--out", "paths.npz"], "end in .png"),
    ],
)
def test_interpolate_refuses(options: list[str], told: str, tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told in refused(["interpolate", str(tiny_run), *options], capsys)


def test_damaged_runs_are_told_apart(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = own_run / "checkpoints" / "pass_002" / "model.safetensors"
    config, whole = own_run / "config.json", weights.read_bytes()
    settings = config.read_text()

    weights.write_bytes(whole[: len(whole) // 2])
    assert "model.safetensors is damaged" in refused(["sample", str(own_run)], capsys)
    assert "model.safetensors is damaged" in refused(["train", "stic", "--resume", str(own_run)], capsys)
    weights.write_bytes(whole)

    config.write_text(settings.replace('"width": 1', '"width": 2'))
    assert "delete its line in SHA256SUMS to keep a change" in refused(["sample", str(own_run)], capsys)
    (own_run / "SHA256SUMS").unlink()
    assert "is of another model" in refused(["sample", str(own_run)], capsys)
    config.write_text(settings.replace('"batch_size": 4', '"batch_size": 0'))
    assert "batch_size must be from 1" in refused(["train", "stic", "--resume", str(own_run)], capsys)
    config.write_text(settings[:-20])
    assert "config.json is damaged" in refused(["sample", str(own_run)], capsys)
    config.unlink()
    assert "config.json is missing" in refused(["sample", str(own_run)], capsys)
    config.write_text(settings)
    assert main(["sample", str(own_run), "--n", "1"]) == 0


def test_an_existing_run_is_kept(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in own_run.rglob("*") if file.is_file()}
    sentence = refused(["train", "stic", "--out", str(own_run)], capsys)
    assert "holds a run already" in sentence and f"--resume {own_run}" in sentence
    assert {file: file.read_bytes() for file in own_run.rglob("*") if file.is_file()} == before


def test_a_full_disk_is_one_sentence(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sample, "write_images", no_space)
    sentence = refused(["sample", str(tiny_run), "--n", "1", "--out", str(tmp_path / "grid.png")], capsys)
    assert "No space left on device" in sentence and "free the disk" in sentence


def test_interrupted_drawing_stops_with_130(
    tiny_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(sample, "open_run", interrupted)
    assert main(["sample", str(tiny_run)]) == 130
    assert capsys.readouterr().err == "stic-fast: stopped\n"


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "stic_fast", "info"], stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path, check=False
    )
    os.close(writing)
    assert process.returncode == 0
    assert process.stderr == b""


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], ["usage: stic-fast", "demo", "train", "sample", "interpolate", "info"]),
        (["--help"], ["usage: stic-fast"]),
        (["sample", "--help"], ["RUN", "--labels", "--n ", "--steps", "--seed", "--out"]),
        (["train", "stic", "--help"], ["--resume", "--passes", "--network.depth", "--pool.sampler.steps", "--vrm"]),
    ],
)
def test_help(argv: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    for word in words:
        assert word in captured.out


def test_a_preset_sets_the_defaults_that_help_shows(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for preset in ("digits", "cifar10-paper"):
        assert main(["train", "stic", "--preset", preset, "--help"]) == 0
        lines = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]
        shown[preset] = lines[lines.index("--network.depth INT") + 1]
    assert shown["digits"].endswith("(default: 10)")
    assert shown["cifar10-paper"].endswith("(default: 28)")


def test_sentences_survive_plain_and_coloured_boxes() -> None:
    plain = (
        " Invalid choice \n ------- \n  invalid choice 'a' for argument\n  '--vrm'.\n  ----\n  For help: \n   run x\n"
    )
    assert as_sentence(plain) == "invalid choice; invalid choice 'a' for argument '--vrm'; for help: run x"
    assert as_sentence("\x1b[31m╭─ No ─╮\x1b[0m\n\x1b[31m│\x1b[0m Bad. \x1b[31m│\x1b[0m\n") == "bad"
    assert as_sentence("") == "the arguments cannot be used"
