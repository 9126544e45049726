# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Any `nn.Module` classifier as a `Classifier`, its features read by forward hooks on named submodules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models.classifier import Classifier, logits_alone
from stic_fast.models.recorded import recorded, the_output


class WrappedClassifier(Classifier):
    """A classifier of your own made ready for sampling; `wrap` is short for it.

    A layer is any submodule, by its name in `module.named_modules()`, that a forward pass calls exactly once and that
    returns one tensor (B, C, *S); its feature is that tensor, as it is before any in-place operation that follows.
    The hooks exist during `logits_and_features` only; threads may share the classifier.

    BatchNorm and Dropout behave as the module's mode says: in training mode a chain depends on the batch it sits in.
    Sampling switches to eval mode; call `.eval()` yourself when you call the classifier directly.

    Hooks do not reach into a module that is already compiled, and `torch.compile` does not trace their registration:
    compiled without fullgraph, `logits_and_features` stays correct and gains little. `WideResNet` needs no hooks.

    Args:
        module: maps what `preprocess` returns to logits (B, num_classes), one more with a fake class.
        gram_layers: the submodules that the Gram term compares by default; may be empty.
        num_classes: C, the number of real classes.
        has_fake_class: whether the module's last logit is a fake class.
        preprocess: maps x in [-1, 1] to what the module expects, for example `Normalize`; None changes nothing.

    Raises:
        InputError: a layer is unknown here; and from a forward pass: a layer is called not at all or more than once,
            a feature is no tensor (B, C, *S), or the logits are no tensor (B, C), (B, C + 1) with a fake class.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    >>> model = wrap(net, gram_layers=["1"], num_classes=10, preprocess=Normalize([0.5] * 3, [0.25] * 3))
    >>> logits, (feature,) = model.logits_and_features(torch.zeros(2, 3, 8, 8), model.gram_layers)
    >>> logits.shape, feature.shape
    (torch.Size([2, 10]), torch.Size([2, 8, 6, 6]))
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        gram_layers: Sequence[str],
        num_classes: int,
        has_fake_class: bool = False,
        preprocess: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            has_fake_class=has_fake_class,
            layer_names=[name for name, _ in module.named_modules() if name],
            gram_layers=gram_layers,
        )
        self.module = module
        self.preprocess = preprocess

    def forward_keeping(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """The module's logits and the named submodules' outputs, for x in [-1, 1]."""
        with recorded(self.module, names) as outputs:
            logits = self.module(x if self.preprocess is None else self.preprocess(x))
        self._check_logits(logits, batch=x.shape[0])
        return logits, {name: _the_feature(name, outputs[name], batch=x.shape[0]) for name in names}

    def _check_logits(self, logits: Any, *, batch: int) -> None:
        who = f"the wrapped {type(self.module).__name__}"
        logits = logits_alone(logits, who)
        if tuple(logits.shape) != (batch, self.num_logits):
            raise InputError(
                f"{who} returned logits of shape {tuple(logits.shape)}, but num_classes={self.num_classes} and "
                f"has_fake_class={self.has_fake_class} ask for {(batch, self.num_logits)}; correct these or the "
                "module's last layer"
            )


wrap = WrappedClassifier


class Normalize(nn.Module):
    """From [-1, 1] to the scale of a classifier trained on normalised images in [0, 1]: ((x + 1)/2 - mean) / std.

    Args:
        mean: per channel, of images in [0, 1].
        std: per channel, of images in [0, 1]; positive.

    Raises:
        InputError: mean and std differ in length or are empty, or a std is not positive.

    >>> white = torch.ones(1, 3, 1, 1)
    >>> Normalize([0.5, 0.5, 0.0], [0.25, 0.5, 1.0])(white).flatten().tolist()
    [2.0, 1.0, 1.0]
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not mean or min(std) <= 0:
            raise InputError(
                f"Normalize needs one mean and one positive std per channel, got mean={list(mean)} and "
                f"std={list(std)}; give two lists of the same length"
            )
        means, stds = torch.tensor([mean, std]).reshape(2, -1, 1, 1)
        # Not persistent: they are the user's constants, and the module's own checkpoint must still load.
        self.register_buffer("scale", 0.5 / stds, persistent=False)
        self.register_buffer("shift", (0.5 - means) / stds, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images of x's shape (B, C, H, W) and dtype."""
        if x.ndim != 4 or x.shape[1] != self.scale.shape[0]:
            raise InputError(
                f"Normalize has {self.scale.shape[0]} channels, got x of shape {tuple(x.shape)}; "
                "x must be (B, C, H, W) with as many channels as mean and std"
            )
        return x * self.scale.to(x.dtype) + self.shift.to(x.dtype)


def _the_feature(name: str, outputs: list[Any], *, batch: int) -> Tensor:
    feature = the_output(name, outputs)
    if not isinstance(feature, Tensor):
        kind = type(feature).__name__
        raise InputError(f"layer {name!r} returned a {kind} instead of a tensor (B, C, *S); name a layer inside it")
    if feature.ndim < 3 or feature.shape[0] != batch:
        raise InputError(
            f"layer {name!r} returned shape {tuple(feature.shape)}, but a Gram matrix needs (B, C, *S) with B={batch} "
            "and at least one dimension of positions; name a layer before the pooling"
        )
    return feature
