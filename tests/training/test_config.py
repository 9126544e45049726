# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Settings survive JSON, wrong ones are named, and the defaults are the paper's."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from stic_fast.errors import InputError
from stic_fast.sampling import GRMALA
from stic_fast.training import NetworkConfig, OptimiserConfig, PoolConfig, SticConfig, VicinityConfig
from stic_fast.training.config import check, from_plain, to_plain

UNUSUAL = SticConfig(
    data="npz:photos.npz",
    seed=2**64 - 1,
    vrm="off",
    network=NetworkConfig(depth=10, width=2, strides=(1, 1, 2), gram_layers=("conv3", "conv4")),
    references=3,
    optimiser=OptimiserConfig(lr=1e-3, clip_norm=1.0, precision="bf16"),
    augmentation=VicinityConfig(flip_probability=0.5, max_shift=2),
    pool=PoolConfig(start="blank", sampler=GRMALA(steps=7, clamp=None)),
    sampler=GRMALA(schedule="cosine", clamp=(-2.0, 2.0), max_gram_ratio=0.5),
    normalize="relative",
)


@pytest.mark.parametrize("config", [SticConfig(), UNUSUAL])
def test_the_way_through_json_and_back(config: SticConfig) -> None:
    plain = json.loads(json.dumps(to_plain(config)))
    back = from_plain(SticConfig, plain)
    assert back == config
    assert isinstance(back.network.gram_layers, tuple)
    check(back)


def test_whole_numbers_serve_as_fractions() -> None:
    plain = to_plain(SticConfig())
    plain["optimiser"]["decay"] = 1
    assert from_plain(SticConfig, plain).optimiser.decay == 1.0


def changed(path: str, value: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(to_plain(SticConfig())))
    *outer, last = path.split(".")
    place = plain
    for name in outer:
        place = place[name]
    place[last] = value
    return plain


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("passes", "ten", "config.json: passes cannot be 'ten'; it must be int"),
        ("passes", 2.5, "config.json: passes cannot be 2.5; it must be int"),
        ("passes", True, "config.json: passes cannot be True; it must be int"),
        ("data", None, "config.json: data cannot be None; it must be str"),
        ("vrm", "maybe", r"config.json: vrm cannot be 'maybe'; it must be Literal\['on', 'off'\]"),
        ("optimiser.lr", "fast", "config.json: optimiser: lr cannot be 'fast'; it must be float"),
        ("optimiser.lr", False, "config.json: optimiser: lr cannot be False; it must be float"),
        ("optimiser.clip_norm", "some", "config.json: optimiser: clip_norm cannot be 'some'; it must be float"),
        ("pool.sampler.schedule", "square", "config.json: pool: sampler: schedule cannot be 'square'"),
        ("pool.sampler.steps", -1, "config.json: pool: sampler: steps must be from 0 to 10000000, got -1"),
        ("network", 28, "config.json: network must be an object, got 28; restore the file"),
        ("network.gram_layers", "conv3", "config.json: network: gram_layers cannot be 'conv3'; it must be tuple"),
        ("network.gram_layers", [3], "config.json: network: gram_layers cannot be 3; it must be str"),
        ("network.strides", [1, 2], r"config.json: network: strides cannot be \[1, 2\]; it must be tuple"),
        ("sampler.clamp", [0.0], r"config.json: sampler: clamp cannot be \[0.0\]; it must be tuple"),
        ("sampler.clamp", ["low", 1.0], "config.json: sampler: clamp cannot be 'low'; it must be float"),
        ("colour", "red", "config.json has the unknown setting 'colour'"),
        ("pool.colour", "red", "config.json: pool has the unknown setting 'colour'"),
    ],
)
def test_wrong_settings_are_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_plain(SticConfig, changed(path, value))


def test_missing_settings_are_named() -> None:
    plain = to_plain(SticConfig())
    del plain["optimiser"]["decay"]
    with pytest.raises(InputError, match=r"run/config\.json: optimiser lacks the setting 'decay'"):
        from_plain(SticConfig, plain, "run/config.json")


def test_settings_that_older_runs_lack_are_what_those_runs_did() -> None:
    plain = to_plain(SticConfig())
    for sampler in (plain["sampler"], plain["pool"]["sampler"]):
        del sampler["layout"], sampler["capture"]
    assert from_plain(SticConfig, plain) == SticConfig()


NOT_A_NUMBER = float("nan")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("passes", 0, "passes must be from 1 to 10000000, got 0"),
        ("iterations", 0, "iterations must be from 1 to 10000000"),
        ("batch_size", 0, "batch_size must be from 1 to 10000000"),
        ("log_every", 0, "log_every must be from 1 to 10000000"),
        ("checkpoint_every", 0, "checkpoint_every must be from 1 to 10000000"),
        ("seed", -1, "seed must be from 0 to 18446744073709551615"),
        ("seed", 2**64, "seed must be from 0 to 18446744073709551615, got 18446744073709551616"),
        ("pool.chains", 1, "pool.chains must be from 2 to"),
        ("references", 0, "references must be from 1 to 10000"),
        ("pool.batch_size", 0, "pool.batch_size must be from 1 to 10000000"),
        ("pool.restart_probability", 1.5, "pool.restart_probability must be from 0 to 1, got 1.5"),
        ("pool.restart_probability", NOT_A_NUMBER, "pool.restart_probability must be from 0 to 1, got nan"),
        ("augmentation.flip_probability", -0.1, "augmentation.flip_probability must be from 0 to 1"),
        ("augmentation.noise_std", -0.1, "augmentation.noise_std must be from 0 to 100"),
        ("augmentation.noise_std", NOT_A_NUMBER, "augmentation.noise_std must be from 0 to 100, got nan"),
        ("augmentation.max_shift", -1, "augmentation.max_shift must be from 0 to 32768"),
        ("augmentation.mixup_alpha", 0.0, "augmentation.mixup_alpha must be from 0.001 to 1000, got 0.0"),
        ("optimiser.lr", 0.0, "optimiser.lr must be from 1e-12"),
        ("optimiser.lr", NOT_A_NUMBER, "optimiser.lr must be from 1e-12 to 10, got nan"),
        ("optimiser.decay", -0.3, "optimiser.decay must be from 1e-12 to 1,"),
        ("optimiser.decay_every", 0, "optimiser.decay_every must be from 1 to 10000000"),
        ("optimiser.clip_norm", 0.0, "optimiser.clip_norm must be from 1e-12"),
    ],
)
def test_ranges(path: str, value: Any, message: str) -> None:
    config = from_plain(SticConfig, changed(path, value))
    with pytest.raises(InputError, match=message):
        check(config)


def test_the_defaults_are_the_papers() -> None:
    config = SticConfig()
    assert (config.batch_size, config.passes, config.iterations) == (50, 10, 5000)
    assert (config.network.depth, config.network.width, config.references) == (28, 10, 1)
    assert (config.optimiser.lr, config.optimiser.decay, config.optimiser.decay_every) == (1e-4, 0.3, 10_000)
    assert config.augmentation.noise_std == 0.3
    assert config.pool.restart_probability == 0.5 and config.pool.start == "uniform"
    assert config.vrm == "on" and config.normalize == "log"
    for sampler in (config.sampler, config.pool.sampler):
        assert (sampler.eps1, sampler.eps2, sampler.eps3) == (0.95, 0.95, 0.015)
        assert sampler.schedule == "constant" and sampler.clamp == (-1.0, 1.0)


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SticConfig().passes = 3  # type: ignore[misc]
