# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What holds for every method: its settings survive JSON, its runs open and draw, and a divergence undoes all of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from stic_fast.errors import Diverged, InputError
from stic_fast.sampling import GRMALA, Adam, AnnealedGRMALA, Guidance
from stic_fast.training import (
    METHODS,
    AverageConfig,
    Gmmc,
    GmmcConfig,
    IcnConfig,
    IgmConfig,
    ImageSampler,
    InnConfig,
    Jem,
    JemConfig,
    NetworkConfig,
    PoolConfig,
    Progress,
    ReplayConfig,
    RunConfig,
    RunFolder,
    ScoreSticConfig,
    SoftmaxConfig,
    SticConfig,
    WinnConfig,
    open_run,
    resume,
    train,
)
from stic_fast.training.config import DiscriminatorConfig, ScoreNetworkConfig, check, from_plain, to_plain
from stic_fast.training.igm import NegativesConfig, PatchConfig
from stic_fast.training.jem import DensityWeights
from stic_fast.training.methods import method_of
from stic_fast.training.score_stic import FakesConfig, ScoreConfig

NAMES = ["stic", "score-stic", "gmmc", "jem", "softmax", "igm", "inn", "icn", "winn"]
UNUSUAL: dict[str, RunConfig] = {
    "stic": SticConfig(pool=PoolConfig(refresh=3, start="blank"), references=2, vrm="off", normalize="none"),
    "score-stic": ScoreSticConfig(
        network=ScoreNetworkConfig(channels=(8,), sigma_read=0.1, gram_layers=("middle.first",)),
        score=ScoreConfig(weight=3.0, denoised=7, withheld=0.5, log_sigma_mean=0.0),
        fakes=FakesConfig(images=9, sampler=AnnealedGRMALA(steps=3, correctors=2, eps2=0.5)),
        average=AverageConfig("half_life", half_life=9),
        guidance=Guidance(label=2.0, classifier=0.5, lowest=0.1, highest=10.0),
        vrm="off",
    ),
    "gmmc": GmmcConfig(
        mode="joint",
        beta=0.25,
        switch=0.75,
        ramp=7,
        dimension=9,
        scale=3.5,
        sampling="injected",
        pool=ReplayConfig(chains=77, restart_probability=0.0, start="normal", sampler=GRMALA(steps=3, clamp=None)),
        network=NetworkConfig(depth=16, width=2, gram_layers=("conv3",)),
    ),
    "jem": JemConfig(weights=DensityWeights(0.0, 0.5, 2.0), pool=ReplayConfig(start="blank"), seed=2**64 - 1),
    "softmax": SoftmaxConfig(data="npz:photos.npz", passes=3),
    "igm": IgmConfig(
        networks=35,
        climb="grmala",
        network=DiscriminatorConfig(channels=(8,), whole="on", smooth="off", batch_norm="on", gram_layers=("conv1",)),
        patches=PatchConfig(side=16, cover=3.0, canvas=40, margin=5),
        negatives=NegativesConfig(chains=3, rounds=2, recent=1.0, sigma=0.0, stop=1.0, window=1),
        sampler=Adam(steps=3, eps3=0.1, schedule="cosine"),
    ),
    "inn": InnConfig(networks=None, patches=PatchConfig(side=6, canvas=9, margin=0)),
    "icn": IcnConfig(introspection=0.0, networks=None),
    "winn": WinnConfig(penalty=0.0, networks=2),
}


def test_every_method_has_a_name_and_settings_of_its_own() -> None:
    assert list(METHODS) == NAMES
    for name, method in METHODS.items():
        assert method.name == name and method_of(method.settings()) is method
    assert len({method.settings for method in METHODS.values()}) == len(METHODS)
    with pytest.raises(InputError, match=r"RunConfig.*SticConfig, GmmcConfig"):
        method_of(RunConfig())


