# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Standard errors against how far scores really scatter."""

from __future__ import annotations

import math

import pytest
import torch

from stic_fast.evaluation import FeatureStatistics, frechet_distance
from stic_fast.studies.sampling_error import error_of_distance, error_of_mean, error_of_share


def test_a_share_scatters_as_said() -> None:
    draws = torch.rand(20_000, 50, generator=torch.Generator().manual_seed(0)) < 0.2
    assert error_of_share(0.2, 50) == pytest.approx(float(draws.float().mean(1).std()), rel=0.05)
    assert 0 < error_of_share(0.0, 50) == pytest.approx(error_of_share(1.0, 50))


def test_a_mean_scatters_as_said() -> None:
    values = torch.randn(5000, 40, generator=torch.Generator().manual_seed(0)) * 3 + 7
    said = sum(error_of_mean(row) for row in values[:200]) / 200
    assert said == pytest.approx(float(values.mean(1).std()), rel=0.05)
    assert math.isnan(error_of_mean(torch.ones(1)))


def test_a_frechet_distance_scatters_as_said() -> None:
    generator = torch.Generator().manual_seed(0)
    real = FeatureStatistics.of(torch.randn(2000, 6, generator=generator))
    sets = [torch.randn(200, 6, generator=generator) * 1.3 + 0.5 for _ in range(60)]
    distances = torch.tensor([frechet_distance(real, FeatureStatistics.of(features)) for features in sets])
    said = sum(error_of_distance(real, features) for features in sets) / len(sets)
    assert said == pytest.approx(float(distances.std()), rel=0.3)
    assert math.isnan(error_of_distance(real, sets[0][:19]))
