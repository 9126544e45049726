# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Layers of the filters, of judges, of classifiers and of any module give the maps whose positions are patches."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.evaluation import PatchFeatures
from stic_fast.evaluation.noise_seed import noise_seed
from stic_fast.evaluation.resnet20 import ResNet20
from stic_fast.models import ConvNet, FilterBank
from stic_fast.pixels import to_unit

pytestmark = pytest.mark.usefixtures("one_thread")

COLOURED = torch.randint(0, 256, (3, 40, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
GREY = COLOURED[:1]


def shapes(features: PatchFeatures, image: Tensor) -> dict[str, tuple[int, ...]]:
    return {layer: tuple(feature.shape) for layer, feature in features.maps(image).items()}


@pytest.mark.parametrize("image", [GREY, COLOURED], ids=["grey", "coloured"])
def test_filters_and_the_pixels_beside_them(image: Tensor) -> None:
    features = PatchFeatures.of("filters", image)
    assert features.name == "filters" and features.layers == ("pixels", *FilterBank().layer_names)
    maps = features.maps(image)
    assert torch.equal(maps["pixels"], to_unit(image))
    bank = FilterBank(in_channels=len(image), seed=noise_seed(0, "filters that judge textures"))
    assert torch.equal(maps["level1.size7"], bank.features(to_unit(image)[None], ["level1.size7"])[0][0])
    assert not torch.equal(features.network.size7, FilterBank(in_channels=len(image)).size7)
    some = PatchFeatures.of("filters", image, ["level2.size3", "pixels"])
    assert shapes(some, image) == {"level2.size3": (64, 10, 12), "pixels": (len(image), 40, 48)}


def test_a_judge_shows_the_last_layer_of_each_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(ResNet20(10).state_dict(), tmp_path / "resnet20.th")
    features = PatchFeatures.of(f"resnet20:{tmp_path / 'resnet20.th'}", COLOURED)
    assert features.name == "resnet20"
    assert shapes(features, COLOURED) == {"layer1": (16, 40, 48), "layer2": (32, 20, 24), "layer3": (64, 10, 12)}
    grey = features.maps(GREY)
    assert all(torch.equal(grey[layer], each) for layer, each in features.maps(GREY.expand(3, -1, -1)).items())
    named = PatchFeatures.of(f"resnet20:{tmp_path / 'resnet20.th'}", GREY, ["layer2.0.conv1"])
    assert shapes(named, GREY) == {"layer2.0.conv1": (32, 20, 24)}


def test_a_classifier_shows_the_layers_of_its_gram_term() -> None:
    network = ConvNet(width=1, num_classes=2, in_channels=1).train()
    features = PatchFeatures.of(network, GREY)
    assert features.name == "ConvNet" and features.layers == network.gram_layers
    assert all(feature.ndim == 3 for feature in features.maps(GREY).values())
    assert network.training, "a network in training is one afterwards"


class Twice(nn.Module):
    """A layer that is called twice, one that gives a pair, and a map of one position."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.pair, self.mean = nn.Conv2d(3, 3, 1), Pair(), nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolution(self.convolution(x))
        return self.mean(self.pair(x)[0])


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def test_misfits_are_named() -> None:
    linear = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(8, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit as a whole
        script = torch.jit.script(nn.Sequential(nn.Conv2d(3, 2, 1)))
    for network, layers, words in (
        ("cnn", [], "the judge cnn is trained on sets of images"),
        ("oracle", [], "there is no judge 'oracle'"),
        (7, [], "patches need an nn.Module with layers, got int"),
        (script, [], "has no layers that can be read; take filters"),
        (Pair(), [], "Pair has no layers that can be read"),
        (linear, [], r"Sequential cannot read an image of 40x48 pixels \(.*\); take filters"),
        (nn.Sequential(nn.Flatten()), [], "Sequential has no layer with a map of several positions"),
        (nn.Sequential(nn.Conv2d(1, 2, 1)), [], "Sequential reads grey images, got coloured ones"),
        ("filters", ["level9.size3"], "layers names the unknown layer 'level9.size3'"),
        ("filters", "pixels", "layers must be a list"),
        (Twice(), [], "Twice has no layer with a map of several positions"),
        (Twice(), ["convolution"], "layer 'convolution' of Twice was called 2 times"),
        (Twice(), ["mean"], "layer 'mean' of Twice gave no map of several positions"),
        (Twice(), ["pair"], "layer 'pair' of Twice gave no map .* but tuple"),
    ):
        with pytest.raises(InputError, match=words):
            PatchFeatures.of(network, COLOURED, layers).maps(COLOURED)
