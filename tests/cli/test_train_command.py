# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast train stic` trains, stops, goes on, and leaves everything where it says."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stic_fast.cli.main import main, parse
from stic_fast.cli.train import Train
from stic_fast.models import WideResNet
from stic_fast.training import Stic


def metrics(run: Path) -> list[dict[str, float | str]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(run: Path) -> bytes:
    return (run / "checkpoints" / "pass_002" / "model.safetensors").read_bytes()


def test_settings_reach_the_run(tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "erm"
    assert main([*tiny, "--vrm", "off", "--network.width", "2", "--seed", "3", "--out", str(out)]) == 0
    settings = json.loads((out / "config.json").read_text())["settings"]
    assert (settings["vrm"], settings["network"]["width"], settings["seed"]) == ("off", 2, 3)
    assert settings["optimiser"]["lr"] == Stic.presets["digits"].optimiser.lr
    records = [record for record in metrics(out) if record["kind"] == "train"]
    assert len(records) == 6
    assert all("loss_hard_fake" in record and "loss_mixup" not in record for record in records)

    captured = capsys.readouterr()
    assert captured.err == ""
    assert "\x1b" not in captured.out and "\r" not in captured.out
    lines = captured.out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["pass 1", "pass 2", "run", "picture", "picture", "next"]
    for line in lines[2:5]:
        assert Path(line.split(maxsplit=1)[1]).exists()
    assert lines[5].endswith(f"stic-fast sample {out} --n 100")
    with Image.open(out / "curves.png") as curves:
        assert curves.width > 500


def test_default_folder_and_path_of_the_data(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    labels = np.arange(20) % 2
    images = np.repeat(np.uint8(200) * labels.astype(np.uint8), 64).reshape(20, 8, 8)
    np.savez("dots.npz", images=images, labels=labels)
    assert main([*tiny, "--data", "npz:dots.npz", "--seed", "5"]) == 0
    run = tmp_path / "runs" / "stic-digits-5"
    settings = json.loads((run / "config.json").read_text())["settings"]
    assert settings["data"] == f"npz:{tmp_path / 'dots.npz'}"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["sample", str(run), "--n", "2"]) == 0


def test_a_stopped_run_goes_on_to_the_same_weights(
    tiny: list[str],
    tiny_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "stopped run"
    whole_loss = Stic.loss

    def interrupted_loss(self: Stic, iteration: int) -> object:
        if iteration == 4:
            signal.raise_signal(signal.SIGINT)
        return whole_loss(self, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(Stic, "loss", interrupted_loss)
        assert main([*tiny, "--out", str(out)]) == 130
    told = capsys.readouterr().err
    assert told == f"stic-fast: stopped; continue with stic-fast train stic --resume '{out}'\n"
    assert (out / "curves.png").exists(), "curves are drawn after every pass"

    assert main(["train", "stic", "--resume", str(out)]) == 0
    assert weights(out) == weights(tiny_run)
    untimed = [[{**record, "seconds": 0} for record in metrics(run)] for run in (out, tiny_run)]
    assert untimed[0] == untimed[1]


def test_resuming_a_finished_run_changes_nothing(own_run: Path) -> None:
    before = weights(own_run), metrics(own_run)
    assert main(["train", "stic", "--resume", str(own_run)]) == 0
    assert (weights(own_run), metrics(own_run)) == before


def test_stopped_before_there_is_a_run(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: str) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("stic_fast.training.runs.load", interrupted)
    assert main([*tiny, "--out", str(tmp_path / "run")]) == 130
    assert capsys.readouterr().err == "stic-fast: stopped\n"
    assert not (tmp_path / "run").exists()


def test_the_paper_preset_is_the_papers() -> None:
    config = Stic.presets["cifar10-paper"]
    with torch.device("meta"):
        network = WideResNet(depth=config.network.depth, width=config.network.width, num_classes=10)
    assert network.gram_layers == tuple(f"conv{number}" for number in range(21, 29))
    assert (config.batch_size, config.passes, config.iterations) == (50, 10, 5000)
    assert (config.optimiser.lr, config.optimiser.decay, config.optimiser.decay_every) == (1e-4, 0.3, 10_000)
    sampler = config.pool.sampler
    assert (sampler.eps1, sampler.eps2, sampler.eps3, sampler.steps) == (0.95, 0.95, 0.015, 40)
    assert (config.augmentation.noise_std, config.pool.restart_probability) == (0.3, 0.5)


def test_the_last_preset_on_the_command_line_counts() -> None:
    command = parse(["train", "stic", "--preset", "fashion", "--preset=cifar10-paper"])
    assert isinstance(command, Train)
    assert (command.preset, command.settings) == ("cifar10-paper", Stic.presets["cifar10-paper"])
