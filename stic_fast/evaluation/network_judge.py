# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Any network as a judge: its input scale, its size, its features and its logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.evaluation.checks import described, unit_images
from stic_fast.evaluation.features import JudgeNetwork
from stic_fast.models.frozen import frozen
from stic_fast.models.recorded import recorded, the_output
from stic_fast.models.weights import weight_of


class NetworkJudge(nn.Module):
    """A network that somebody else trained, asked for features and logits of images in our form.

    Images uint8 or floating point in [-1, 1] are taken to the network's own range, normalised, (x − mean)/std, and,
    where `resize` says so, resized (bilinear, antialiased). The network runs in evaluation mode, set here.

    Args:
        network: returns logits (N, K), with `feature_layer` or `head`; or, without, the pair (features, logits).
        name: enters the names of its metrics, "FD-NAME@10k".
        num_classes: K; 0 for as many as there are, until `sized` has learnt it.
        feature_layer: the submodule, by its name in `network.named_modules()`, whose output is the feature vector:
            (N, D), or (N, D, *S), of which the mean over positions is taken.
        head: the submodule whose input is the feature vector, such as the last linear layer.
        mean, std: one number, or one per channel, in units of `value_range`.
        value_range: what 0 and 255 become before the normalisation.
        resize: (height, width) that the network wants; None leaves images as they are.

    Raises:
        InputError: an unknown layer, a std that is not positive, an empty range; and from a call: images of another
            type, or outputs that are not as said above.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    >>> judge = NetworkJudge(network, name="toy", num_classes=4, feature_layer="3", mean=[0.5], std=[0.25])
    >>> images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    >>> judge.features(images).shape, judge(images).shape
    (torch.Size([2, 8]), torch.Size([2, 4]))
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        num_classes: int,
        feature_layer: str | None = None,
        head: str | None = None,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        value_range: tuple[float, float] = (0.0, 1.0),
        resize: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        _check_input_scale(mean, std, value_range, resize)
        self.layer, self.reads_input = feature_layer or head, feature_layer is None
        if self.layer is not None:
            _check_layer(network, self.layer)
        self.network, self.name, self.num_classes = network, name, num_classes
        self.value_range, self.resize = value_range, resize
        for buffer, numbers in (("mean", mean), ("std", std)):
            self.register_buffer(buffer, torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        network.eval()

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, D) and logits (N, K), float32, from one forward pass of images (N, C, H, W)."""
        layers = [] if self.layer is None else [self.layer]
        with recorded(self.network, layers, inputs=self.reads_input) as listed:
            answer = self.network(self._scaled(images))
        if self.layer is not None:
            answer = the_output(self.layer, listed[self.layer], of=f" of judge {self.name!r}"), answer
        elif not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise InputError(
                f"the network of judge {self.name!r} must return the pair (features, logits), got "
                f"{described(answer)}; name a feature layer, or put a module around it that returns both"
            )
        features, logits = answer
        for what, values in (("features", features), ("logits", logits)):
            if not isinstance(values, Tensor) or values.ndim < 2 or len(values) != len(images):
                raise InputError(
                    f"judge {self.name!r} gave {what} that are no tensor ({len(images)}, ...) but {described(values)}; "
                    "name another layer, or put a module around the network"
                )
        if logits.ndim != 2 or self.num_classes not in (0, logits.shape[1]):
            raise InputError(
                f"judge {self.name!r} gave logits of shape {tuple(logits.shape)}, but has num_classes="
                f"{self.num_classes}; mend num_classes or the network's last layer"
            )
        return (features.flatten(2).mean(2) if features.ndim > 2 else features).float(), logits.float()

    def features(self, images: Tensor) -> Tensor:
        """The feature vectors, float32 (N, D), of images uint8 or in [-1, 1]."""
        return self.features_and_logits(images)[0]

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K), float32, for images uint8 or in [-1, 1]; gradients reach floating-point images."""
        return self.features_and_logits(images)[1]

    def _scaled(self, images: Tensor) -> Tensor:
        unit = unit_images(images, judge=self.name).float()
        for what, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, images.shape[1]):
                raise InputError(
                    f"judge {self.name!r} has a {what} for {len(numbers)} channels, got images with "
                    f"{images.shape[1]}; give images with {len(numbers)} channels or another judge"
                )
        low, high = self.value_range
        x = ((unit + 1) * ((high - low) / 2) + low - self.mean) / self.std
        if self.resize is not None and tuple(x.shape[2:]) != self.resize:
            x = F.interpolate(x, self.resize, mode="bilinear", antialias=True)
        return x

    def sized(self, image_shape: Sequence[int]) -> NetworkJudge:
        """The judge itself, its number of classes learnt from a blank image (C, H, W)."""
        self.num_classes = 0
        with torch.no_grad():
            blank = torch.zeros(1, *image_shape, dtype=torch.uint8, device=self.mean.device)
            self.num_classes = self.features_and_logits(blank)[1].shape[1]
        return self


def as_judge(network: object, image_shape: Sequence[int]) -> JudgeNetwork:
    """A network as a judge: as it is if it has a judge's four members, wrapped if it is a module that gives logits.

    Of the latter the input of its last linear layer is the feature vector, or, where it has none, its logits; images
    are given to it as floats in [-1, 1], as the models of this package see them. `NetworkJudge` sets all that freely.
    A network in training is one afterwards, too.

    Args:
        network: see `JudgeNetwork`; or an nn.Module from images (N, C, H, W) to logits (N, K).
        image_shape: (C, H, W) of images it will see.

    Raises:
        InputError: it is neither, or cannot read such images.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 3))
    >>> judge = as_judge(network, (1, 8, 8))
    >>> judge.name, judge.num_classes, judge.features(torch.zeros(2, 1, 8, 8)).shape
    ('Sequential', 3, torch.Size([2, 5]))
    """
    if isinstance(network, JudgeNetwork):
        return network
    if not isinstance(network, nn.Module):
        raise InputError(
            f"a judge must be an nn.Module that gives logits, or have name, num_classes, features and a call that "
            f"gives logits, got {described(network)}; put such a class around it"
        )
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear) and name]
    body, head = (network, linear[-1]) if linear else (_LogitsTwice(network), None)
    name, weight = type(network).__name__, weight_of(network)
    try:
        with frozen(network):
            judge = NetworkJudge(body, name=name, num_classes=0, head=head, value_range=(-1.0, 1.0))
            return judge.to("cpu" if weight is None else weight.device).sized(image_shape)
    except (RuntimeError, TypeError) as error:  # as the layers of a network that wants others raise them
        raise InputError(
            f"judge {name!r} cannot read images {tuple(image_shape)} ({last_line(error)}); take another judge, "
            "or a NetworkJudge with a resize"
        ) from error


class _LogitsTwice(nn.Module):
    """The logits of a network as its features, too."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(x)
        return logits, logits


