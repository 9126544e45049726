# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What is drawn has the source's Gram matrices, colours and direction, in any size; a style keeps the content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast import gram_loss, memory
from stic_fast.errors import Diverged, InputError
from stic_fast.models import ConvNet
from stic_fast.ops import noise
from stic_fast.pixels import to_unit
from stic_fast.textures import FilterFeatures, GramSynthesis, features_of
from stic_fast.textures.gram_synthesis import _halved, _resized
from stic_fast.textures.tiles import Tiles, gram_of

pytestmark = pytest.mark.usefixtures("one_thread")


def stripes(channels: int = 1, side: int = 32) -> Tensor:
    """Rows that are alike, with a period of 8 pixels."""
    wave = (torch.arange(side) * torch.pi / 4).sin().view(1, 1, side, 1)
    tint = torch.tensor([0.8, 0.5, -0.2])[:channels, None, None]
    return (wave * tint).expand(1, channels, side, side).contiguous()


def synthesis(source: Tensor, **options: Any) -> GramSynthesis:
    features = features_of(None, (), source.shape[1], tile=options.get("tile", False))
    return GramSynthesis(source, features, **{"steps": 20, **options})


def roughness(image: Tensor, axis: int) -> float:
    return to_unit(image).diff(dim=axis).abs().mean().item()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_texture_has_the_sources_statistics(channels: int) -> None:
    source = stripes(channels, 40)
    drawn = synthesis(source).texture((48, 36))
    assert drawn.dtype == torch.uint8 and drawn.shape == (channels, 48, 36)
    features = FilterFeatures(channels, tile=False)
    layers = features.layers((40, 40), (36, 36))
    targets = gram_of(features.of_source(source, layers))

    def far(x: Tensor) -> float:
        (found,) = features.of_canvas(x, layers)
        return gram_loss(found, gram=targets).sum().item()

    assert far(to_unit(drawn)[None]) < 0.25 * far(noise.normal((1, channels, 48, 36), seed=3) * source.std())
    assert roughness(drawn, 1) > 1.4 * roughness(drawn, 2), "the stripes lie as in the source"
    torch.testing.assert_close(to_unit(drawn).mean((1, 2)), source[0].mean((1, 2)), atol=0.06, rtol=0)
    torch.testing.assert_close(to_unit(drawn).std((1, 2)), source[0].std((1, 2)), atol=0.06, rtol=0)


