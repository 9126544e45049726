# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Known pixels are at every noise level the image's with that level's noise, and the rest is drawn to fit them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import AtNoise, ScoreClassifier, ScoreUNet
from stic_fast.sampling import AnnealedGRMALA, ChainState, ClassScore, KnownPixels, LogPosterior, NoiseSpace


@pytest.fixture
def model() -> ScoreUNet:
    torch.manual_seed(0)
    model = ScoreUNet(channels=(8, 16), num_classes=3, in_channels=1)
    torch.nn.init.constant_(model.out_gain, 0.5)
    return model


@pytest.mark.parametrize("eps2", [0.0, 0.5])
def test_known_pixels_are_the_image_s_with_the_noise_of_each_level(model: ScoreUNet, eps2: float) -> None:
    """Through the predictor steps; correctors and their Gram term end there as well."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, 1, 8, 8, generator=generator) * 2 - 1
    known = torch.rand(3, 1, 8, 8, generator=generator) < 0.5
    sampler = AnnealedGRMALA(steps=6, sigma_max=20.0, correctors=2 if eps2 else 0, eps2=eps2)
    space, target = NoiseSpace(sigma=20.0), torch.tensor([0, 1, 2])
    x = space.start_at(images, torch.arange(3), seed=4)
    z, seen = (x - images) / 20, list[Tensor]()

    def look(state: ChainState) -> None:
        seen.append(state.x.clone())

    end = sampler.run(
        model, x, target, seed=4, objective=KnownPixels(ClassScore(), images, known), on_step=look, space=space
    ).x
    assert torch.allclose(end[known], images[known], atol=1e-5) and not torch.allclose(end[~known], images[~known])
    if not eps2:
        for level, state in zip([*sampler.levels[1:], 0.0], seen, strict=True):
            assert torch.allclose(state[known], (images + level * z)[known], atol=1e-4)


class PairOfPixels(ScoreClassifier):
    """Knows the score of two pixels, normal of deviation 1 and correlation ρ."""

    def __init__(self, rho: float) -> None:
        super().__init__(
            num_classes=2,
            in_channels=1,
            has_fake_class=False,
            layer_names=[],
            gram_layers=[],
            sigma_read=0.02,
            takes_labels=False,
        )
        self.register_buffer("covariance", torch.tensor([[1.0, rho], [rho, 1.0]]))

    def at_noise(
        self,
        x: Tensor,
        sigma: Tensor | float,
        labels: Tensor | None = None,
        *,
        layers: Sequence[str] = (),
        denoised: int | None = None,
    ) -> AtNoise:
        covariance = self.get_buffer("covariance")
        gain = covariance @ torch.linalg.inv(covariance + sigma**2 * torch.eye(2))
        return AtNoise(x.new_zeros(len(x), 2), (x.flatten(1) @ gain).view_as(x), {})


def test_the_rest_is_drawn_to_fit() -> None:
    """Of two pixels of correlation 0.9 the known one pulls the other to its side, and correctors bring it nearly all
    the way: to N(0.72, 0.44²) if there were endlessly many."""
    chains, ids = 2000, torch.arange(2000)
    images = torch.zeros(chains, 1, 1, 2)
    images[..., 0] = 0.8
    objective = KnownPixels(ClassScore(), images, torch.tensor([True, False]))
    space, asked = NoiseSpace(sigma=20.0), torch.zeros(chains, dtype=torch.int64)
    start = space.start_at(images, ids, seed=0)
    means, deviations = [], []
    for correctors in (0, 10):
        sampler = AnnealedGRMALA(steps=20, sigma_max=20.0, correctors=correctors, step_size=0.3)
        drawn = sampler.run(PairOfPixels(0.9), start, asked, seed=0, objective=objective, chain_ids=ids).x[..., 1]
        means.append(float(drawn.mean()))
        deviations.append(float(drawn.std()))
    assert 0.2 < means[0] < means[1] - 0.2 and means[1] == pytest.approx(0.72, abs=0.15)
    assert deviations[1] < deviations[0] - 0.1 and deviations[1] == pytest.approx(0.44, abs=0.1)


def test_an_objective_without_noise_levels_is_refused(model: ScoreUNet) -> None:
    x = torch.zeros(1, 1, 8, 8)
    objective = KnownPixels(LogPosterior(), x, torch.ones(8, 8, dtype=torch.bool))
    with pytest.raises(InputError, match="noise level"):
        AnnealedGRMALA(steps=2).run(model, x, torch.tensor([0]), seed=0, objective=objective)
