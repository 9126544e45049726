# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Where chains live: pixels of any size, noise, and features with a decoder."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import Classifier, ScoreUNet, WideResNet, wrap
from stic_fast.ops import noise
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.sampling import (
    GRMALA,
    MALA,
    AnnealedGRMALA,
    ChainPool,
    ClassScore,
    Condition,
    FeatureSpace,
    LogJoint,
    NoiseSpace,
    PixelSpace,
    Recipe,
    Stage,
    canvas,
    draw_hard,
    draw_images,
)

IDS = torch.arange(5) + 30


@pytest.fixture
def condition(labels: Tensor) -> Condition:
    return draw_hard(labels, torch.arange(5) % 3, IDS, seed=1)


def test_images_of_another_size_than_the_real_ones(
    net: WideResNet, images: Tensor, labels: Tensor, condition: Condition
) -> None:
    recipe = Recipe(GRMALA(steps=2, eps2=0.0), PixelSpace((1, 12, 20)))
    drawn = draw_images(net.float(), recipe, condition, images, labels, seed=5, chain_ids=IDS)
    assert drawn.shape == (5, 1, 12, 20) and drawn.dtype == torch.uint8
    pool = ChainPool(images, labels, recipe, num_classes=3, hard=4, seed=0)
    pool.evolve(net)
    assert pool.states.shape == (4, 1, 12, 20)


class Decoder(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z[:, :64].view(-1, 1, 8, 8))


def feature_classifier() -> Classifier:
    torch.manual_seed(0)
    return wrap(nn.Linear(70, 3), gram_layers=[], num_classes=3)


def test_chains_in_a_feature_space(images: Tensor, labels: Tensor, condition: Condition) -> None:
    """They start from normals, step by the same op, are kept as they are, and are decoded at the end."""
    model, space = feature_classifier(), FeatureSpace((70,), Decoder(), box=(-3.0, 3.0))
    sampler = GRMALA(steps=6, eps1=1.0, eps2=0.0, eps3=0.1)
    recipe = Recipe(Stage(sampler, LogJoint()), space)
    drawn = draw_images(model, recipe, condition, images, labels, seed=3, chain_ids=IDS, batch_size=2)
    x = space.start(IDS, seed=3)
    assert x.shape == (5, 70) and float(x.abs().max()) <= 3 and float(x.std()) == pytest.approx(1, abs=0.2)
    bounded = GRMALA(steps=6, eps1=1.0, eps2=0.0, eps3=0.1, clamp=(-3.0, 3.0))
    expected = bounded.run(model, x, condition.targets(labels, 3), seed=3, objective=LogJoint(), chain_ids=IDS).x
    assert float(expected.abs().max()) > 1, "the box of pixels is not that of features"
    assert (drawn.int() - to_bytes(space.decode(expected)).int()).abs().max() <= 1 and drawn.shape == (5, 1, 8, 8)

    pool = ChainPool(images, labels, recipe, num_classes=3, hard=6, seed=0)
    assert pool.states.dtype == torch.float32 and pool.states.shape == (6, 70)
    pool.evolve(model)
    pool.restart(0.5)
    other = ChainPool(images, labels, recipe, num_classes=3, hard=6, seed=0)
    other.load_state_dict(pool.state_dict())
    assert torch.equal(other.states, pool.states)


@pytest.mark.parametrize("box", [None, (-4.0, 4.0)])
def test_mala_draws_in_a_feature_space(
    images: Tensor, labels: Tensor, condition: Condition, box: tuple[float, float] | None
) -> None:
    recipe = Recipe(Stage(MALA(steps=5, eps1=0.01), LogJoint()), FeatureSpace((70,), Decoder(), box=box))
    drawn = draw_images(feature_classifier(), recipe, condition, images, labels, seed=3, chain_ids=IDS)
    assert drawn.shape == (5, 1, 8, 8)
    (stage,) = recipe.stages
    assert recipe.space.bound(stage.sampler) == MALA(steps=5, eps1=0.01, support=box)


def test_a_feature_space_encodes_where_it_can(images: Tensor) -> None:
    real = to_unit(images)
    assert FeatureSpace((64,), Decoder(), encoder=lambda x: x.flatten(1)).encode(real).shape == (12, 64)
    with pytest.raises(InputError, match="encoder"):
        FeatureSpace((64,), Decoder()).encode(real)


def test_chains_that_start_at_images(images: Tensor) -> None:
    real = to_unit(images[:5])
    assert PixelSpace().start_at(real, IDS, seed=3) is real
    codes = FeatureSpace((64,), Decoder(), encoder=lambda x: x.flatten(1)).start_at(real, IDS, seed=3)
    assert torch.equal(codes, real.flatten(1))
    where = {"seed": 3, "step": 0, "chain_ids": IDS, "stream": noise.Stream.CHAIN_INIT}
    noisy = real + 0.7 * noise.normal(real.shape, **where)  # type: ignore[arg-type]
    assert torch.equal(NoiseSpace(sigma=0.7).start_at(real, IDS, seed=3), noisy)


def test_images_drawn_from_images_are_the_same_in_any_batch(
    images: Tensor, labels: Tensor, condition: Condition
) -> None:
    torch.manual_seed(0)
    model = ScoreUNet(channels=(8,), num_classes=3, in_channels=1)
    recipe = Recipe(Stage(AnnealedGRMALA(steps=3), ClassScore()), NoiseSpace()).from_noise(0.1)
    real, at = to_unit(images[:5]), {"seed": 3, "chain_ids": IDS}
    whole = draw_images(model, recipe, condition, images, labels, **at, starts=real)  # type: ignore[arg-type]
    parts = draw_images(model, recipe, condition, images, labels, **at, starts=real, batch_size=2)  # type: ignore[arg-type]
    assert (whole.int() - parts.int()).abs().max() <= 1
    assert float((to_unit(whole) - real).abs().mean()) < 0.2, "little noise, little change"


def test_bytes_and_floats(images: Tensor) -> None:
    x = canvas("uniform", (1, 8, 8), torch.arange(3), seed=0)
    floats, rounded = PixelSpace(keep="floats"), PixelSpace(keep="bytes")
    assert floats.unpack(floats.pack(x)) is x
    assert torch.equal(rounded.pack(x), to_bytes(x)) and torch.equal(rounded.unpack(to_bytes(x)), to_unit(to_bytes(x)))


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        ({"canvas": "black"}, "canvas 'black'"),
        ({"keep": "halves"}, "keep 'halves'"),
    ],
)
def test_settings_that_make_no_space(settings: dict[str, object], argument: str) -> None:
    with pytest.raises(InputError, match=argument):
        PixelSpace(**settings)  # type: ignore[arg-type]


def test_a_space_without_a_shape_has_no_start() -> None:
    with pytest.raises(InputError, match="shape"):
        PixelSpace().start(torch.arange(2), seed=0)