def test_the_seed_decides() -> None:
    one, same, other = (synthesis(stripes(), steps=3, seed=seed).texture((24, 24)) for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_tile_goes_on_at_its_other_end() -> None:
    """The step over the seam is like those within; without `tile` it is not."""
    tile = to_unit(synthesis(stripes(side=64), tile=True, steps=25).texture((36, 40)))
    seam = (tile[:, 0] - tile[:, -1]).abs().mean()
    within = tile.diff(dim=1).abs().mean(2).max()
    assert seam <= 1.2 * within


@pytest.mark.parametrize(("tile", "canvas"), [(False, (36, 50)), (True, (20, 34))])
def test_what_does_not_tile_is_drawn_beyond_its_border(tile: bool, canvas: tuple[int, int]) -> None:
    class Seen(FilterFeatures):
        def of_canvas(self, x: Tensor, layers: Sequence[str]) -> Tiles:
            shapes.add(tuple(x.shape[2:]))
            return super().of_canvas(x, layers)

    shapes: set[tuple[int, ...]] = set()
    drawn = GramSynthesis(stripes(), Seen(1, tile=tile), steps=1, tile=tile).texture((20, 34))
    assert drawn.shape == (1, 20, 34) and shapes - {(64, 64)} == {canvas}


def test_stages_go_from_about_32_pixels_to_full_size() -> None:
    sizes = {(16, 16): 1, (63, 63): 1, (64, 99): 2, (256, 256): 3, (2000, 2000): 3}
    fine = synthesis(stripes(side=128), steps=10)
    assert {size: fine.stages(size) for size in sizes} == sizes
    assert fine.total_steps((256, 256)) == 20 + 15 + 10


def test_every_step_is_told_with_the_image_so_far() -> None:
    told: list[Tensor] = []
    drawing = synthesis(stripes(side=64), steps=4)
    drawing.texture((70, 64), lambda image: told.append(image()))
    assert drawing.total_steps((70, 64)) <= len(told) <= drawing.total_steps((70, 64)) + 10
    assert {(image.dtype, tuple(image.shape)) for image in told} == {(torch.uint8, (1, 70, 64))}


def test_a_network_of_ones_own() -> None:
    torch.manual_seed(0)
    features = features_of(ConvNet(width=1, num_classes=2, in_channels=1), ["conv1", "conv3"], 1, tile=False)
    drawn = GramSynthesis(stripes(), features, steps=15).texture((32, 40))
    assert roughness(drawn, 1) > 1.5 * roughness(drawn, 2)


def test_a_style_keeps_the_content_as_far_as_it_is_asked_to() -> None:
    """A bright disc, in the style of stripes."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 40), torch.linspace(-1, 1, 36), indexing="ij")
    content = ((x**2 + y**2 < 0.5).float() * 2 - 1).view(1, 1, 40, 36)
    likeness = []
    for fidelity in (0.0, 0.3, 1.0):
        drawn = synthesis(stripes(), steps=15).stylized(content, fidelity=fidelity)
        assert drawn.shape == (1, 40, 36)
        likeness.append(torch.corrcoef(torch.stack([to_unit(drawn).flatten(), content.flatten()]))[0, 1].item())
    assert likeness[0] < likeness[1] < likeness[2] and likeness[2] > 0.95
    styled = synthesis(stripes(), steps=15).stylized(content, fidelity=0.1)
    assert roughness(styled, 1) > 1.5 * roughness(styled, 2)


def test_resizing_a_tile_commutes_with_turning_it_round() -> None:
    x = noise.normal((1, 1, 6, 5), seed=0)
    torch.testing.assert_close(
        _resized(x.roll((2, 1), (2, 3)), (12, 10), True), _resized(x, (12, 10), True).roll((4, 2), (2, 3))
    )
    assert _resized(x, (11, 9), True).shape == (1, 1, 11, 9) and _halved(x, 2).shape == (1, 1, 2, 2)
    assert torch.equal(_resized(x, (6, 5), False), x)


@pytest.mark.parametrize(
    ("source", "size", "message"),
    [
        (stripes(side=15), (32, 32), "the source must have from 16 to 20,000 pixels a side, got 15x15"),
        (stripes(), (32, 15), "the image to draw must have from 16 to 20,000 pixels a side, got 32x15"),
        (stripes(), (32, 20_001), "got 32x20001; give another size"),
    ],
)
def test_sides_out_of_range(source: Tensor, size: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        synthesis(source).texture(size)


def test_more_than_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device=None: 2.0**30)
    assert synthesis(stripes(), steps=1).texture((64, 64)).shape == (1, 64, 64)
    with pytest.raises(
        InputError, match=r"a Gram synthesis of 4000x5000 pixels from 32x32 needs about .* give a smaller size"
    ):
        synthesis(stripes()).stylized(torch.zeros(1, 1, 4000, 5000), fidelity=0.3)


def test_a_large_image_takes_the_memory_of_a_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device=None: 2.0**30)
    with pytest.raises(InputError, match=r"a Gram synthesis of 1008x1008 pixels from 32x32 needs about .* GiB"):
        synthesis(stripes())._check((1008, 1008))
    monkeypatch.setattr(FilterFeatures, "side", 256)
    synthesis(stripes())._check((1008, 1008))


def test_a_style_drawn_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same but for the order of sums, which a few steps do not blow up."""
    content = noise.normal((1, 1, 10, 13), seed=2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    drawing = synthesis(stripes(side=72), steps=2)
    whole = to_unit(drawing.stylized(content, fidelity=0.1))
    monkeypatch.setattr(FilterFeatures, "side", 32)
    assert drawing.features.in_tiles(content.shape[2:])
    tiled = to_unit(drawing.stylized(content, fidelity=0.1))
    assert (whole - tiled).abs().max() <= 2 / 127.5


def test_what_is_not_finite_is_told() -> None:
    source = stripes()
    source[0, 0, 3, 3] = torch.inf
    with pytest.raises((Diverged, RuntimeError)):
        synthesis(source).texture((32, 32))


@pytest.mark.parametrize("value", [-1.0, 0.5])
def test_a_source_of_one_colour(value: float) -> None:
    drawn = synthesis(torch.full((1, 3, 20, 20), value), steps=2).texture((20, 24))
    assert (to_unit(drawn) - value).abs().max() < 0.02