@pytest.mark.parametrize("name", NAMES)
def test_settings_go_through_json_and_back(name: str) -> None:
    for config in (METHODS[name].settings(), UNUSUAL[name]):
        assert type(config) is METHODS[name].settings
        back = from_plain(type(config), json.loads(json.dumps(to_plain(config))))
        assert back == config
        check(back)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("gmmc", "mode", "both"),
        ("gmmc", "sampling", "once"),
        ("gmmc", "dimension", 9.5),
        ("gmmc", "pool.sampler.eps1", "far"),
        ("gmmc", "pool.chains", 0),
        ("jem", "weights.image", None),
        ("jem", "weights.pixels", 1.0),
        ("jem", "mode", "joint"),
        ("jem", "pool.chains", 49),
        ("jem", "pool.restart_probability", -0.1),
        ("softmax", "pool", {}),
        ("softmax", "optimiser.largest_loss", 0),
    ],
)
def test_wrong_settings_are_named(name: str, path: str, value: Any) -> None:
    plain: dict[str, Any] = json.loads(json.dumps(to_plain(METHODS[name].settings())))
    *outer, last = path.split(".")
    place = plain
    for part in outer:
        place = place[part]
    place[last] = value
    with pytest.raises(InputError, match=rf"(^|\W){path}\b"):
        check(from_plain(METHODS[name].settings, plain))


def test_settings_made_in_python_are_held_to_their_types() -> None:
    wrong: list[tuple[RunConfig, str]] = [
        (SticConfig(vrm="maybe"), "vrm"),  # type: ignore[arg-type]
        (GmmcConfig(mode="generativ"), "mode"),  # type: ignore[arg-type]
        (JemConfig(passes=2.5), "passes"),  # type: ignore[arg-type]
        (JemConfig(pool=ReplayConfig(start="grey")), "pool.start"),  # type: ignore[arg-type]
    ]
    for config, path in wrong:
        with pytest.raises(InputError, match=f"the configuration: {path} cannot be"):
            check(config)


SAMPLER_OF_OLD = {
    "steps": 40,
    "eps1": 0.95,
    "eps2": 0.95,
    "eps3": 0.015,
    "schedule": "constant",
    "max_gram_ratio": None,
    "clamp": [-1.0, 1.0],
    "precision": "fp32",
}
SETTINGS_OF_OLD = {
    "data": "digits",
    "seed": 4,
    "passes": 1,
    "iterations": 1,
    "batch_size": 4,
    "vrm": "on",
    "network": {"depth": 10, "width": 1, "strides": [1, 2, 2], "gram_layers": []},
    "optimiser": {"lr": 0.001, "decay": 0.3, "decay_every": 10000, "clip_norm": 1.0, "precision": "fp32"},
    "augmentation": {"noise_std": 0.3, "mixup_alpha": 1.0, "flip_probability": 0.0, "max_shift": 0},
    "pool": {
        "chains": 500,
        "restart_probability": 0.5,
        "start": "uniform",
        "batch_size": 250,
        "sampler": SAMPLER_OF_OLD,
    },
    "references": 4,
    "normalize": "log",
    "sampler": {**SAMPLER_OF_OLD, "steps": 1},
    "log_every": 10,
    "checkpoint_every": 1000,
}
"""As the first version with a command line wrote them."""


