# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a run is asked for needs its real images where it compares with them, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from stic_fast.data import Splits, load
from stic_fast.errors import InputError
from stic_fast.sampling import GRMALA, Recipe, Stage, draw_hard, draw_images
from stic_fast.training import ImageSampler, Progress, RunConfig, TrainedRun, train
from stic_fast.training.run_images import RunImages

PATHS = (3, 8, 2, [0.0, 0.5, 1.0])


@pytest.fixture(scope="module")
def runs(tiny_of: dict[str, RunConfig], tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrainedRun]:
    """A run with a Gram term and one without."""
    folder, samplers = tmp_path_factory.mktemp("images"), {"stic": GRMALA(steps=2), "jem": GRMALA(steps=2, eps2=0.0)}
    return {
        method: train(replace(tiny_of[method], passes=1, sampler=sampler), folder / method)
        for method, sampler in samplers.items()
    }


def absent(run: TrainedRun) -> TrainedRun:
    """The same run where its images are not at hand."""

    def refuse() -> Splits:
        raise InputError("the images are not at hand")

    return replace(run, images=RunImages(run.class_names, run.image_shape, refuse))


def test_images_are_loaded_once_and_when_they_are_asked_for() -> None:
    loaded: list[Splits] = []
    images = RunImages(tuple("0123456789"), (1, 8, 8), lambda: loaded.append(load("digits")) or loaded[-1])
    outline = images.outline.train
    assert (outline.class_names, outline.image_shape, outline.num_classes) == (images.class_names, (1, 8, 8), 10)
    assert torch.equal(outline.labels, torch.arange(10)) and not loaded
    assert images.splits is images.splits and len(loaded) == 1


@pytest.mark.parametrize(
    "draw",
    [
        lambda sampler: sampler.of_numbers(torch.arange(30), Progress()),
        lambda sampler: sampler.of_paths(*PATHS, Progress()),
    ],
)
def test_chains_without_a_gram_term_draw_the_same_without_images(
    runs: dict[str, TrainedRun], draw: Callable[[ImageSampler], Any]
) -> None:
    run = absent(runs["jem"])
    assert torch.equal(draw(ImageSampler(run, 0)), draw(ImageSampler(runs["jem"], 0)))
    with pytest.raises(InputError, match="not at hand"):
        draw(ImageSampler(absent(runs["stic"]), 0))


def test_the_outline_stands_for_real_images(runs: dict[str, TrainedRun]) -> None:
    """Beside the real images, as a program of its own would draw."""
    run, real = runs["jem"], runs["jem"].splits.train
    classes, ids = torch.arange(30) % 10, torch.arange(30) + 7
    beside = [
        draw_images(
            run.model,
            run.recipe,
            draw_hard(images.labels, classes, ids, references=3, seed=1),
            images.images,
            images.labels,
            seed=1,
            chain_ids=ids,
        )
        for images in (real, run.images.outline.train)
    ]
    assert torch.equal(*beside)


def test_a_recipe_compares_where_a_leg_has_a_gram_term_with_layers(runs: dict[str, TrainedRun]) -> None:
    model = runs["stic"].model
    plain, gram = GRMALA(steps=2, eps2=0.0), GRMALA(steps=2)

    def unasked() -> Any:
        raise AssertionError("a leg without a Gram term loads no network to answer")

    assert not Recipe([Stage(plain, network=unasked)]).compares(model)
    assert not Recipe([Stage(gram, gram_layers=())]).compares(model)
    assert Recipe([Stage(plain), Stage(gram)]).compares(model)
    assert Recipe([Stage(gram, network=lambda: model)]).compares(runs["jem"].model)
