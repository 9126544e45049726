# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Score-STIC's terms, what its network is told, its fakes, and that training by them learns."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from stic_fast.data import Splits
from stic_fast.errors import InputError
from stic_fast.models import AtNoise, ScoreUNet
from stic_fast.noise_addresses import BATCH_ROWS, DENOISED_ORDER
from stic_fast.ops import noise
from stic_fast.pixels import to_unit
from stic_fast.sampling import ClassScore, Guidance, NoiseSpace
from stic_fast.training import OptimiserConfig, Progress, ScoreStic, ScoreSticConfig, build_network, train
from stic_fast.training.batch_order import BatchOrder
from stic_fast.training.config import ScoreNetworkConfig, check
from stic_fast.training.score_matching import denoising_loss, with_noise
from stic_fast.training.score_stic import DENOISED, ScoreConfig

KINDS = ["real", "mixup", "hard_fake", "soft_fake"]


def method_of(config: ScoreSticConfig, splits: Splits) -> ScoreStic:
    return ScoreStic(build_network(config, splits), splits, config)


def awake(method: ScoreStic) -> ScoreStic:
    """With a network that does something from the first iteration on."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in method.model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return method


def test_the_score_term_by_hand(tiny_score_stic: ScoreSticConfig, splits: Splits) -> None:
    method = awake(method_of(dataclasses.replace(tiny_score_stic, seed=9), splits))
    loss = method.loss(5)
    rows = BatchOrder(count=30, batch_size=16, seed=9, ids=DENOISED_ORDER).rows(5)
    clean, labels = to_unit(splits.train.images[rows]), splits.train.labels[rows]
    ids = BATCH_ROWS.ids(16, start=8 * DENOISED)
    where: dict[str, Any] = {"seed": 9, "step": 5, "chain_ids": ids}
    sigma = torch.exp(1.2 * noise.normal((16, 1), **where, stream=noise.Stream.NOISE_LEVEL)[:, 0] - 1.2)
    noisy = clean + sigma.view(-1, 1, 1, 1) * noise.normal(clean.shape, **where, stream=noise.Stream.INSTANCE_NOISE)
    shown = torch.nn.functional.one_hot(labels, 3).float()
    shown[:2] = 0  # an eighth is withheld
    network = method.model
    assert isinstance(network, ScoreUNet)
    made = network.at_noise(noisy, sigma, shown)
    weight = (sigma**2 + 0.25) / (sigma * 0.5) ** 2
    score = (weight.view(-1, 1, 1, 1) * (made.denoised - clean) ** 2).mean()
    torch.testing.assert_close(loss.terms["score"], score.detach(), rtol=1e-4, atol=1e-4)
    noisy_loss = cross_entropy(made.logits[:2], labels[:2])
    torch.testing.assert_close(loss.terms["loss_noisy"], noisy_loss.detach(), rtol=1e-4, atol=1e-4)
    others = sum(loss.terms[f"loss_{name}"] for name in [*KINDS, "noisy"])
    torch.testing.assert_close(loss.total.detach(), 10 * score.detach() + others, rtol=1e-4, atol=1e-4)
    assert list(loss.terms) == ["loss", "score", *(f"loss_{kind}" for kind in KINDS), "loss_noisy", "accuracy"]
    assert not any(term.requires_grad for term in loss.terms.values())


def test_what_is_classified_is_told_no_label(
    tiny_score_stic: ScoreSticConfig, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, calls = method_of(tiny_score_stic, splits), list[tuple[Tensor, Tensor, Tensor]]()
    at_noise = ScoreUNet.at_noise

    def watched(self: ScoreUNet, x: Tensor, sigma: Tensor, labels: Tensor, **options: Any) -> AtNoise:
        calls.append((x, sigma, labels))
        return at_noise(self, x, sigma, labels, **options)

    monkeypatch.setattr(ScoreUNet, "at_noise", watched)
    method.loss(0)
    ((x, sigma, labels),) = calls
    assert len(x) == len(sigma) == len(labels) == 16 + 4 * 8
    assert bool((labels[2:16].sum(1) == 1).all()) and not labels[:2].any() and not labels[16:].any()
    assert bool((sigma[16:] == sigma.new_tensor(0.02)).all()) and len(sigma[:16].unique()) == 16
    assert bool((x[32:] - 1).abs().max() < 0.2), "blank fakes and their instance noise"


def test_without_vrm_there_are_two_kinds(tiny_score_stic: ScoreSticConfig, splits: Splits) -> None:
    method = method_of(dataclasses.replace(tiny_score_stic, vrm="off"), splits)
    assert list(method.loss(0).terms)[2:-1] == ["loss_real", "loss_hard_fake", "loss_noisy"]
    method.start_pass(2, Progress())
    assert method.fakes is not None and len(method.fakes) == 8
    method.loss(1)


def test_with_nothing_withheld_there_is_no_noisy_term(tiny_score_stic: ScoreSticConfig, splits: Splits) -> None:
    method = method_of(dataclasses.replace(tiny_score_stic, score=ScoreConfig(denoised=4, withheld=0.0)), splits)
    assert "loss_noisy" not in method.loss(0).terms


def test_every_pass_draws_fakes_of_its_own(tiny_score_stic: ScoreSticConfig, splits: Splits) -> None:
    method = awake(method_of(tiny_score_stic, splits))
    drawn = []
    for number in (1, 2, 3):
        method.start_pass(number, Progress())
        drawn.append(method.fakes)
    assert drawn[0] is None
    first, second = (images for images in drawn if images is not None)
    assert first.shape == (8, 1, 8, 8) and first.dtype == torch.uint8
    assert not torch.equal(first, second)
    again = awake(method_of(tiny_score_stic, splits))
    again.start_pass(3, Progress())
    assert again.fakes is not None and torch.equal(again.fakes, second)
    again.load_state_dict({**method.state_dict(), "fakes": first})
    assert torch.equal(again.fakes, first)
    with pytest.raises(ValueError, match="its fakes must be uint8"):
        again.load_state_dict({**method.state_dict(), "fakes": first[:4]})


def test_fakes_are_drawn_from_hard_and_soft_labels(
    tiny_score_stic: ScoreSticConfig, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = []
    climb = ClassScore.climb

    def watched(self: ClassScore, network: Any, x: Tensor, target: Tensor, time: Any) -> Any:
        targets.append(target)
        return climb(self, network, x, target, time)

    monkeypatch.setattr(ClassScore, "climb", watched)
    method = method_of(tiny_score_stic, splits)
    method.start_pass(2, Progress())
    largest = targets[0].amax(1)
    assert bool((largest[:4] == 1).all()) and bool((largest[4:] < 1).any())
    picked = [set(map(tuple, method._fakes(iteration)[0][:8].flatten(1).tolist())) for iteration in range(6)]
    assert method.fakes is not None
    hard = set(map(tuple, method.fakes[:4].flatten(1).tolist()))
    assert set.union(*picked) == hard, "each of the hard ones comes up, and none of the soft"


def test_its_recipe_is_of_noise_levels_and_guided(tiny_score_stic: ScoreSticConfig, splits: Splits) -> None:
    config = dataclasses.replace(tiny_score_stic, guidance=Guidance(label=2.0))
    model = build_network(config, splits)
    recipe, fakes = (ScoreStic.recipe_of(config, model, fakes=fakes) for fakes in (False, True))
    assert recipe.space == NoiseSpace(sigma=80.0) and recipe.steps == fakes.steps == 2
    assert recipe.stages[0].objective == ClassScore(Guidance(label=2.0))
    assert fakes.stages[0].objective == ClassScore()


def test_noise_levels_are_log_normal() -> None:
    clean = torch.zeros(4_000, 1, 2, 2)
    noisy = with_noise(clean, mean=-0.5, std=0.8, seed=3, step=0, chain_ids=torch.arange(4_000))
    logs = noisy.sigma.log()
    assert logs.mean().item() == pytest.approx(-0.5, abs=0.05) and logs.std().item() == pytest.approx(0.8, abs=0.03)
    ratio = noisy.x.flatten(1) / noisy.sigma[:, None]
    assert ratio.std().item() == pytest.approx(1.0, abs=0.02)


def test_the_denoising_loss_of_no_denoising_is_one_at_every_level() -> None:
    """For images of deviation σ_d, of what a network gives that adds nothing: σ_d²/(σ² + σ_d²)·x."""
    generator = torch.Generator().manual_seed(0)
    clean = 0.5 * torch.randn(20_000, 1, 4, 4, generator=generator)
    for level in (0.05, 0.5, 5.0):
        x = clean + level * torch.randn(clean.shape, generator=generator)
        sigma = torch.full((len(x),), level)
        loss = denoising_loss(0.25 / (level**2 + 0.25) * x, clean, sigma, 0.5)
        assert loss.item() == pytest.approx(1.0, abs=0.01)


def test_a_short_training_learns_both(tmp_path: Path) -> None:
    config = ScoreSticConfig(
        passes=2,
        iterations=60,
        network=ScoreNetworkConfig(channels=(24, 48)),
        score=ScoreConfig(denoised=48),
        optimiser=OptimiserConfig(lr=2e-2, warm_up=10, beta2=0.99, root_after=50),
    )
    config = dataclasses.replace(config, sampler=dataclasses.replace(config.sampler, steps=2))
    run = train(config, tmp_path / "run")
    records = [record for record in run.folder.read_metrics() if record["kind"] == "train"]
    assert records[-1]["score"] < 0.7 * records[0]["score"]
    evaluation = run.folder.read_metrics()[-1]
    assert evaluation["test_accuracy"] > 0.75


def test_settings_that_do_not_go_together_are_refused(tiny_score_stic: ScoreSticConfig, splits: Splits) -> None:
    with pytest.raises(InputError, match=r"score\.denoised must be from 1 to 30"):
        dataclasses.replace(tiny_score_stic, score=ScoreConfig(denoised=31)).check_against(splits.train)
    many = dataclasses.replace(tiny_score_stic.fakes, images=10_000_000)
    with pytest.raises(InputError, match=r"passes times fakes\.images"):
        check(dataclasses.replace(tiny_score_stic, passes=1_000, fakes=many))
