# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Every command on runs of GMMC, JEM and the plain classifier: trained, resumed, drawn from, judged, reported."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stic_fast.cli.main import main, parse
from stic_fast.cli.train import Train
from stic_fast.plots import image_grid
from stic_fast.training import METHODS, ImageSampler, Progress, RunFolder, open_run
from stic_fast.training.config import check, from_plain, to_plain

pytestmark = pytest.mark.usefixtures("one_thread")

SHARED = [
    "--passes=2",
    "--iterations=3",
    "--batch-size=4",
    "--sampler.steps=2",
    "--checkpoint-every=2",
    "--log-every=1",
]
REPLAY = [*SHARED, "--pool.chains=8", "--pool.sampler.steps=2"]
TRAINED = {
    "gmmc": ["gmmc", *REPLAY, "--mode=generative", "--sampling=injected", "--dimension=16"],
    "jem": ["jem", *REPLAY, "--weights.joint=0.5"],
    "softmax": ["softmax", *SHARED],
}
WITH_PRESETS = [(method, name) for method in METHODS for name in METHODS[method].presets]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny run of each, by its name."""
    folder = tmp_path_factory.mktemp("methods")
    for method, options in TRAINED.items():
        assert main(["train", *options, "--out", str(folder / method)]) == 0
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    yield


def kinds(run: Path, kind: str) -> list[dict[str, Any]]:
    return [record for record in RunFolder(run).read_metrics() if record["kind"] == kind]


def settings(run: Path) -> dict[str, Any]:
    method, plain = RunFolder(run).read_config()
    return {"method": method, **plain}


@pytest.mark.parametrize("method", TRAINED)
def test_a_trained_run(runs: Path, method: str) -> None:
    run = runs / method
    plain = settings(run)
    assert (plain["method"], plain["passes"], plain["sampler"]["steps"]) == (method, 2, 2)
    train = kinds(run, "train")
    assert len(train) == 6 and len(kinds(run, "evaluation")) == 2 and not kinds(run, "chain")
    own = {
        "gmmc": {"loss", "energy_real", "energy_fake", "variance"},
        "jem": {"loss", "loss_class", "loss_image", "loss_joint", "energy_real", "energy_fake"},
        "softmax": {"loss"},
    }[method]
    assert all(record.keys() - {"pass", "iteration", "kind", "lr", "seconds"} == own | {"accuracy"} for record in train)
    for picture in (run / "samples" / "pass_002.png", run / "curves.png"):
        with Image.open(picture) as opened:
            assert opened.width > 100


@pytest.mark.parametrize("mode", ["discriminative", "joint"])
def test_the_other_modes_of_gmmc(tmp_path: Path, mode: str) -> None:
    run = tmp_path / "run"
    assert main(["train", "gmmc", *REPLAY, f"--mode={mode}", "--ramp=2", "--out", str(run)]) == 0
    assert settings(run)["mode"] == mode
    draws = ["energy_fake" in record for record in kinds(run, "train")]
    assert draws == ([False] * 6 if mode == "discriminative" else [False] * 3 + [True] * 3)
    state = RunFolder(run).newest_checkpoint().load_state()
    assert (state["method"]["pool"] is None) == (mode == "discriminative")


@pytest.mark.parametrize("method", TRAINED)
def test_a_stopped_run_goes_on_to_the_same_weights(
    runs: Path, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, kind = tmp_path / "run", METHODS[method]
    whole_loss = kind.loss

    def interrupted(self: Any, iteration: int) -> object:
        if iteration == 4:
            signal.raise_signal(signal.SIGINT)
        return whole_loss(self, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "loss", interrupted)
        assert main(["train", *TRAINED[method], "--out", str(run)]) == 130
    assert f"stopped; continue with stic-fast train {method} --resume {run}" in capsys.readouterr().err
    assert main(["train", method, "--resume", str(run)]) == 0
    weights = [folder / "checkpoints" / "pass_002" / "model.safetensors" for folder in (run, runs / method)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    untimed = [[{**record, "seconds": 0} for record in RunFolder(f).read_metrics()] for f in (run, runs / method)]
    assert untimed[0] == untimed[1]


@pytest.mark.parametrize("method", TRAINED)
def test_samples_depend_on_neither_batch_nor_company(runs: Path, tmp_path: Path, method: str) -> None:
    def drawn(*options: str) -> tuple[np.ndarray, np.ndarray]:
        assert main(["sample", str(runs / method), "--out", str(tmp_path / "x.npz"), *options]) == 0
        with np.load(tmp_path / "x.npz") as arrays:
            return arrays["arr_0"], arrays["arr_1"]

    together, labels = drawn("--n=20")
    assert together.shape == (20, 8, 8, 1) and labels.tolist() == np.arange(10).repeat(2).tolist()
    alone, _ = drawn("--labels=4", "--n=2", "--batch-size=1")
    assert np.abs(alone.astype(int) - together[labels == 4]).max() <= 1, "convolutions round by batch"
    canvas, _ = drawn("--n=20", "--steps=0")
    assert (canvas != together).reshape(20, -1).any(1).all()
    other, _ = drawn("--n=20", "--seed=1")
    assert (other != together).reshape(20, -1).any(1).all()


@pytest.mark.parametrize("method", TRAINED)
def test_interpolation(runs: Path, tmp_path: Path, method: str) -> None:
    out = tmp_path / "paths.png"
    options = ["--from=3", "--to=8", "--n=2", "--frames=3", "--out", str(out)]
    assert main(["interpolate", str(runs / method), *options]) == 0
    frames = ImageSampler(open_run(runs / method), 0).of_paths(3, 8, 2, [0.0, 0.5, 1.0], Progress())
    assert not torch.equal(frames[0], frames[1]) and not torch.equal(frames[1], frames[2])
    expected = image_grid(frames, columns=3, column_labels=["0%", "50%", "100%"], title="from 3 to 8: share of 8")
    with Image.open(out) as grid:
        assert grid.tobytes() == expected.tobytes()


@pytest.mark.parametrize("method", TRAINED)
def test_evaluation_and_report(runs: Path, tmp_path: Path, method: str) -> None:
    run = Path(shutil.copytree(runs / method, tmp_path / "run"))
    assert main(["evaluate", str(run), "--n=20", "--judge-iterations=3", "--attacked=2"]) == 0
    record = json.loads((run / "evaluation.json").read_text())
    assert {"images", "classifier", "outliers", "attacks"} <= record.keys()
    assert {row["score"] for row in record["outliers"]["rows"]} >= {"log_density"}
    assert "real_log_odds" not in {row["score"] for row in record["outliers"]["rows"]}, "none has a fake class"
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "Drawn images" in page and "Out of distribution" in page and "sampler.steps" in page
    assert ("pool.restart_probability" in page) == (method != "softmax")
    assert ("dimension" in page) == (method == "gmmc")


@pytest.mark.parametrize(("method", "name"), WITH_PRESETS)
def test_presets_are_whole(method: str, name: str) -> None:
    config = METHODS[method].presets[name]
    check(config)
    assert type(config) is METHODS[method].settings
    assert from_plain(type(config), json.loads(json.dumps(to_plain(config)))) == config
    command = parse(["train", method, "--preset", name])
    assert isinstance(command, Train)
    assert (command.preset, command.settings) == (name, config)


@pytest.mark.parametrize(("method", "name"), [pair for pair in WITH_PRESETS if pair[1] != "digits"])
def test_a_preset_without_its_images_is_refused(
    method: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", method, "--preset", name, "--out", str(tmp_path / "run")]) == 2
    source = METHODS[method].presets[name].data
    assert capsys.readouterr().err == f"stic-fast: preset {name} needs its images; add --data {source}PATH\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["jem", "--weights.class-given-image=0", "--weights.image=0"], "all weights are 0"),
        (
            ["gmmc", *REPLAY, "--dimension=8"],
            "10 classes do not fit into dimension=8; raise the dimension to 9 or more",
        ),
        (["gmmc", "--mode=both"], "--mode"),
        (["jem", "--pool.chains=3"], "pool.chains must be from 50"),
        (["softmax", "--pool.chains=3"], "--pool.chains"),
    ],
)
def test_settings_that_cannot_work(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and "Traceback" not in said
    assert not (tmp_path / "run").exists()