def test_a_stic_run_of_the_first_version_opens_and_resumes(tmp_path: Path) -> None:
    config = from_plain(SticConfig, SETTINGS_OF_OLD)
    assert config.pool.refresh == 0 and config.optimiser.guard == "on" and config.references == 4
    train(config, tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(json.dumps({"method": "stic", "settings": SETTINGS_OF_OLD}))
    for sums in (tmp_path / "run").rglob("SHA256SUMS"):
        sums.unlink()
    file = RunFolder(tmp_path / "run").newest_checkpoint().path / "state.pt"
    state = torch.load(file, weights_only=True)
    del state["method"]["previous"]
    torch.save(state, file)
    assert open_run(tmp_path / "run").config == resume(tmp_path / "run").config == config


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_opens_again_and_draws_as_its_method_does(
    tiny_of: dict[str, RunConfig], tmp_path: Path, name: str, precision: Any
) -> None:
    tiny = tiny_of[name]
    config = dataclasses.replace(
        tiny, passes=1, iterations=2, optimiser=dataclasses.replace(tiny.optimiser, precision=precision)
    )
    trained = train(config, tmp_path / "run")
    opened = open_run(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["method"] == name
    assert opened.config == config and type(opened.model) is type(trained.model)
    state = trained.model.state_dict()
    assert state.keys() == opened.model.state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in opened.model.state_dict().items())
    assert all(parameter.dtype == torch.float32 for parameter in opened.model.parameters())
    assert opened.recipe.stages[0].sampler == config.sampler

    known = opened.model.num_classes
    assert known == len(opened.class_names) == (10 if opened.method.labelled else 1)
    classes = torch.arange(10) % known
    drawn = [ImageSampler(run, seed=3, steps=5).of_classes(classes, Progress()) for run in (trained, opened)]
    canvas = ImageSampler(opened, seed=3, steps=0).of_classes(classes, Progress())
    assert drawn[0].shape == (10, 1, 8, 8) and torch.equal(*drawn)
    assert bool((drawn[1] != canvas).flatten(1).any(1).all()), "its chains move"
    start, end = 3 % known, 8 % known
    path = ImageSampler(opened, seed=3).of_paths(start, end, 2, [0.0, 0.5, 1.0], Progress())
    assert path.shape == (6, 1, 8, 8) and torch.equal(
        path, ImageSampler(opened, seed=3).of_paths(start, end, 2, [0.0, 0.5, 1.0], Progress())
    )


@pytest.mark.parametrize("kind", [Jem, Gmmc])
def test_a_divergence_puts_buffer_and_buffers_back(
    tiny_of: dict[str, RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Jem] | type[Gmmc]
) -> None:
    """At iteration 5, once its chains have run and γ² has moved; the checkpoint but one before holds iteration 2."""
    whole_loss, seen = kind.loss, []

    def loss(self: Any, iteration: int) -> Any:
        if iteration == 2:
            weights, chains = (
                {name: value.clone() for name, value in part.state_dict().items()} for part in (self.model, self.pool)
            )
            seen.append((self.pool, weights, chains))
        found = whole_loss(self, iteration)
        if iteration == 5 and len(seen) == 1:
            raise Diverged("3 of 8 chains diverged to NaN")
        return found

    monkeypatch.setattr(kind, "loss", loss)
    run = train(tiny_of[kind.name], tmp_path / "run")
    assert len(seen) == 2, "iteration 2 came twice"
    (pool, weights, chains), (other_pool, other_weights, other_chains) = seen
    assert pool is not other_pool
    for before, after in ((weights, other_weights), (chains, other_chains)):
        assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert int(chains["clock"][0]) == 2, "one round for each iteration"
    (record,) = [record for record in run.folder.read_metrics() if record["kind"] == "divergence"]
    assert (record["at"], record["iteration"], record["why"]) == (5, 2, "3 of 8 chains diverged to NaN")
    assert all(bool(value.isfinite().all()) for value in run.model.state_dict().values())


def test_a_buffer_of_another_size_is_refused(tiny_jem: JemConfig, tmp_path: Path) -> None:
    train(dataclasses.replace(tiny_jem, passes=1, iterations=1), tmp_path / "run")
    file = tmp_path / "run" / "config.json"
    plain = json.loads(file.read_text())
    plain["settings"]["pool"]["chains"] = 21
    file.write_text(json.dumps(plain))
    file.with_name("SHA256SUMS").unlink()
    with pytest.raises(InputError, match=r"20 hard.*21 hard"):
        resume(tmp_path / "run")
