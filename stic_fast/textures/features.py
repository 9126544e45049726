# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Whose features make a texture: of the filter bank, of a classifier, or of any module's named layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.models import Classifier, FilterBank
from stic_fast.models.classifier import check_layer_names
from stic_fast.models.filter_bank import Border
from stic_fast.models.frozen import frozen
from stic_fast.models.recorded import recorded, the_output
from stic_fast.textures.tiles import Tiles, cuts

WRAPPED = 16
"""Pixels of the other end that a network of one's own is shown beyond each border of a tile."""


class TextureFeatures:
    """Features of images (1, C, H, W), floats; `features_of` makes them."""

    whitened: bool
    """Whether they are taken in the source's `ColourSpace`, and not of pixels in [−1, 1]."""

    def layers(self, source: Sequence[int], canvas: Sequence[int]) -> list[str]:
        """The layers to compare, of those that a source and a canvas of these heights and widths allow."""
        raise NotImplementedError

    def of_source(self, x: Tensor, layers: Sequence[str]) -> Tiles:
        """The features of the image that is imitated, in one tile or several."""
        raise NotImplementedError

    def of_canvas(self, x: Tensor, layers: Sequence[str]) -> Tiles:
        """The features of the image that is drawn, in one tile or several, differentiable in x."""
        raise NotImplementedError

    def in_tiles(self, size: Sequence[int]) -> bool:
        """Whether a canvas of this height and width is read in several tiles."""
        return False

    def at_once(self, size: Sequence[int]) -> int:
        """Pixels of a canvas, or of a source, that are read at once."""
        return math.prod(size)


class FilterFeatures(TextureFeatures):
    """Those of a `FilterBank` with a second layer; of a source nothing beyond its border is read.

    >>> FilterFeatures(channels=1, tile=False).layers((16, 16), (64, 64))
    ['level0.size5', 'level0.second', 'level1.size5']
    """

    whitened = True
    side = 1024
    """Of a tile, in pixels; images of more than two such tiles are read in tiles."""

    def __init__(self, channels: int, *, tile: bool) -> None:
        def bank(border: Border) -> FilterBank:
            return FilterBank(in_channels=channels, sizes=(5,), filters=64, second=128, levels=4, border=border)

        self._source, self._canvas = bank("inside"), bank("tile" if tile else "mirror")

    def layers(self, source: Sequence[int], canvas: Sequence[int]) -> list[str]:
        sides = (self._source, min(source)), (self._canvas, min(canvas))
        names = self._source.layer_names
        return [name for name in names if all(side >= bank.smallest_side(name) for bank, side in sides)]

    def of_source(self, x: Tensor, layers: Sequence[str]) -> Tiles:
        return self._tiles(self._source, x, layers)

    def of_canvas(self, x: Tensor, layers: Sequence[str]) -> Tiles:
        return self._tiles(self._canvas, x, layers)

    def in_tiles(self, size: Sequence[int]) -> bool:
        return self._is_cut(self._canvas, size)

    def at_once(self, size: Sequence[int]) -> int:
        reach = sum(self._canvas.reach(self._canvas.layer_names))
        return math.prod(min(side, self.side + reach) if self.in_tiles(size) else side for side in size)

    def _is_cut(self, bank: FilterBank, size: Sequence[int]) -> bool:
        """Not where the levels of a tile would end beside its pixels: their other end is then elsewhere."""
        fits = bank.border != "tile" or all(side % bank.step == 0 for side in size)
        return fits and math.prod(size) > 2 * self.side**2

    def _tiles(self, bank: FilterBank, x: Tensor, layers: Sequence[str]) -> Tiles:
        size, bank = x.shape[2:], bank.to(x.device)
        if not self._is_cut(bank, size):
            yield bank.features(x, layers)
            return
        (before, after), wrapped = bank.reach(layers), bank.border == "tile"
        axes = [list(cuts(length, self.side, before, after, wrapped=wrapped)) for length in size]
        scales = [bank.scale(layer) for layer in layers]
        for rows, columns in itertools.product(*axes):
            around = F.pad(x, (before, after) * 2, mode="circular") if wrapped else x
            found = bank.features(around[..., rows.read, columns.read], layers)
            yield [
                feature[..., rows.kept(scale), columns.kept(scale)]
                for feature, scale in zip(found, scales, strict=True)
            ]


class ModuleFeatures(TextureFeatures):
    """Those of named layers of a module that reads floats in [−1, 1], its weights frozen.

    Args:
        module: a `Classifier`, or any module.
        layers: by name; none for those that a classifier's Gram term compares.
        tile: whether the canvas is to tile.

    Raises:
        InputError: an unknown layer, or none; and from the features: what the module cannot read.

    >>> import torch
    >>> features = ModuleFeatures(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), ["1"], tile=False)
    >>> [[feature.shape for feature in tile] for tile in features.of_source(torch.zeros(1, 3, 8, 8), ["1"])]
    [[torch.Size([1, 8, 6, 6])]]
    """

    whitened = False

    def __init__(self, module: nn.Module, layers: Sequence[str] = (), *, tile: bool) -> None:
        known = module.layer_names if isinstance(module, Classifier) else tuple(dict(module.named_modules()))[1:]
        own = module.gram_layers if isinstance(module, Classifier) else ()
        check_layer_names(layers, known, argument="layers")
        self._module, self._layers, self._tile = module, list(layers or own), tile
        if not self._layers:
            raise InputError(f"{type(module).__name__} has no layers of a Gram term; name layers to compare")

    def layers(self, source: Sequence[int], canvas: Sequence[int]) -> list[str]:
        return self._layers

    def of_source(self, x: Tensor, layers: Sequence[str]) -> Tiles:
        return [self._read(x, layers)]

    def of_canvas(self, x: Tensor, layers: Sequence[str]) -> Tiles:
        if self._tile:
            x = F.pad(x, [min(WRAPPED, side) for side in x.shape[3:1:-1] for _ in range(2)], mode="circular")
        return [self._read(x, layers)]

    def _read(self, x: Tensor, layers: Sequence[str]) -> list[Tensor]:
        module = self._module
        try:
            with frozen(module):
                if isinstance(module, Classifier):
                    return module.logits_and_features(x, layers)[1]
                with recorded(module, layers) as outputs:
                    module(x)
            found = [the_output(layer, outputs[layer]) for layer in layers]
        except (RuntimeError, TypeError) as error:  # as layers raise them that want another size or other channels
            name, why = type(module).__name__, str(error).splitlines()[0]
            hint = "take another network, or another image"
            raise InputError(f"{name} cannot read an image of shape {tuple(x.shape[1:])} ({why}); {hint}") from error
        for layer, feature in zip(layers, found, strict=True):
            if not isinstance(feature, Tensor) or feature.ndim < 3 or feature.shape[0] != 1:
                raise InputError(f"layer {layer!r} gave no map (1, channels, height, width); name another")
        return found


def features_of(network: nn.Module | None, layers: Sequence[str], channels: int, *, tile: bool) -> TextureFeatures:
    """The features of a network, or of the filter bank if None.

    Raises:
        InputError: layers for the filter bank, which takes all of its own, or as `ModuleFeatures`.

    >>> type(features_of(None, (), 3, tile=False)).__name__
    'FilterFeatures'
    """
    if network is not None:
        return ModuleFeatures(network, layers, tile=tile)
    if layers:
        raise InputError("layers are those of a network; give one, or leave them out")
    return FilterFeatures(channels, tile=tile)
