# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Canvases of which a network sees random patches: where these lie, how they move a chain, and what is cut off."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import Discriminator, wrap
from stic_fast.ops import noise
from stic_fast.sampling import (
    GRMALA,
    Adam,
    GramRegulariser,
    LogOdds,
    LogPosterior,
    PatchSpace,
    Recipe,
    Stage,
    Stop,
    Time,
    draw_hard,
    draw_images,
)
from stic_fast.sampling.patches import cut

IDS = torch.arange(6)


def windows_of(x: Tensor, side: tuple[int, int]) -> Tensor:
    """All windows (chains, rows, columns, *side) of grey images."""
    return x.unfold(2, side[0], 1).unfold(3, side[1], 1)[:, 0]


@pytest.mark.parametrize(("margin", "places"), [(0, 6 * 4), (None, 8 * 8)])
def test_a_patch_is_a_window_of_the_state(start: Tensor, margin: int | None, places: int) -> None:
    space = PatchSpace((1, 8, 8), patch=(3, 5), cover=0.1, margin=margin)
    around = torch.cat([start, start[:, :, :2]], 2)
    around = start if margin == 0 else torch.cat([around, around[..., :4]], 3)
    seen = set()
    for step in range(150):
        patch = space.view(start, seed=2, step=step, chain_ids=IDS)
        matches = (windows_of(around, (3, 5)) == patch[:, :, None].transpose(1, 2)).flatten(3).all(3)
        assert patch.shape == (6, 1, 3, 5) and bool((matches.flatten(1).sum(1) == 1).all())
        seen |= {tuple(place) for place in matches.nonzero()[:, 1:].tolist()}
    assert len(seen) == places, "every place is drawn"
    apart = torch.cat([space.view(start[row : row + 1], seed=2, step=7, chain_ids=IDS[row : row + 1]) for row in IDS])
    assert torch.equal(apart, space.view(start, seed=2, step=7, chain_ids=IDS)), "whatever the batch"


def test_a_chain_over_one_patch_moves_what_its_network_saw(start: Tensor, target: Tensor) -> None:
    network = wrap(nn.Sequential(nn.Flatten(), nn.Linear(9, 3, dtype=torch.float64)), gram_layers=[], num_classes=3)
    sampler = GRMALA(steps=1, eps1=50.0, eps2=0.0, eps3=0.0, clamp=None)
    space = PatchSpace((1, 8, 8), patch=(3, 3), cover=0.1, margin=0)
    after = sampler.run(network, start, target, seed=4, space=space).x
    assert bool(((after != start).flatten(1).sum(1) == 9).all())
    patch = space.view(start, seed=4, step=0, chain_ids=IDS).requires_grad_(True)
    score = torch.log_softmax(network(patch), 1).gather(1, target[:, None]).sum()
    (gradient,) = torch.autograd.grad(score, patch)
    torch.testing.assert_close(space.view(after, seed=4, step=0, chain_ids=IDS), patch.detach() + 50.0 * gradient)


