# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Features of a texture's patches: at each position of a layer the channels describe the patch that the layer sees.

Layers that see little tell grain, layers that see much tell layout. The network is the bank of fixed random filters,
which everybody has, or any judge or classifier whose layers can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.evaluation.checks import described
from stic_fast.evaluation.judges import load_judge
from stic_fast.evaluation.network_judge import NetworkJudge, last_line
from stic_fast.evaluation.noise_seed import noise_seed
from stic_fast.models import Classifier, FilterBank
from stic_fast.models.classifier import check_layer_names
from stic_fast.models.frozen import frozen
from stic_fast.models.recorded import recorded, the_output
from stic_fast.models.weights import device_of
from stic_fast.pixels import to_unit

FILTERS = "filters"
"""The name of a `FilterBank`, and of the pixels beside it, for the filters see no brightness. Its seed is its own, so
that no texture was drawn to please these very filters."""
PIXELS = "pixels"
_HINT = f"take {FILTERS}, resnet20:PATH, or a network in Python"


@dataclass(frozen=True, eq=False)
class PatchFeatures:
    """A network and those of its layers that are read; `PatchFeatures.of` makes it."""

    name: str  # enters the names of the scores: "FD-filters"
    network: nn.Module
    read: Callable[[Tensor, Sequence[str]], Sequence[Sequence[object]]]  # each named layer's outputs of one pass
    known: tuple[str, ...]  # all layers
    layers: tuple[str, ...]  # those that are read
    in_channels: int | None  # None where the network does not tell

    @classmethod
    def of(cls, network: object, image: Tensor, layers: Sequence[str] = ()) -> PatchFeatures:
        """The features of a network, for images like this one.

        Args:
            network: "filters"; the name of another judge but cnn (see `load_judge`); a `FilterBank`, a `Classifier`, a
                `NetworkJudge`, or any nn.Module that reads floats in [-1, 1].
            image: uint8 (C, H, W).
            layers: by their names; none for all of the filters', those of a classifier's Gram term, and the last layer
                of each size of any other network.

        Raises:
            InputError: no such network or layer, or one that cannot read such images.

        >>> image = torch.zeros(1, 32, 48, dtype=torch.uint8)
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        >>> features = PatchFeatures.of(network, image)
        >>> {name: tuple(each.shape) for name, each in features.maps(image).items()}
        {'1': (8, 15, 23), '2': (8, 7, 11)}
        """
        module = _loaded(network, image) if isinstance(network, str) else network
        if isinstance(module, FilterBank):
            found = cls._of_bank(module)
        elif isinstance(module, Classifier):
            found = cls._of_classifier(module)
        elif isinstance(module, nn.Module):
            found = cls._of_module(module)
        else:
            raise InputError(f"patches need an nn.Module with layers, got {described(module)}; {_HINT}")
        check_layer_names(layers, found.known, argument="layers")
        if layers or found.layers:
            return replace(found, layers=tuple(layers) or found.layers)
        return replace(found, layers=found._last_of_each_size(image))

    def maps(self, image: Tensor) -> dict[str, Tensor]:
        """By layer the feature map, float32 (channels, height, width), of an image uint8 (C, H, W).

        A grey image is shown in three equal channels to a network that sees colours.

        Raises:
            InputError: the network cannot read it, or a layer gives no map of at least two positions.
        """
        maps = {}
        for layer, outputs in zip(self.layers, self._outputs(image, self.layers), strict=True):
            feature = the_output(layer, outputs, of=f" of {self.name}")
            if not _is_map(feature):
                raise InputError(
                    f"layer {layer!r} of {self.name} gave no map of several positions (1, channels, height, width), "
                    f"but {described(feature)}; name another layer, or give larger images"
                )
            maps[layer] = feature[0].float().cpu()
        return maps

    def _outputs(self, image: Tensor, layers: Sequence[str]) -> Sequence[Sequence[object]]:
        channels, height, width = image.shape
        if self.in_channels not in (None, channels):
            if channels != 1:
                raise InputError(f"{self.name} reads grey images, got coloured ones; take grey images, or {_HINT}")
            image = image.expand(self.in_channels, -1, -1)
        x = to_unit(image)[None]
        try:
            with torch.no_grad(), frozen(self.network):
                return self.read(x.to(device_of(self.network, x)), layers)
        except (RuntimeError, TypeError) as error:  # as layers raise them that want another size
            raise InputError(
                f"{self.name} cannot read an image of {height}x{width} pixels ({last_line(error)}); {_HINT}"
            ) from error

    @classmethod
    def _of_bank(cls, bank: FilterBank) -> PatchFeatures:
        def read(x: Tensor, layers: Sequence[str]) -> list[list[Tensor]]:
            filtered = [layer for layer in layers if layer != PIXELS]
            found = {PIXELS: x, **dict(zip(filtered, bank.features(x, filtered), strict=True))}
            return [[found[layer]] for layer in layers]

        known = (PIXELS, *bank.layer_names)
        return cls(FILTERS, bank, read, known, known, bank.in_channels)

    @classmethod
    def _of_classifier(cls, network: Classifier) -> PatchFeatures:
        def read(x: Tensor, layers: Sequence[str]) -> list[list[Tensor]]:
            return [[feature] for feature in network.logits_and_features(x, layers)[1]]

        name, channels = type(network).__name__, _first_channels(network)
        return cls(name, network, read, network.layer_names, network.gram_layers, channels)

    @classmethod
    def _of_module(cls, module: nn.Module) -> PatchFeatures:
        judged = module.network if isinstance(module, NetworkJudge) else module
        name = str(getattr(module, "name", type(module).__name__))
        known = () if isinstance(judged, torch.jit.ScriptModule) else tuple(_in_order(judged))
        if not known:
            raise InputError(f"{name} has no layers that can be read; {_HINT}")

        def read(x: Tensor, layers: Sequence[str]) -> list[list[object]]:
            with recorded(judged, layers) as outputs:
                module(x)
            return [outputs[layer] for layer in layers]

        return cls(name, module, read, known, (), _first_channels(judged))

    def _last_of_each_size(self, image: Tensor) -> tuple[str, ...]:
        """The last layer of each size of map, among the layers with one."""
        last = {}
        for layer, outputs in zip(self.known, self._outputs(image, self.known), strict=True):
            if len(outputs) == 1 and _is_map(outputs[0]):
                last[outputs[0].shape[2:]] = layer
        if not last:
            raise InputError(f"{self.name} has no layer with a map of several positions; {_HINT}")
        return tuple(last.values())


def _is_map(feature: object) -> TypeGuard[Tensor]:
    return isinstance(feature, Tensor) and feature.ndim == 4 and feature[0, 0].numel() > 1


def _loaded(spec: str, image: Tensor) -> object:
    if spec == FILTERS:
        return FilterBank(in_channels=len(image), seed=noise_seed(0, "filters that judge textures"))
    if spec.partition(":")[0] == "cnn":
        raise InputError(f"the judge cnn is trained on sets of images and cannot judge a texture; {_HINT}")
    return load_judge(spec, image.expand(3, -1, -1)[None].contiguous(), torch.zeros(1, dtype=torch.int64), 1)


def _in_order(module: nn.Module, above: str = "") -> Iterator[str]:
    """The submodules' names, each after those within it, as they end in a forward pass."""
    for name, child in module.named_children():
        yield from _in_order(child, f"{above}{name}.")
        yield f"{above}{name}"


def _first_channels(network: nn.Module) -> int | None:
    convolutions = (module for module in network.modules() if isinstance(module, nn.Conv2d))
    first = next(convolutions, None)
    return None if first is None else first.in_channels
