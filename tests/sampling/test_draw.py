# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Drawn images depend on seed, ids and conditions, and on nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stic_fast.models import WideResNet, wrap
from stic_fast.pixels import to_bytes
from stic_fast.sampling import (
    GRMALA,
    Condition,
    GramRegulariser,
    PixelSpace,
    Recipe,
    Stage,
    canvas,
    continue_chains,
    draw_hard,
    draw_images,
)

SAMPLER = GRMALA(steps=4)
RECIPE = Recipe(SAMPLER)
IDS = torch.arange(10) + 40


@pytest.fixture
def condition(labels: Tensor) -> Condition:
    return draw_hard(labels, torch.arange(10) % 3, IDS, seed=1)


def test_an_image_is_a_chain_from_a_canvas(
    net: WideResNet, images: Tensor, labels: Tensor, condition: Condition
) -> None:
    net = net.float()
    drawn = draw_images(net, RECIPE, condition, images, labels, seed=5, chain_ids=IDS)
    gram = GramRegulariser.from_images(net, condition.references(images))
    x = canvas("uniform", (1, 8, 8), IDS, seed=5)
    expected = SAMPLER.run(net, x, condition.targets(labels, 3), seed=5, gram=gram, chain_ids=IDS).x
    assert drawn.dtype == torch.uint8 and drawn.shape == (10, 1, 8, 8)
    assert torch.equal(drawn, to_bytes(expected))


def test_the_batch_size_does_not_matter(net: WideResNet, images: Tensor, labels: Tensor, condition: Condition) -> None:
    """At most one level in less than a thousandth of the pixels: convolutions round by batch."""
    net = net.float()
    whole = draw_images(net, RECIPE, condition, images, labels, seed=5, chain_ids=IDS)
    for batch_size in (1, 3, 9):
        steps: list[int] = []
        parts = draw_images(
            net,
            RECIPE,
            condition,
            images,
            labels,
            seed=5,
            chain_ids=IDS,
            batch_size=batch_size,
            on_step=lambda _: steps.append(1),  # noqa: B023
        )
        difference = (parts.int() - whole.int()).abs()
        assert int(difference.max()) <= 1 and int((difference > 0).sum()) <= max(1, difference.numel() // 1000)
        assert len(steps) == 4 * -(-10 // batch_size)


def test_seeds_repeat_and_differ(net: WideResNet, images: Tensor, labels: Tensor, condition: Condition) -> None:
    net = net.float()
    first, again, other = (draw_images(net, RECIPE, condition, images, labels, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)
    moved = draw_images(net, RECIPE, condition, images, labels, seed=5, chain_ids=IDS)
    assert not torch.equal(first, moved), "ids 0 to 9 are the default"


def test_the_canvas_and_the_scale_reach_the_chain(
    net: WideResNet, images: Tensor, labels: Tensor, condition: Condition
) -> None:
    net = net.float()
    blank = draw_images(net, Recipe(GRMALA(steps=0), PixelSpace(canvas="blank")), condition, images, labels, seed=5)
    assert bool((blank == 255).all())
    log, relative = (
        draw_images(net, Recipe(Stage(SAMPLER, normalize=scale)), condition, images, labels, seed=5)
        for scale in ("log", "relative")
    )
    assert not torch.equal(log, relative)


def test_without_eps2_or_layers_there_is_no_gram_term(
    net: WideResNet, images: Tensor, labels: Tensor, condition: Condition
) -> None:
    net = net.float()
    target = condition.targets(labels, 3)
    x = canvas("uniform", (1, 8, 8), IDS, seed=5)
    arguments = (x, condition, images, labels)
    expected = SAMPLER.run(net, x, target, seed=5, chain_ids=IDS).x
    bare = wrap(net, gram_layers=[], num_classes=3, has_fake_class=True)
    for model, sampler in ((bare, SAMPLER), (net, GRMALA(steps=4, eps2=0.0))):
        states, trace = continue_chains(model, Recipe(sampler), *arguments, seed=5, chain_ids=IDS, trace_every=1)
        torch.testing.assert_close(states, expected, rtol=0, atol=1e-6)
        assert all(record.gram_loss == 0 for record in trace) and len(trace) == 4


def test_no_chains(net: WideResNet, images: Tensor, labels: Tensor, condition: Condition) -> None:
    assert draw_images(net.float(), RECIPE, condition[:0], images, labels, seed=5).shape == (0, 1, 8, 8)


def test_a_condition_brings_its_own_number_of_references(net: WideResNet, images: Tensor, labels: Tensor) -> None:
    """Whatever number the recipe names for the conditions that are drawn by it."""
    net = net.float()
    several = draw_hard(labels, torch.arange(10) % 3, IDS, references=3, seed=1)
    drawn = draw_images(net, RECIPE, several, images, labels, seed=5, chain_ids=IDS)
    assert torch.equal(
        drawn, draw_images(net, Recipe(SAMPLER, references=3), several, images, labels, seed=5, chain_ids=IDS)
    )
