# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A classifier that can be asked for its logits and for named features in one forward pass."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models.weights import dtype_of

_MOST_NAMES_LISTED = 40


class Classifier(nn.Module):
    """What sampling and training need of a classifier: logits, and the features that the Gram term compares.

    A subclass hands its names to this constructor and defines `forward_keeping`; `forward` and `logits_and_features`
    follow from it. With a fake class (STIC, section 3: label "-1") there are C + 1 logits and the last is "fake".

    `torch.compile(model)` compiles `forward` alone; for features, compile `model.logits_and_features`.

    Args:
        num_classes: C, the number of real classes.
        has_fake_class: whether logit C is the fake class.
        layer_names: every layer whose feature can be asked for, in the order of the forward pass.
        gram_layers: the layers that the Gram term compares by default.

    Raises:
        InputError: num_classes is below 1, or a Gram layer is not among the layer names.

    >>> import torch
    >>> class MeanColour(Classifier):
    ...     def __init__(self):
    ...         super().__init__(num_classes=2, has_fake_class=True, layer_names=["conv"], gram_layers=["conv"])
    ...         self.conv = nn.Conv2d(3, 3, 1)
    ...     def forward_keeping(self, x, names):
    ...         feature = self.conv(x)
    ...         return feature.mean((2, 3)), {"conv": feature} if "conv" in names else {}
    >>> model = MeanColour()
    >>> logits, (feature,) = model.logits_and_features(torch.zeros(5, 3, 8, 8), ["conv"])
    >>> logits.shape, feature.shape, model.fake_class
    (torch.Size([5, 3]), torch.Size([5, 3, 8, 8]), 2)
    """

    def __init__(
        self, *, num_classes: int, has_fake_class: bool, layer_names: Sequence[str], gram_layers: Sequence[str]
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise InputError(f"num_classes must be at least 1, got {num_classes}; give the number of real classes")
        self.num_classes = num_classes
        self.has_fake_class = has_fake_class
        self.layer_names = tuple(layer_names)
        check_layer_names(gram_layers, self.layer_names, argument="gram_layers")
        self.gram_layers = tuple(gram_layers)

    @property
    def num_logits(self) -> int:
        """The width of the logits: C + 1 with a fake class, else C."""
        return self.num_classes + int(self.has_fake_class)

    @property
    def fake_class(self) -> int | None:
        """The index of the fake class among the logits, which is C; None without one."""
        return self.num_classes if self.has_fake_class else None

    def forward(self, x: Tensor) -> Tensor:
        """The logits (B, C), or (B, C + 1) with a fake class, of float images x (B, channels, *S) in [-1, 1]."""
        return self.logits_and_features(x, ())[0]

    def logits_and_features(self, x: Tensor, layers: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        """The logits and the features of the named layers, from one forward pass.

        Args:
            x: float images in [-1, 1], (B, channels, *S); float32 is brought to the weights' type.
            layers: names out of `layer_names`, in any order.

        Returns:
            The logits (B, C) or (B, C + 1), and one feature (B, channels, *S) per name, in the order asked.

        Raises:
            InputError: a layer is unknown, or x is not floating point.
        """
        check_layer_names(layers, self.layer_names, argument="layers")
        if not x.is_floating_point():
            raise InputError(f"x must be float images in [-1, 1], got {x.dtype}; bytes become that by x / 127.5 - 1")
        if x.dtype == torch.float32:
            x = x.to(dtype_of(self))
        logits, features = self.forward_keeping(x, frozenset(layers))
        return logits, [features[name] for name in layers]

    def forward_keeping(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """One forward pass: the logits, and the features of exactly these (known) names. A subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward_keeping")

    def class_logits(self, logits: Tensor) -> Tensor:
        """The logits of the C real classes, (B, C): the ones to predict and calibrate with.

        Raises:
            InputError: the last dimension of `logits` is not this classifier's number of logits.
        """
        if logits.shape[-1] != self.num_logits:
            got = f"got shape {tuple(logits.shape)}; pass what this classifier's forward returns"
            raise InputError(f"logits must have last dimension {self.num_logits}, {got}")
        return logits[..., : self.num_classes]


def arguments_of(model: Classifier) -> dict[str, Any]:
    """The arguments of a model's constructor as JSON-able values, of one that keeps them under their names."""
    values = {**vars(model), "fake_class": model.has_fake_class}
    chosen = {name: values[name] for name in inspect.signature(type(model)).parameters}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}


def check_layer_names(layers: Sequence[str], known: tuple[str, ...], *, argument: str) -> None:
    """Refuses what is no list of known layers.

    Raises:
        InputError: naming the layer, and those there are.
    """
    if isinstance(layers, str):
        raise InputError(f"{argument} must be a list of layer names, got the string {layers!r}; write [{layers!r}]")
    for name in layers:
        if name not in known:
            raise InputError(f"{argument} names the unknown layer {name!r}; {_suggest(name, known)}")


def check_image_batch(x: Tensor, in_channels: int) -> None:
    """Refuses what is no batch of images with so many channels.

    Raises:
        InputError: naming the shape.
    """
    if x.ndim != 4 or x.shape[1] != in_channels or x.shape[2] < 1 or x.shape[3] < 1:
        raise InputError(
            f"x must be images of shape (B, {in_channels}, H, W), got {tuple(x.shape)}; "
            "reshape them, or build the network with their in_channels"
        )


def logits_alone(returned: object, who: str) -> Tensor:
    """What a model returned, where it is a tensor.

    Raises:
        InputError: it is a tuple or a mapping, as models return that give more than logits.
    """
    if not isinstance(returned, Tensor):
        raise InputError(
            f"{who} returned a {type(returned).__name__} instead of a tensor of logits; put a module around it that "
            "returns the logits alone"
        )
    return returned


def without_autocast(device: str) -> AbstractContextManager[Any]:
    """Within it a pass computes in the weights' own precision; the meta device, for one, has no autocast."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def _suggest(name: str, known: tuple[str, ...]) -> str:
    if close := get_close_matches(name, known, n=5):
        return f"close matches: {', '.join(close)}; layer_names lists all {len(known)}"
    listed = ", ".join(known[:_MOST_NAMES_LISTED])
    rest = len(known) - _MOST_NAMES_LISTED
    return f"the layers are: {listed}" + (f", and {rest} more in layer_names" if rest > 0 else "")
