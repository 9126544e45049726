# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Score-STIC where the score is of one noise level: the paper's network, its loss, and how it draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from stic_fast.data import ImageSet, Splits, load
from stic_fast.errors import InputError
from stic_fast.models import ScoreClassifier, ScoreUNet, ScoreWideResNet
from stic_fast.noise_addresses import BATCH_ROWS
from stic_fast.sampling import GRMALA, ClassScore, Guidance, NoiseSpace, PixelSpace
from stic_fast.training import ImageSampler, Progress, VicinityConfig, open_run, train
from stic_fast.training.config import ScoreNetworkConfig, check, from_plain, to_plain
from stic_fast.training.footprint import training_bytes
from stic_fast.training.network import score_network_of
from stic_fast.training.score_matching import ScoreConfig, brier_loss, probes, sliced_loss
from stic_fast.training.score_stic import PRESETS, FakesConfig, ScoreStic, ScoreSticConfig

QUICK = GRMALA(steps=2, eps1=0.08)
PAPER = replace(
    PRESETS["cifar10-paper"],
    data="digits",
    passes=2,
    iterations=4,
    batch_size=4,
    network=ScoreNetworkConfig(architecture="wide_resnet", depth=10, width=1, sigma_read=0.3),
    score=replace(PRESETS["cifar10-paper"].score, trace="derivative", denoised=6),
    fakes=FakesConfig(images=8, batch_size=8, one_level=QUICK),
    one_level=QUICK,
    log_every=1,
    checkpoint_every=2,
)
SLICED = replace(
    PAPER,
    network=ScoreNetworkConfig(channels=(4, 8), sigma_read=0.3),
    score=replace(PAPER.score, withheld=0.5),
)


def method_of(config: ScoreSticConfig, splits: Splits) -> ScoreStic:
    return ScoreStic(ScoreStic.build(config, splits), splits, config)


def test_the_papers_preset_is_the_papers_network_with_the_papers_numbers() -> None:
    paper = PRESETS["cifar10-paper"]
    check(paper)
    assert (paper.network.architecture, paper.network.depth, paper.network.width) == ("wide_resnet", 28, 10)
    assert (paper.batch_size, paper.optimiser.lr, paper.optimiser.decay) == (50, 1e-4, 0.3)
    assert (paper.optimiser.decay_every, paper.optimiser.root_after, paper.optimiser.warm_up) == (10_000, 0, 0)
    assert paper.augmentation == VicinityConfig() and paper.augmentation.noise_std == paper.network.sigma_read == 0.3
    assert (paper.score.loss, paper.score.brier, paper.average.profile) == ("sliced", 1.0, "off")
    sampler, weight = paper.one_level, paper.guidance.classifier
    assert (sampler.eps1 * weight, sampler.eps2, sampler.eps3) == (pytest.approx(0.95), 0.95, 0.015)
    assert sampler.eps1 / paper.network.sigma_read**2 == pytest.approx(0.95)


@pytest.mark.parametrize("config", [PAPER, SLICED])
def test_chains_of_one_level_are_those_of_equation_3(config: ScoreSticConfig, splits: Splits) -> None:
    model = ScoreStic.build(config, splits)
    for fakes in (False, True):
        recipe = ScoreStic.recipe_of(config, model, fakes=fakes)
        (stage,) = recipe.stages
        assert stage.sampler is (config.fakes.one_level if fakes else config.one_level)
        assert stage.objective == ClassScore(config.guidance) and recipe.space == PixelSpace()
    of_many = ScoreStic.recipe_of(ScoreSticConfig(), model)
    assert isinstance(of_many.space, NoiseSpace) and of_many.stages[0].sampler is not of_many.stages[0].objective


def networks(config: ScoreSticConfig, splits: Splits, **changes: Any) -> ScoreClassifier:
    return score_network_of(replace(config.network, **changes), splits, seed=3)


def test_either_network_has_the_settings_that_it_reads(splits: Splits) -> None:
    wide, unet = (networks(config, splits) for config in (PAPER, SLICED))
    assert isinstance(wide, ScoreWideResNet) and (wide.trunk.depth, wide.trunk.width) == (10, 1)
    assert isinstance(unet, ScoreUNet) and unet.channels == (4, 8)
    assert wide.sigma_read == unet.sigma_read == 0.3 and wide.in_channels == unet.in_channels == 1
    assert wide.num_logits == unet.num_logits == 4
    assert networks(PAPER, splits, gram_layers=("conv3",)).gram_layers == ("conv3",)
    before = torch.get_rng_state()
    again = networks(PAPER, splits)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(wide.parameters(), again.parameters(), strict=True))


def test_settings_from_before_there_were_two_networks_are_the_unets() -> None:
    plain = to_plain(ScoreSticConfig())
    for name in ("architecture", "depth", "width"):
        del plain["network"][name]
    for name in ("loss", "probes", "trace", "brier"):
        del plain["score"][name]
    del plain["one_level"], plain["fakes"]["one_level"]
    assert from_plain(ScoreSticConfig, plain) == ScoreSticConfig()


