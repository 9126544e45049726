# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study extremes`: the two ends of a ranking by the run's own log p(x, y)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.evaluation.judge import predict_logits
from stic_fast.sampling import GRMALA
from stic_fast.studies.extremes import Extremes
from stic_fast.training import GmmcConfig, ImageSampler, NetworkConfig, Progress, ReplayConfig, open_run, train

QUICK = {"n": 60, "shown": 2, "judge_iterations": 5}


@pytest.fixture(scope="module")
def tiny_gmmc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sampler = GRMALA(steps=2, eps1=0.05, eps2=0.0, eps3=0.0)
    config = GmmcConfig(
        passes=1,
        iterations=3,
        batch_size=4,
        network=NetworkConfig(depth=10, width=1),
        pool=ReplayConfig(chains=8, sampler=sampler),
        sampler=sampler,
    )
    return train(config, tmp_path_factory.mktemp("gmmc") / "run").folder.path


def test_the_ends_are_ranked_by_the_runs_own_likelihood(tiny_run: Path) -> None:
    record = Extremes(tiny_run, **QUICK).compute(Progress()).record
    run, labels = open_run(tiny_run), torch.arange(60) % 10
    images = ImageSampler(run, 0).of_numbers(torch.arange(60), Progress())
    logits = predict_logits(run.model, images, batch_size=60).double().gather(1, labels[:, None])[:, 0]
    for label in range(10):
        own = logits[labels == label].sort(descending=True).values
        assert record["ends"]["likeliest"]["log_joint"][label] == pytest.approx(float(own[:2].mean()), abs=1e-5)
        assert record["ends"]["least likely"]["log_joint"][label] == pytest.approx(float(own[-2:].mean()), abs=1e-5)


def test_of_a_gmmc_the_likeliest_is_the_closest_to_its_centre(tiny_gmmc: Path) -> None:
    record = Extremes(tiny_gmmc, **QUICK).compute(Progress()).record
    best, worst = (record["ends"][name]["log_joint"] for name in ("likeliest", "least likely"))
    assert all(first > last for first, last in zip(best, worst, strict=True)) and max(best) < 0


def test_the_picture_shows_as_many_as_asked(tiny_run: Path) -> None:
    figure = Extremes(tiny_run, classes=3, **QUICK).compute(Progress()).figure
    assert [axes.get_title(loc="left").partition(":")[0] for axes in figure.axes] == ["likeliest", "least likely"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["0", "1", "2"]


def test_too_few_images_for_both_ends_are_refused(tiny_run: Path) -> None:
    with pytest.raises(InputError, match=r"--n .*160"):
        Extremes(tiny_run, n=159).compute(Progress())