def test_a_pixel_moves_by_the_mean_over_the_patches_that_cover_it() -> None:
    """Equation 15, against a loop over patches and pixels."""
    space, ids = PatchSpace((2, 9, 7), patch=(4, 5), cover=1.9), torch.tensor([3, 8])
    x = torch.rand((2, 2, 9, 7), dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = torch.rand((12, 2, 4, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    seen = space.view(x, seed=1, step=5, chain_ids=ids)
    (gradient,) = torch.autograd.grad((weights * seen).sum(), x)
    draws = noise.uniform((2, 12), seed=1, step=5, chain_ids=ids, stream=noise.Stream.PATCH).view(2, 6, 2)
    expected, covered = torch.zeros(2, 2, 9, 7, dtype=torch.float64), torch.zeros(2, 9, 7)
    for chain in range(2):
        for patch in range(6):
            top, left = (int(draws[chain, patch, axis].double() * side) for axis, side in enumerate((9, 7)))
            for row in range(4):
                for column in range(5):
                    y, z, own = (top + row) % 9, (left + column) % 7, 6 * chain + patch
                    assert torch.equal(seen[own, :, row, column], x[chain, :, y, z])
                    expected[chain, :, y, z] += weights[own, :, row, column]
                    covered[chain, y, z] += 1
    torch.testing.assert_close(gradient, expected / covered.clamp_min(1)[:, None])


def test_patches_of_no_chains() -> None:
    space = PatchSpace((1, 8, 8), patch=(4, 4), cover=0.75)
    x = torch.empty(0, 1, 8, 8, requires_grad=True)
    seen = space.view(x, seed=0, step=0, chain_ids=torch.arange(0))
    assert seen.shape == (0, 1, 4, 4)
    assert torch.autograd.grad(seen.sum(), x)[0].shape == x.shape
    assert cut(x, torch.zeros(0, 2, dtype=torch.int64), (4, 4)).shape == (0, 1, 4, 4)


def test_a_margin_is_mirrored_in_and_cut_off() -> None:
    space = PatchSpace((1, 3, 4), patch=(5, 5), margin=2)
    images = torch.arange(12.0).view(1, 1, 3, 4)
    wide = space.encode(images)
    assert space.canvas_shape == (1, 7, 8) == wide.shape[1:]
    assert wide[0, 0, 2].tolist() == [1.0, 0.0, 0.0, 1.0, 2.0, 3.0, 3.0, 2.0]
    assert wide[0, 0, :, 2].tolist() == [4.0, 0.0, 0.0, 4.0, 8.0, 8.0, 4.0]
    assert torch.equal(space.decode(wide), images)
    assert space.start(IDS, seed=0).shape == (6, 1, 7, 8)
    tiles = PatchSpace((1, 3, 4), patch=(3, 3))
    assert tiles.encode(images) is images and torch.equal(tiles.decode(images), images)


def test_noise_to_start_from() -> None:
    space = PatchSpace((3, 70, 70), sigma=0.3)
    x = space.start(IDS + 40, seed=3)
    assert torch.equal(x[2:3], space.start(IDS[2:3] + 40, seed=3)) and x.abs().max() <= 1
    assert abs(x.std().item() - 0.3) < 0.01
    assert not space.start(IDS, seed=3, step=1).equal(space.start(IDS, seed=3))


def test_larger_images_have_more_patches() -> None:
    space = PatchSpace((3, 128, 128), patch=(64, 64))
    assert (space.count, space.of_size(256, 512).count, space.of_size(128, 129).count) == (4, 32, 5)
    assert PatchSpace((3, 100, 100), margin=14, cover=0.5).count == 2
    assert PatchSpace().of_images((1, 80, 90)).canvas_shape == (1, 80, 90)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": (1, 60, 80)}, r"a patch must fit into the canvas, \(60, 80\), got \(64, 64\)"),
        ({"patch": (0, 4)}, "patch must be from 1 to"),
        ({"cover": 0.0}, "cover must be"),
        ({"margin": -1}, "margin must be"),
        ({"sigma": float("nan")}, "sigma must be"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PatchSpace(**settings)


def test_a_space_without_a_shape_has_no_start() -> None:
    with pytest.raises(InputError, match="a space without a shape has no start"):
        PatchSpace().start(IDS, seed=0)


@pytest.fixture
def critic() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(channels=(4, 8), in_channels=1, smooth=False).double()


def test_log_odds_climb_the_mean_of_all_patches(critic: Discriminator) -> None:
    """Those that are shown, and those that the network finds within each."""
    x = torch.rand((2, 1, 17, 21), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    target = torch.tensor([[1.0], [1.0]])

    def network(x: Tensor, layers: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        return critic.logits_and_features(x, layers)

    climb = LogOdds().climb(network, x, target, Time(0))
    seen = x.clone().requires_grad_(True)
    _, (odds,) = critic.logits_and_features(seen, ["log_odds"])
    (gradient,) = torch.autograd.grad(odds.mean((1, 2, 3)).sum(), seen)
    torch.testing.assert_close(climb.direction, gradient)
    assert climb.logp is not None and torch.equal(climb.logp, odds.detach().flatten(1))
    apart = LogOdds(at_once=1).climb(network, x, target, Time(0))
    assert torch.equal(apart.direction, climb.direction), "in parts of any size"
    rows = [LogOdds(at_once).rows_at_once(9, (1, 17, 21)) for at_once in (1, 357, 1000, 10**6, None)]
    assert rows == [1, 1, 2, 9, 9] and LogOdds().rows_at_once(0, (1, 17, 21)) == 1


def test_log_odds_of_the_class_that_is_asked_for() -> None:
    torch.manual_seed(0)
    critic = Discriminator(channels=(4,), in_channels=1, num_classes=3, smooth=False)
    x = torch.rand((2, 1, 7, 5), generator=torch.Generator().manual_seed(2))
    every = critic.logits_and_features(x, ["log_odds"])[1][0].detach()

    def network(x: Tensor, layers: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        return critic.logits_and_features(x, layers)

    hard = LogOdds().climb(network, x, torch.tensor([2, 0]), Time(0)).logp
    assert hard is not None and torch.equal(hard, torch.stack([every[0, 2], every[1, 0]]).flatten(1))
    soft = LogOdds().climb(network, x, torch.tensor([[0.5, 0.5, 0.0]] * 2), Time(0)).logp
    assert soft is not None
    torch.testing.assert_close(soft, every[:, :2].mean(1).flatten(1))


def test_a_chain_stops_by_the_mean_probability_of_its_patches(critic: Discriminator) -> None:
    """Not by the probability of their mean log-odds, and whatever the batch."""
    space, ids = PatchSpace((1, 24, 24), patch=(13, 13), cover=0.88), torch.arange(4)
    start, target = space.start(ids, seed=5).double(), torch.zeros(4, dtype=torch.int64)
    readings: list[Tensor] = []

    def reading(odds: Tensor) -> Tensor:
        readings.append(odds)
        return odds.sigmoid()

    def run(rows: slice, at_once: int | None = None) -> Tensor:
        stop = Stop(0.5, 2, reading)
        where = {"space": space, "chain_ids": ids[rows], "stop": stop, "objective": LogOdds(at_once)}
        return Adam(steps=30, eps1=0.05).run(critic, start[rows], target[rows], seed=5, **where).x

    together = run(slice(None))
    assert readings[0].shape == (4, 3) and len(readings) < 30, "all have stopped before the last step"
    torch.testing.assert_close(torch.cat([run(slice(row, row + 1)) for row in range(4)]), together, rtol=0, atol=1e-12)
    assert torch.equal(run(slice(None), 5 * 13 * 13 + 7), together)


def test_what_scores_whole_images_says_so_of_patches(critic: Discriminator) -> None:
    space, target = PatchSpace((1, 24, 24), patch=(13, 13), cover=0.58), torch.zeros(4, dtype=torch.int64)
    start = space.start(torch.arange(4), seed=5).double()
    with pytest.raises(InputError, match=r"LogPosterior scores whole images.* 2 patches of each"):
        GRMALA(steps=1, eps2=0.0).run(critic, start, target, seed=0, space=space, objective=LogPosterior())
    gram = GramRegulariser.from_images(critic, start)
    with pytest.raises(InputError, match="a Gram term compares one view of a chain"):
        GRMALA(steps=1).run(critic, start, target, seed=0, space=space, objective=LogOdds(), gram=gram)


def test_images_of_any_size_in_batches_of_any_size(critic: Discriminator) -> None:
    images, labels = torch.zeros(1, 1, 16, 16, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
    recipe = Recipe(Stage(Adam(steps=4), LogOdds()), PatchSpace((1, 20, 31), patch=(13, 13), cover=0.35, margin=3))
    asked = draw_hard(labels, torch.zeros(3, dtype=torch.int64), IDS[:3], seed=0)
    where = {"seed": 0, "chain_ids": IDS[:3]}
    drawn = draw_images(critic.float(), recipe, asked, images, labels, **where)
    assert drawn.shape == (3, 1, 20, 31)
    apart = draw_images(critic, recipe, asked, images, labels, batch_size=1, **where)
    assert re.fullmatch("0|1", str(int((drawn.int() - apart.int()).abs().max())))
