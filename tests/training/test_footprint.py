# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a training or drawing takes in memory is estimated within a factor of two, and refused before it is begun."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stic_fast import memory
from stic_fast.data import ImageSet, Splits, load
from stic_fast.errors import InputError
from stic_fast.sampling import GRMALA
from stic_fast.training import (
    METHODS,
    ImageSampler,
    NetworkConfig,
    PoolConfig,
    Progress,
    SoftmaxConfig,
    SticConfig,
    open_run,
    resume,
    train,
)
from stic_fast.training.footprint import network_without_memory, training_bytes

GIBIBYTE = 2.0**30
SHAPES = {
    "digits": (1, 8, 8),
    "fashion": (1, 28, 28),
    "cifar10-paper": (3, 32, 32),
    "texture": (3, 128, 128),
    "texture-paper": (3, 256, 256),
}


def images(shape: tuple[int, ...]) -> Splits:
    labels = torch.arange(200) % 10
    part = ImageSet(torch.zeros(200, *shape, dtype=torch.uint8), labels, tuple("0123456789"), "images")
    return Splits(part, part)


def test_estimates_lie_within_a_factor_of_two_of_the_peak() -> None:
    program = Path(__file__).with_name("peak_memory.py")
    told = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True).stdout
    measured = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert len(measured) == 10
    for run in measured:
        assert 0.5 < run["estimate"] / run["taken"] < 2, run


OF_PRESETS = [(name, preset) for name, method in METHODS.items() for preset in SHAPES if preset in method.presets]


@pytest.mark.parametrize(("method", "preset"), OF_PRESETS)
def test_presets_fit_into_a_usual_machine(method: str, preset: str) -> None:
    needed = sum(training_bytes(METHODS[method].presets[preset], images(SHAPES[preset])).values())
    assert needed < {"digits": 0.1, "fashion": 1, "texture": 1}.get(preset, 12) * GIBIBYTE


def test_a_network_too_large_to_be_built_takes_no_memory() -> None:
    model = network_without_memory(SoftmaxConfig(network=NetworkConfig(depth=28, width=1_000)), images((3, 32, 32)))
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert sum(parameter.numel() for parameter in model.parameters()) > 3e11


DIGITS: SticConfig = METHODS["stic"].presets["digits"]


@pytest.mark.parametrize(
    ("config", "lower"),
    [
        (replace(DIGITS, network=NetworkConfig(depth=28, width=1_000)), "lower network.width, of which"),
        (replace(DIGITS, pool=replace(DIGITS.pool, chains=10_000_000)), "lower pool.chains, of which"),
        (
            replace(DIGITS, pool=PoolConfig(chains=10_000, batch_size=10_000), references=100),
            "lower pool.batch_size, of which",
        ),
        (replace(DIGITS, batch_size=1_438, network=NetworkConfig(depth=10, width=30)), "lower batch_size"),
    ],
)
def test_a_training_that_does_not_fit_leaves_no_folder(
    config: SticConfig, lower: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda _: 2 * GIBIBYTE)
    message = rf"this training needs about [\d.]+ [GT]iB and 2 GiB are free on this machine; {lower}"
    with pytest.raises(InputError, match=message):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("footprint") / "run"
    quick = GRMALA(steps=1)
    pool = PoolConfig(chains=4, sampler=quick)
    train(replace(DIGITS, passes=1, iterations=1, batch_size=2, pool=pool, sampler=quick), path)
    return path


def test_a_run_is_not_gone_on_with_where_it_does_not_fit(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda _: 2.0**20)
    with pytest.raises(InputError, match="this training needs about"):
        resume(run)


def test_more_images_than_fit_are_not_drawn(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_sampler = ImageSampler(open_run(run), 0, batch_size=100)
    monkeypatch.setattr(memory, "available", lambda _: 2.0**20)
    with pytest.raises(InputError, match=r"drawing 100 images.* lower batch_size"):
        image_sampler.of_numbers(torch.arange(200), Progress())
    with pytest.raises(InputError, match="100000 drawn images"):
        image_sampler.of_numbers(torch.arange(100_000), Progress())


def test_settings_that_the_images_have_no_room_for(tmp_path: Path) -> None:
    fewest = int(torch.bincount(load("digits").train.labels).min())
    for config, message in (
        (replace(DIGITS, references=fewest + 1), f"references must be from 1 to {fewest}, as the smallest class has"),
        (
            replace(DIGITS, augmentation=replace(DIGITS.augmentation, max_shift=8)),
            "augmentation.max_shift must be from 0 to 7, inside the images, got 8",
        ),
        (replace(DIGITS, network=replace(DIGITS.network, gram_layers=("conv99",))), "unknown layer 'conv99'"),
        (
            replace(DIGITS, pool=replace(DIGITS.pool, refresh=501)),
            "pool.refresh must be from 0 to 500, as many as pool.chains",
        ),
        (replace(DIGITS, passes=10**7, iterations=10**7), "passes times iterations must be from 1 to 4294967296"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            train(config, tmp_path / "run")
        assert not (tmp_path / "run").exists()
