# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The introspective cascade: its loss, its rounds, what a finished one draws, and that a killed one goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import softplus

from stic_fast.data import load
from stic_fast.errors import InputError
from stic_fast.noise_addresses import POOL
from stic_fast.ops import noise
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.sampling import GRMALA, Adam, draw_hard, draw_images
from stic_fast.training import Igm, IgmConfig, ImageSampler, Progress, TrainedRun, open_run, resume, train
from stic_fast.training.config import AugmentationConfig, DiscriminatorConfig
from stic_fast.training.igm import NegativesConfig, PatchConfig
from stic_fast.training.method import Loss
from stic_fast.training.network import discriminator_of

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes of 24×26 pixels in two colours."""
    path = tmp_path_factory.mktemp("texture") / "stripes.png"
    rows, columns = np.mgrid[:24, :26]
    stripes = np.stack([127 + 100 * np.sin((rows + columns) / 2), 40 + 0 * rows, 127 + 100 * np.cos(rows - columns)], 2)
    Image.fromarray(stripes.astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def config(source: Path) -> IgmConfig:
    return IgmConfig(
        data=f"image:{source}",
        passes=3,
        iterations=4,
        batch_size=3,
        network=DiscriminatorConfig(channels=(4, 8)),
        patches=PatchConfig(side=18),
        negatives=NegativesConfig(chains=5, rounds=3, window=3),
        sampler=Adam(steps=7, eps1=0.05),
        log_every=2,
        checkpoint_every=3,
    )


@pytest.fixture(scope="module")
def run(config: IgmConfig, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    return train(config, tmp_path_factory.mktemp("igm") / "run")


def negatives_of(run: TrainedRun) -> torch.Tensor:
    negatives: torch.Tensor = run.folder.newest_checkpoint().load_state()["method"]["negatives"]
    return negatives


def test_fresh_chains_go_the_way_of_those_that_trained(run: TrainedRun) -> None:
    """The networks of all rounds, loaded one after the other, lead from the same noise to the same images."""
    ids, train_set = POOL.ids(5), run.splits.train
    asked = draw_hard(train_set.labels, torch.zeros(5, dtype=torch.int64), ids, seed=0)
    opened = open_run(run.folder.path)
    assert (len(opened.recipe.stages), opened.recipe.steps, opened.passes) == (3, 21, 3)
    for batch_size in (5, 2):
        drawn = draw_images(
            opened.model,
            opened.recipe,
            asked,
            train_set.images,
            train_set.labels,
            seed=0,
            chain_ids=ids,
            batch_size=batch_size,
        )
        differ = drawn.int() - to_bytes(negatives_of(run)[-1]).int()
        assert differ.abs().max() <= 1 and drawn.float().std() > 10, "but for rounding"
    assert len(opened.after_pass(2).recipe.stages) == 2 and not opened.after_pass(0).recipe.stages


def test_negatives_are_those_of_the_last_rounds(run: TrainedRun, config: IgmConfig) -> None:
    negatives = negatives_of(run)
    assert negatives.shape == (3, 5, 3, 24, 26), "the start is forgotten: three rounds are kept"
    model = open_run(run.folder.path, pass_number=0).model
    untrained = Igm(model, run.splits, config).negatives
    assert untrained.shape == (1, 5, 3, 24, 26) and abs(untrained.std().item() - 0.3) < 0.02
    moved = [(one - two).abs().mean().item() for one, two in zip(negatives[1:], negatives, strict=False)]
    assert min(moved) > 0.01, "every round moves them"


def test_the_loss_tells_real_patches_from_drawn_ones(run: TrainedRun, config: IgmConfig) -> None:
    """Section 3.2.1, over all patches of both kinds, by hand."""
    method = Igm(run.model, run.splits, config)
    method.negatives = negatives_of(run)
    loss = method.loss(5)
    real, _ = method.real.patches(0, 5, (18, 18))
    likelier = torch.tensor([0.25, 0.5, 1.0]).repeat_interleave(5)
    drawn, _ = method.real.patches(1, 5, (18, 18), method.negatives.flatten(0, 1), likelier, wrap=True)
    odds = [run.model.logits_and_features(each, ["log_odds"])[1][0] for each in (real, drawn)]
    assert odds[0].shape == (3, 1, 2, 2)
    expected = softplus(-odds[0]).mean() + softplus(odds[1]).mean()
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(loss.terms["p_drawn"], odds[1].sigmoid().mean())


def test_the_penalty_is_that_of_the_slope_at_both_kinds_of_patches(run: TrainedRun, config: IgmConfig) -> None:
    plain, penalised = (Igm(run.model, run.splits, replace(config, penalty=weight)) for weight in (0.0, 3.0))
    before, after = plain.loss(5), penalised.loss(5)
    real, _ = plain.real.patches(0, 5, (18, 18))
    drawn, _ = plain.real.patches(1, 5, (18, 18), plain.negatives.flatten(0, 1), wrap=True)
    seen = torch.cat([real, drawn]).requires_grad_()
    odds = run.model.logits_and_features(seen, ["log_odds"])[1][0].mean((1, 2, 3))
    (slopes,) = torch.autograd.grad(odds.sum(), seen, create_graph=True)
    variance = to_unit(run.splits.train.images)[0].flatten(1).var(1, correction=0).mean()
    penalty = 3.0 * variance * slopes.square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(after.terms["loss_penalty"], penalty.detach())
    torch.testing.assert_close(after.total, before.total + penalty)
    weights = list(run.model.parameters())
    found, wanted = (torch.autograd.grad(each, weights[:1])[0] for each in (after.total, before.total + penalty))  # type: ignore[arg-type, operator]
    torch.testing.assert_close(found, wanted)


def test_patches_lie_anywhere_and_recent_rounds_are_likelier(config: IgmConfig) -> None:
    splits = load(config.data)
    config = replace(config, batch_size=1_600, augmentation=AugmentationConfig(noise_std=0.0))
    method = Igm(discriminator_of(config.network, splits, seed=0), splits, config)
    flat = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 3, 24, 26) / 4
    patches, rows = method.real.patches(1, 0, (18, 18), flat, torch.tensor([0.25, 0.5, 1.0]))
    assert torch.equal((patches[:, 0, 0, 0] * 4).long(), rows)
    share = rows.bincount(minlength=3) / 1_600
    torch.testing.assert_close(share, torch.tensor([1.0, 2.0, 4.0]) / 7, atol=0.06, rtol=0)
    real, _ = method.real.patches(0, 0, (18, 18))
    image = splits.train.images[0] / 127.5 - 1
    windows = image.unfold(1, 18, 1).unfold(2, 18, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    nearest = torch.cdist(real.flatten(1), windows.flatten(1)).min(1)
    assert nearest.values.max() < 0.02 and len(nearest.indices.unique()) == 7 * 9, "every window of the image"


def test_noise_on_patches_is_that_of_their_row(config: IgmConfig) -> None:
    splits = load(config.data)
    noisy = replace(config, augmentation=AugmentationConfig(noise_std=0.2))
    still = replace(config, augmentation=AugmentationConfig(noise_std=0.0))
    (one, negatives), (two, _) = (
        (method.real, method.negatives[0])
        for method in (Igm(discriminator_of(each.network, splits, seed=0), splits, each) for each in (noisy, still))
    )
    for place, of in ((0, None), (1, negatives)):
        kick = one.patches(place, 9, (18, 18), of)[0] - two.patches(place, 9, (18, 18), of)[0]
        ids = one._ids(3, place)
        wanted = noise.normal(kick.shape, seed=0, step=9, chain_ids=ids, stream=noise.Stream.INSTANCE_NOISE)
        torch.testing.assert_close(kick, 0.2 * wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kept", ["pass_000", "pass_001", "pass_001_iteration_000003", "pass_002"])
def test_a_killed_run_goes_on_to_the_same_bits(
    config: IgmConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    whole = train(config, tmp_path / "whole")
    wanted, digest = negatives_of(whole), whole.folder.newest_checkpoint().load_weights()
    stopped = tmp_path / "stopped"
    number, _, iteration = kept.removeprefix("pass_").partition("_iteration_")
    loss, at = Igm.loss, int(iteration) if iteration else 4 * int(number) + 1

    def until(self: Igm, now: int) -> Loss:
        if now == at:
            raise KeyboardInterrupt
        return loss(self, now)

    with monkeypatch.context() as patch:
        patch.setattr(Igm, "loss", until)
        with pytest.raises(KeyboardInterrupt):
            train(config, stopped)
    assert open_run(stopped).folder.newest_checkpoint().name == kept
    again = resume(stopped)
    assert torch.equal(negatives_of(again), wanted)
    weights = again.folder.newest_checkpoint().load_weights()
    assert all(torch.equal(weights[name], value) for name, value in digest.items())


def test_one_network_throughout(config: IgmConfig, tmp_path: Path) -> None:
    """IGM-single starts each round from noise, and draws by its last network alone."""
    run = train(replace(config, networks=1, passes=2), tmp_path / "single")
    assert len(run.recipe.stages) == 1
    negatives = negatives_of(run)
    assert (negatives[-1] - negatives[0]).abs().mean() < 0.05 * 7 + 0.4 and negatives.shape[0] == 3


def test_langevin_steps_instead_of_adam(config: IgmConfig, tmp_path: Path) -> None:
    langevin = GRMALA(steps=4, eps1=0.1, eps2=0.0, eps3=0.01)
    run = train(replace(config, climb="grmala", langevin=langevin, passes=1), tmp_path / "langevin")
    assert run.recipe.stages[0].sampler == langevin and run.recipe.steps == 4


def test_canvases_of_their_own_size_while_it_trains(config: IgmConfig, tmp_path: Path) -> None:
    run = train(replace(config, patches=replace(config.patches, canvas=20), passes=1), tmp_path / "canvas")
    assert negatives_of(run).shape == (2, 5, 3, 20, 20)
    drawn = ImageSampler(run, seed=0).of_classes(torch.zeros(2, dtype=torch.int64), Progress())
    assert drawn.shape == (2, 3, 24, 26), "finished ones are as large as the source"


def test_a_margin_is_there_while_it_draws_and_gone_in_pictures(config: IgmConfig, tmp_path: Path) -> None:
    run = train(replace(config, patches=replace(config.patches, margin=8), passes=1), tmp_path / "margin")
    assert negatives_of(run).shape[-2:] == (40, 42)
    assert run.recipe.of_images(run.image_shape).space.decode(negatives_of(run)[-1]).shape == (5, 3, 24, 26)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patches": PatchConfig(side=25)}, "patches.side must be from 1 to 24, inside the images, got 25"),
        ({"networks": 2}, "passes must be a multiple of networks=2, got 3; change either"),
        ({"patches": PatchConfig(side=None, canvas=20)}, "patches.canvas is for patches; set patches.side too"),
        (
            {"patches": PatchConfig(side=None), "network": DiscriminatorConfig(channels=(4,), whole="on")},
            "images that are read as a whole must be square, got 24x26 pixels",
        ),
        ({"network": DiscriminatorConfig()}, "at least 62 pixels a side"),
        ({"passes": 10**6, "sampler": Adam(steps=10**5)}, "steps of all networks must be"),
    ],
)
def test_settings_that_cannot_be(config: IgmConfig, tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(replace(config, **changes), tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
