# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The source of a texture, against which drawn textures, other pieces of itself and noise are held alike.

All that is compared is cut into windows of one size, half of the source at most. So every row of the scores has the
same bias: the Fréchet distance of few positions in many channels is biased upwards, and needs no other remedy, for it
is taken exactly where a covariance has not full rank (see `frechet_distance_of_gaussians`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from stic_fast import ops
from stic_fast.evaluation.features import FeatureStatistics
from stic_fast.evaluation.frechet import frechet_distance
from stic_fast.evaluation.patch_copies import nearest_patches, share_of_copies
from stic_fast.evaluation.patch_features import PatchFeatures
from stic_fast.evaluation.texture_record import LayerDistances, TextureKind, TextureRow

LARGEST_WINDOW = 256  # pixels a side; a larger one says little more of a texture and costs memory
MOST_WINDOWS = 6  # of an image
_DIGITS = 12  # of a distance; beyond them there is rounding


class LayerSummary(NamedTuple):
    """What is kept of a layer's feature map: statistics of the features over all positions, and the Gram matrix."""

    statistics: FeatureStatistics
    gram: Tensor  # (C, C)

    @classmethod
    def of(cls, feature: Tensor) -> LayerSummary:
        """Of a map (C, height, width)."""
        return cls(FeatureStatistics.of(feature.flatten(1).T), ops.gram(feature[None])[0])


def window_size(source: Tensor, drawn: Iterable[Tensor]) -> tuple[int, int]:
    """Height and width of the windows: half of the source, cut along its longer side, or less where a texture is less.

    >>> window_size(torch.zeros(3, 200, 256), [torch.zeros(3, 300, 100)])
    (200, 100)
    """
    height, width = source.shape[1:]
    half = (height // 2, width) if height > width else (height, width // 2)
    sizes = torch.tensor([half, *(each.shape[1:] for each in drawn)])
    height, width = sizes.amin(0).clamp(max=LARGEST_WINDOW).tolist()
    return height, width


def windows_of(image: Tensor, size: tuple[int, int]) -> list[Tensor]:
    """Windows (C, *size) of an image (C, H, W), evenly spread over it without overlap, the first at the top left.

    >>> [window[0, 0, 0].item() for window in windows_of(torch.arange(10).view(1, 1, 10), (1, 4))]
    [0, 6]
    """
    sides = zip(image.shape[1:], size, strict=True)
    starts = (torch.linspace(0, side - part, side // part).int().tolist() for side, part in sides)
    places = list(itertools.product(*starts))
    chosen = torch.linspace(0, len(places) - 1, min(MOST_WINDOWS, len(places))).round().int().tolist()
    (height, width), corners = size, (places[number] for number in chosen)
    return [image[:, top : top + height, left : left + width] for top, left in corners]


def layer_distances(one: LayerSummary, other: LayerSummary) -> tuple[float, float]:
    """The Fréchet and the Gram distance of a layer in two windows, each from 0 (the same) to 1 (nothing in common).

        FD/(‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂)        ‖G₁ − G₂‖/(‖G₁‖ + ‖G₂‖)

    FD is the Fréchet distance of the features over all positions, as in SIFID (Shaham, Dekel and Michaeli, 2019), and
    G the Gram matrix (Gatys et al., 2015). In these units no layer outweighs the others.

    >>> feature = torch.randn(8, 6, 6, generator=torch.Generator().manual_seed(0))
    >>> [round(each, 2) for each in layer_distances(LayerSummary.of(feature), LayerSummary.of(3 * feature))]
    [0.4, 0.8]
    """
    statistics = one.statistics, other.statistics
    largest = (statistics[0].mean - statistics[1].mean).square().sum()
    largest += sum(each.covariance.trace() for each in statistics)
    lengths = float(one.gram.norm() + other.gram.norm())
    return (
        round(frechet_distance(*statistics) / float(largest), _DIGITS) if largest else 0.0,
        round(float((one.gram - other.gram).norm()) / lengths, _DIGITS) if lengths else 0.0,
    )


@dataclass(frozen=True, eq=False)
class TextureSource:
    """A source, uint8 (C, H, W), whose two halves hold a window each at least."""

    image: Tensor
    features: PatchFeatures
    window: tuple[int, int]
    patch: int

    def row(self, kind: TextureKind, name: str, image: Tensor, diversity: float | None) -> TextureRow:
        """The scores of a texture, uint8 (C, H, W)."""
        nearest = nearest_patches(image, self.image, patch=self.patch)
        return self._row(kind, name, self.distances(image), nearest, diversity)

    def other_crop(self, diversity: float | None) -> TextureRow:
        """The scores of the source's windows beside each other, and of its patches elsewhere in it."""
        return self._row("other crop", "another crop", self.distances_within(), self._elsewhere, diversity)

    def itself(self, diversity: float | None) -> TextureRow:
        """The scores of the source itself, which any measure must tell from all else."""
        itself = self._mean_distances(zip(self._own_summaries, self._own_summaries, strict=True))
        nearest = nearest_patches(self.image, self.image, patch=self.patch)
        return self._row("source", "source itself", itself, nearest, diversity)

    def distances(self, image: Tensor) -> list[LayerDistances]:
        """By layer the mean distances between the windows of a texture, uint8 (C, H, W), and those of the source."""
        return self._mean_distances(itertools.product(self._summaries(image), self._own_summaries))

    def distances_within(self) -> list[LayerDistances]:
        """The same between different windows of the source."""
        return self._mean_distances(itertools.combinations(self._own_summaries, 2))

    def diversity(self, one: Tensor, other: Tensor) -> float | None:
        """How far two draws are from one another: at 0 they are the same, at 1 as different as two crops of the source.

        It is the mean distance from a patch to the other draw's nearest, within windows that stand at one place of
        both, over the same between neighbouring windows of the source; None where these are copies of each other.
        """
        found = self._apart(windows_of(one, self.window), windows_of(other, self.window))
        return found / self._apart_in_source if self._apart_in_source else None

    def _row(
        self,
        kind: TextureKind,
        name: str,
        layers: Sequence[LayerDistances],
        nearest: Tensor,
        diversity: float | None,
    ) -> TextureRow:
        return TextureRow(
            kind=kind,
            name=name,
            frechet=fmean(layer.frechet for layer in layers),
            gram=fmean(layer.gram for layer in layers),
            nearest=float(nearest.mean()),
            copies=share_of_copies(nearest, self._elsewhere),
            diversity=diversity,
            layers=tuple(layers),
        )

    def _mean_distances(
        self, pairs: Iterable[tuple[dict[str, LayerSummary], dict[str, LayerSummary]]]
    ) -> list[LayerDistances]:
        each = [[layer_distances(one[layer], other[layer]) for layer in one] for one, other in pairs]
        means = torch.tensor(each, dtype=torch.float64).mean(0)  # (layers, 2)
        return list(map(LayerDistances, self.features.layers, *means.T.tolist()))

    def _summaries(self, image: Tensor) -> list[dict[str, LayerSummary]]:
        maps = (self.features.maps(window) for window in windows_of(image, self.window))
        return [{layer: LayerSummary.of(feature) for layer, feature in each.items()} for each in maps]

    @cached_property
    def _own_summaries(self) -> list[dict[str, LayerSummary]]:
        return self._summaries(self.image)

    @cached_property
    def _elsewhere(self) -> Tensor:
        return nearest_patches(self.image, self.image, patch=self.patch, elsewhere=True)

    @cached_property
    def _apart_in_source(self) -> float:
        windows = windows_of(self.image, self.window)
        return self._apart(windows[:-1], windows[1:])

    def _apart(self, ones: Sequence[Tensor], others: Sequence[Tensor]) -> float:
        """The mean distance from a patch to the other window's nearest, over pairs of windows and both ways."""
        pairs = [*zip(ones, others, strict=False), *zip(others, ones, strict=False)]  # as many as both have
        return float(torch.stack([nearest_patches(*pair, patch=self.patch).mean() for pair in pairs]).mean())
