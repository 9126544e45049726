# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""From a configuration to a run and back; a folder that does not fit is refused in a sentence."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stic_fast.data import load
from stic_fast.errors import InputError
from stic_fast.training import NetworkConfig, RunFolder, SticConfig, build_network, open_run, resume, train


@pytest.fixture
def trained(tiny: SticConfig, tmp_path: Path) -> Path:
    """A finished run of one pass."""
    train(dataclasses.replace(tiny, passes=1, iterations=1), tmp_path / "run")
    return tmp_path / "run"


def edited(run: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    plain = json.loads((run / "config.json").read_text())
    change(plain)
    (run / "config.json").write_text(json.dumps(plain))
    (run / "SHA256SUMS").unlink(missing_ok=True)
    return run


def test_weights_come_from_the_seed_alone(tiny: SticConfig) -> None:
    splits = load("digits")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = build_network(tiny, splits).state_dict()
    assert torch.equal(torch.get_rng_state(), before), "the caller's generator is left alone"
    torch.manual_seed(6)
    second = build_network(tiny, splits).state_dict()
    other = build_network(dataclasses.replace(tiny, seed=1), splits).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


def test_the_network_is_as_configured(tiny: SticConfig) -> None:
    splits = load("digits")
    network = build_network(tiny, splits)
    assert (network.num_classes, network.fake_class, network.in_channels) == (10, 10, 1)
    assert network.gram_layers == ("conv9", "conv10")
    config = dataclasses.replace(tiny, network=NetworkConfig(depth=10, width=1, gram_layers=("conv3",)))
    assert build_network(config, splits).gram_layers == ("conv3",)


def test_a_run_of_another_width(trained: Path) -> None:
    edited(trained, lambda plain: plain["settings"]["network"].update(width=2))
    for action in (open_run, resume):
        with pytest.raises(InputError, match="pass_001 is of another model"):
            action(trained)


def test_a_run_of_another_method_or_with_wrong_settings(trained: Path) -> None:
    edited(trained, lambda plain: plain.update(method="gan"))
    with pytest.raises(InputError, match="method 'gan'"):
        open_run(trained)
    edited(trained, lambda plain: plain.update(method="stic"))
    edited(trained, lambda plain: plain["settings"].update(passes="three"))
    with pytest.raises(InputError, match=r"run/config\.json: passes.*'three'.*int"):
        resume(trained)


def test_a_run_without_a_checkpoint(tiny: SticConfig, tmp_path: Path, trained: Path) -> None:
    bare = RunFolder.create(tmp_path / "bare", "stic", json.loads((trained / "config.json").read_text())["settings"])
    with pytest.raises(InputError, match="bare has no checkpoint yet; train it first"):
        open_run(bare.path)
    run = resume(bare.path)  # begins at the beginning
    expected = RunFolder(trained).newest_checkpoint().load_weights()
    assert all(torch.equal(run.model.state_dict()[name].cpu(), expected[name]) for name in expected)


def test_settings_that_cannot_work_leave_no_folder(tiny: SticConfig, tmp_path: Path) -> None:
    wrong = [
        (dataclasses.replace(tiny, passes=0), "passes must be from 1"),
        (dataclasses.replace(tiny, data="nothing"), "there is no image source 'nothing'"),
        (dataclasses.replace(tiny, network=NetworkConfig(depth=11)), "depth must be 6n"),
        (
            dataclasses.replace(tiny, network=NetworkConfig(depth=10, width=1, gram_layers=("conv99",))),
            "unknown layer 'conv99'",
        ),
    ]
    for config, message in wrong:
        with pytest.raises(InputError, match=message):
            train(config, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_bfloat16_trains_and_draws(tiny: SticConfig, tmp_path: Path) -> None:
    low = {"precision": "bf16"}
    config = dataclasses.replace(
        tiny,
        iterations=1,
        optimiser=dataclasses.replace(tiny.optimiser, **low),
        pool=dataclasses.replace(tiny.pool, sampler=dataclasses.replace(tiny.pool.sampler, **low)),
        sampler=dataclasses.replace(tiny.sampler, **low),
    )
    run = train(config, tmp_path / "run")
    assert all(p.dtype == torch.float32 and bool(p.isfinite().all()) for p in run.model.parameters())
    assert [record["kind"] for record in run.folder.read_metrics()].count("chain") == 2


def test_data_that_changed(tiny: SticConfig, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    labels = np.arange(12) % 2

    def write(pixels: np.ndarray) -> None:
        np.savez(tmp_path / "data.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)

    write(images)
    config = dataclasses.replace(tiny, data=f"npz:{tmp_path / 'data.npz'}", passes=1, iterations=1)
    train(config, tmp_path / "run")
    resume(tmp_path / "run")
    open_run(tmp_path / "run")
    with np.load(tmp_path / "data.npz") as arrays:
        whole = dict(arrays)
    for name in whole:
        np.savez(tmp_path / "data.npz", **{**whole, name: whole[name][::-1]})
        for action in (resume, open_run):
            with pytest.raises(InputError, match=r"images of npz:.*data\.npz changed"):
                action(tmp_path / "run")
    write(images[::-1])
    edited(tmp_path / "run", lambda plain: plain.pop("images"))  # as of a run that an older version began
    open_run(tmp_path / "run")
    with pytest.raises(InputError, match=r"training images of npz:.*data\.npz changed"):
        resume(tmp_path / "run")


def test_a_new_run_in_an_old_folder(tiny: SticConfig, trained: Path) -> None:
    with pytest.raises(InputError, match="holds a run already; continue it with --resume"):
        train(tiny, trained)
