# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A counterfactual of Score-STIC: noise of the right address, the run's levels below, and the least that does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from stic_fast import Run
from stic_fast.api.led_back import LED, NOISES, noises
from stic_fast.errors import InputError
from stic_fast.noise_addresses import COUNTERFACTUALS
from stic_fast.ops import noise
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.sampling import GRMALA, AnnealedGRMALA, ClassScore, NoiseSpace, Recipe
from stic_fast.training.score_stic import ScoreSticConfig


@pytest.fixture(scope="module")
def threes(scorer: Run) -> Tensor:
    """Test images of a 3 that the classifier calls so, uint8."""
    test = scorer.splits.test
    return test.images[(test.labels == 3) & (scorer.predict(test.images) == 3)][:4]


def led_by_hand(run: Run, images: Tensor, to: int, sigma: float, seed: int = 0) -> Tensor:
    """The end of the chain from these images with noise, as bytes."""
    ids = COUNTERFACTUALS.ids(1).expand(len(images)).contiguous()
    where = {"seed": seed, "step": 0, "chain_ids": ids, "stream": noise.Stream.CHAIN_INIT}
    x = to_unit(images) + sigma * noise.normal(images.shape, **where)  # type: ignore[arg-type]
    sampler, config = run.recipe.stages[0].sampler, run.config
    assert isinstance(sampler, AnnealedGRMALA) and isinstance(config, ScoreSticConfig)
    target = one_hot(torch.full((len(images),), to), 10).float()
    objective = ClassScore(replace(config.guidance, classifier=LED))
    chain = replace(sampler, sigma_max=sigma).run(run.model, x, target, seed=seed, objective=objective, chain_ids=ids)
    return to_bytes(chain.x)


def difference(one: Tensor, other: Tensor) -> float:
    return float((one.float() - other.float()).abs().mean())


def called(run: Run, images: Tensor, to: int) -> Tensor:
    return run.logits(images)[:, :10].softmax(1)[:, to]


def test_it_is_called_what_was_asked_for(scorer: Run, threes: Tensor) -> None:
    found = scorer.counterfactual(threes, "8")
    assert len(found) == 4 and bool(found.succeeded.all()) and scorer.predict(found.after).tolist() == [8] * 4
    assert torch.equal(found.before, threes) and found.after.dtype == torch.uint8
    torch.testing.assert_close(found.probabilities_after[:, 8], called(scorer, found.after, 8))
    assert found.noise is not None and set(found.noise.tolist()) <= set(NOISES)
    assert f"led back from noise of {found.noise[0]:.2f}" in repr(found).split("\n")[0]


def test_it_is_the_end_of_a_chain_from_the_least_noise_that_does(scorer: Run, threes: Tensor) -> None:
    for image in threes[:2].split(1):
        found = scorer.counterfactual(image, 8, seed=3)
        assert found.noise is not None
        (least,) = found.noise.tolist()
        for sigma in NOISES[: NOISES.index(least)]:
            assert called(scorer, led_by_hand(scorer, image, 8, sigma, seed=3), 8) < 0.5
        assert torch.equal(found.after, led_by_hand(scorer, image, 8, least, seed=3))


def test_one_level_of_noise(scorer: Run, threes: Tensor) -> None:
    little, much = (scorer.counterfactual(threes, 8, noise=sigma, confidence=0.01) for sigma in (0.3, 6.0))
    assert torch.equal(much.after, led_by_hand(scorer, threes, 8, 6.0))
    assert bool((little.l2 < much.l2).all()), "the more noise, the more changes"
    assert little.noise is not None and set(little.noise.tolist()) <= {0.0, 0.3}


def test_it_depends_on_neither_batch_nor_company(scorer: Run, threes: Tensor) -> None:
    together, apart = (scorer.counterfactual(threes, 8, batch_size=size).after for size in (250, 3))
    alone = scorer.counterfactual(to_unit(threes[2]), 8).after
    for other in (apart, torch.cat([together[:2], alone, together[3:]])):
        assert difference(other, together) < 1, "but for rounding"
    assert difference(together, scorer.counterfactual(threes, 8, seed=1).after) > 10


def test_images_that_are_called_so_already_and_that_never_are(scorer: Run, threes: Tensor) -> None:
    found = scorer.counterfactual(threes[0], 3)
    assert torch.equal(found.after, threes[:1]) and found.noise is not None and found.noise.tolist() == [0.0]
    assert "as it is" in repr(found)
    unsure = scorer.counterfactual(threes[:1], 8, noise=0.1, confidence=0.999)
    assert unsure.succeeded.tolist() == [False] and "give more noise" in repr(unsure)
    assert float(unsure.probabilities_after[0, 8]) >= float(unsure.probabilities_before[0, 8])


def test_files(scorer: Run, threes: Tensor, tmp_path: Path) -> None:
    found = scorer.counterfactual(threes[:2], 8)
    found.save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as arrays:
        assert np.array_equal(arrays["noise"], found.noise) and np.array_equal(arrays["after"], found.after)


@pytest.mark.parametrize("level", [0.0, 0.002, 80.5, float("nan")])
def test_noise_out_of_the_chain_s_range(scorer: Run, threes: Tensor, level: float) -> None:
    with pytest.raises(InputError, match=r"noise must be above 0\.002 and at most 80"):
        scorer.counterfactual(threes, 8, noise=level)


def test_noise_for_chains_that_know_none(reader: Run, scorer: Run, threes: Tensor) -> None:
    with pytest.raises(InputError, match=r"noise is for chains.*leave it out"):
        reader.counterfactual(threes, 8, noise=1.0)
    with pytest.raises(InputError, match="confidence"):
        scorer.counterfactual(threes, 8, confidence=1.0)


def test_the_levels_that_are_tried() -> None:
    for recipe in (Recipe(GRMALA()), Recipe(GRMALA(), NoiseSpace()), Recipe(AnnealedGRMALA())):
        assert recipe.noise_range is None and noises(recipe, None) == ()
        with pytest.raises(InputError, match="noise is for chains"):
            recipe.from_noise(1.0)
    assert noises(Recipe(AnnealedGRMALA(), NoiseSpace()), None) == NOISES
    low = Recipe(AnnealedGRMALA(sigma_max=0.3), NoiseSpace(sigma=0.3))
    assert noises(low, None) == (0.3,) and noises(low, 0.2) == (0.2,)
