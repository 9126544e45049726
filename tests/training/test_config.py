# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Settings survive JSON, wrong ones are named, and the defaults are the paper's."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from stic_fast.counts import LATER
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
    ("path", "value", "fault"),
    [
        *(("passes", wrong, "must be int") for wrong in ("ten", 2.5, True, None, [3])),
        ("data", None, "must be str"),
        ("vrm", "maybe", "'on', 'off'"),
        *((f"optimiser.{name}", wrong, "must be float") for name in ("lr", "clip_norm") for wrong in ("fast", False)),
        ("pool.sampler.schedule", "square", "'square'"),
        ("pool.sampler.steps", -1, "must be from 0 to 10000000"),
        ("network", 28, "must be an object"),
        ("network.gram_layers", "conv3", "must be tuple"),
        ("network.gram_layers", [3], "must be str"),
        ("network.strides", [1, 2], "must be tuple"),
        ("network.strides", [1, 2, 2, 2], "must be tuple"),
        ("sampler.clamp", [0.0], "must be tuple"),
        ("sampler.clamp", ["low", 1.0], "must be float"),
        ("colour", "red", "unknown setting"),
        ("pool.colour", "red", "unknown setting"),
        ("pool.sampler.colour", "red", "unknown setting"),
    ],
)
def test_wrong_settings_are_named(path: str, value: Any, fault: str) -> None:
    with pytest.raises(InputError, match=rf"^run/config\.json\b.*\b{path}\b") as refused:
        from_plain(SticConfig, changed(path, value), "run/config.json")
    assert fault in str(refused.value)


@pytest.mark.parametrize("path", ["passes", "optimiser.decay", "pool.sampler.eps1"])
def test_missing_settings_are_named(path: str) -> None:
    plain = changed(path, None)
    *outer, last = path.split(".")
    place = plain
    for name in outer:
        place = place[name]
    del place[last]
    with pytest.raises(InputError, match=rf"^run/config\.json lacks the setting '{path}'"):
        from_plain(SticConfig, plain, "run/config.json")


def test_settings_that_older_runs_lack_are_what_those_runs_did() -> None:
    plain = to_plain(SticConfig())
    for sampler in (plain["sampler"], plain["pool"]["sampler"]):
        del sampler["layout"], sampler["capture"]
    del plain["network"]["architecture"], plain["pool"]["refresh"]
    del plain["optimiser"]["guard"], plain["optimiser"]["largest_loss"], plain["optimiser"]["decay_at"]
    assert from_plain(SticConfig, plain) == SticConfig()


def test_a_method_of_ones_own_says_which_of_its_settings_came_later() -> None:
    @dataclasses.dataclass(frozen=True)
    class Grown(SticConfig):
        margin: float = dataclasses.field(default=0.5, metadata=LATER)
        layout: str = "wide"  # the name of another class's later setting

    plain = to_plain(SticConfig())
    assert from_plain(Grown, {**plain, "layout": "narrow"}).margin == 0.5
    with pytest.raises(InputError, match="lacks the setting 'layout'"):
        from_plain(Grown, plain)


NOT_A_NUMBER = float("nan")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((name, 0) for name in ("passes", "iterations", "batch_size", "log_every", "checkpoint_every", "references")),
        *(("seed", wrong) for wrong in (-1, 2**64)),
        ("pool.chains", 1),
        ("pool.batch_size", 0),
        *(("pool.restart_probability", wrong) for wrong in (1.5, NOT_A_NUMBER)),
        ("augmentation.flip_probability", -0.1),
        *(("augmentation.noise_std", wrong) for wrong in (-0.1, NOT_A_NUMBER)),
        ("augmentation.max_shift", -1),
        ("augmentation.mixup_alpha", 0.0),
        *(("optimiser.lr", wrong) for wrong in (0.0, NOT_A_NUMBER)),
        ("optimiser.decay", -0.3),
        ("optimiser.decay_every", 0),
        ("optimiser.decay_at", [3, -1]),
        ("optimiser.clip_norm", 0.0),
        ("network.strides", [1, 2, 65]),
    ],
)
def test_ranges(path: str, value: Any) -> None:
    config = from_plain(SticConfig, changed(path, value))
    with pytest.raises(InputError, match=rf"^{path} must be from \S+ to \S+, got "):
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