@pytest.mark.parametrize("config", [PAPER, SLICED], ids=["wide_resnet", "unet"])
@pytest.mark.parametrize("kind", ["signs", "normal"])
def test_the_loss_is_equation_5_the_sliced_score_and_brier(config: ScoreSticConfig, kind: Any, splits: Splits) -> None:
    """Each term by itself, from a pass of its own."""
    withheld = 0 if config is PAPER else 3
    config = replace(config, score=replace(config.score, probes=kind, weight=2.5, brier=0.5, withheld=withheld / 6))
    method = method_of(config, splits)
    model = method.model.eval()
    assert isinstance(model, ScoreClassifier)
    found = method.loss(5)

    clean, labels, ids = method.real.clean(4, 5, 6)
    assert torch.equal(ids, BATCH_ROWS.ids(6, start=4 * config.batch_size))
    noisy, _ = method.real.of_drawn(clean, labels.argmax(1), 4, 5)  # noise of 0.3 at the same address
    noisy.requires_grad_()
    told = labels[:, :3].clone()
    told[:withheld] = 0
    shown = {"labels": told} if model.takes_labels else {}
    v = probes(noisy.shape, kind, seed=0, step=5, chain_ids=ids)
    score = sliced_loss(model.score(noisy, 0.3, **shown), noisy, v) * 0.3**2 / 64
    logits = model.at_noise(noisy, 0.3, **shown).logits
    expected = {"score": score, "loss_brier": 0.5 * brier_loss(logits[: withheld or 6], labels[: withheld or 6])}
    if withheld:
        expected["loss_noisy"] = cross_entropy(logits[:withheld], labels[:withheld])
    read, targets = method._read(5)
    for name, images, target in zip(method.kinds, read.split(4), targets, strict=True):
        expected[f"loss_{name}"] = cross_entropy(model(images), target)
    for name, value in expected.items():
        torch.testing.assert_close(found.terms[name], value.detach(), rtol=2e-4, atol=1e-5, msg=name)
    total = 2.5 * score + sum(value for name, value in expected.items() if name != "score")
    torch.testing.assert_close(found.terms["loss"], total.detach(), rtol=2e-4, atol=1e-5)
    assert found.terms.keys() == {"loss", "accuracy", *expected}
    slopes = [torch.autograd.grad(value, list(model.parameters()), allow_unused=True) for value in (found.total, total)]
    for ours, theirs in zip(*slopes, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            assert (ours - theirs).norm() <= 1e-3 * theirs.norm() + 1e-6


@pytest.mark.parametrize(("config", "trace"), [(SLICED, "derivative"), (PAPER, "difference")])
def test_the_sliced_score_is_learnt(config: ScoreSticConfig, trace: Any) -> None:
    options = replace(config.score, trace=trace, weight=10.0, denoised=32)
    method = method_of(replace(config, score=options), load("digits"))
    weights, scores = list(method.model.parameters()), list[float]()
    descent = torch.optim.Adam(weights, lr=3e-3)
    for iteration in range(80):
        found = method.loss(iteration)
        descent.zero_grad()
        found.total.backward(inputs=weights)
        descent.step()
        scores.append(found.terms["score"].item())
    assert sum(scores[-10:]) / 10 < sum(scores[:10]) / 10 - 0.05


def test_differences_agree_with_the_derivative_where_the_score_is_smooth(splits: Splits) -> None:
    """Of the U-shaped network, and with it every other term, from images a little aside."""
    terms = []
    for trace in ("derivative", "difference"):
        method = method_of(replace(SLICED, score=replace(SLICED.score, trace=trace)), splits)  # type: ignore[arg-type]
        method.model.eval()
        terms.append(method.loss(2).terms)
    assert terms[0].keys() == terms[1].keys()
    for name, value in terms[0].items():
        assert terms[1][name].item() == pytest.approx(value.item(), rel=0.15, abs=0.02), name


def test_a_pass_back_that_is_differentiated_takes_as_much_memory_again() -> None:
    assert PAPER.at_once().images == 2 * 6 + 4 * 4
    assert replace(SLICED, score=replace(SLICED.score, loss="denoising")).at_once().images == 6 + 4 * 4
    paper = PRESETS["cifar10-paper"]
    labels = torch.arange(100) % 10
    part = ImageSet(torch.zeros(100, 3, 32, 32, dtype=torch.uint8), labels, tuple("0123456789"), "images")
    assert sum(training_bytes(paper, Splits(part, part)).values()) < 8 * 2**30


def test_bf16_passes_give_a_finite_loss(splits: Splits) -> None:
    for config in (PAPER, SLICED):
        method = method_of(config, splits)
        with torch.autocast("cpu", torch.bfloat16):
            half = method.loss(0)
        half.total.backward(inputs=list(method.model.parameters()))
        assert half.terms["loss"].item() == pytest.approx(method.loss(0).terms["loss"].item(), rel=0.1)
        assert all(p.grad.isfinite().all() for p in method.model.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"score": ScoreConfig()},
            r"^network.architecture=wide_resnet .* score.loss=denoising .* set score.loss=sliced",
        ),
        ({"guidance": Guidance()}, r"^guidance.classifier must be above 0 for network.architecture=wide_resnet"),
        (
            {"network": ScoreNetworkConfig(), "score": ScoreConfig(brier=1.0, withheld=0.0)},
            r"^score.brier reads images whose label is withheld, got none; raise score.withheld",
        ),
    ],
)
def test_settings_that_do_not_go_together(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        check(replace(PAPER, **changes))


def test_the_papers_form_trains_draws_and_opens(tmp_path: Path) -> None:
    trained = train(PAPER, tmp_path / "run").model
    run = open_run(tmp_path / "run")
    assert isinstance(run.model, ScoreWideResNet) and run.config == PAPER
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, trained.state_dict()[name])
    images = ImageSampler(run, seed=0).of_numbers(torch.arange(10), Progress())
    assert images.dtype == torch.uint8 and images.shape == (10, 1, 8, 8) and len(images.unique()) > 20