def _check_input_scale(
    mean: Sequence[float], std: Sequence[float], value_range: tuple[float, float], resize: tuple[int, int] | None
) -> None:
    if not mean or not std or min(std) <= 0 or not torch.tensor([*mean, *std]).isfinite().all():
        raise InputError(
            f"a judge needs a mean and a positive std, one number or one per channel, got mean={list(mean)} and "
            f"std={list(std)}; mend them"
        )
    if not value_range[0] < value_range[1]:
        raise InputError(f"value_range must rise, got {value_range}; (0, 1), (0, 255) and (-1, 1) are usual")
    if resize is not None and min(resize) < 1:
        raise InputError(f"resize must be positive, got {resize}; give the (height, width) the network wants")


def _check_layer(network: nn.Module, layer: str) -> None:
    if isinstance(network, torch.jit.ScriptModule):
        raise InputError(
            f"feature_layer={layer!r} cannot be read inside TorchScript; "
            "export a module that returns (features, logits) and leave feature_layer out"
        )
    known = [name for name, _ in network.named_modules() if name]
    if layer not in known:
        raise InputError(f"the network has no layer {layer!r}; its last layers are {', '.join(known[-8:]) or 'none'}")


def last_line(error: Exception) -> str:
    """The end of what an error says, which in PyTorch's is what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:160] if lines else type(error).__name__
