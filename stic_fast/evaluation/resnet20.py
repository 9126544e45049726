# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The CIFAR-10 ResNet-20 (He et al., 2016, section 4.2) as a judge, read from the checkpoints in wide use."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.evaluation.network_judge import NetworkJudge
from stic_fast.stored import read_torch

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WIDTHS, BLOCKS = (16, 32, 64), 3


class ResNet20(nn.Module):
    """Nineteen convolutions in three stages of 16, 32 and 64 channels and a linear layer, with option-A shortcuts.

    Where a stage narrows the image, the shortcut takes every second pixel and pads the new channels with zeros on
    either side, without weights. The module's names are those of the checkpoints: conv1, bn1, layer1 to layer3, linear.
    `forward` returns the features (N, 64), the mean over positions, and the logits.

    >>> network = ResNet20(10).eval()
    >>> features, logits = network(torch.zeros(2, 3, 32, 32))
    >>> features.shape, logits.shape
    (torch.Size([2, 64]), torch.Size([2, 10]))
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1, self.layer2, self.layer3 = (_stage(*widths) for widths in pairwise((WIDTHS[0], *WIDTHS)))
        self.linear = nn.Linear(WIDTHS[2], num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, 64) and logits (N, num_classes) of normalised images (N, 3, H, W)."""
        x = F.relu(self.bn1(self.conv1(x)))
        features = self.layer3(self.layer2(self.layer1(x))).mean((2, 3))
        return features, self.linear(features)


class _Block(nn.Module):
    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.stride = 1 if channels_in == channels else 2
        self.padding = (channels - channels_in) // 2
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(y + shortcut)


NESTED = ("state_dict", "model_state_dict", "model", "net", "network")
"""Where the checkpoints of usual training loops have the weights."""


def _stage(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(_Block(channels_in, channels), *(_Block(channels, channels) for _ in range(BLOCKS - 1)))


def load_resnet20_judge(path: Path) -> NetworkJudge:
    """The judge "resnet20" from a checkpoint {"state_dict": {"module.conv1.weight": …}}, or the state dict itself.

    What a wrapper puts before the names does not matter: "module." of data-parallel training, "model." of Lightning,
    "_orig_mod." of torch.compile, or several of them; nor does the entry of the checkpoint that has the weights, by
    one of the names NESTED. Images are normalised with ImageNet's mean and standard deviation, as these checkpoints
    were trained. The number of classes is the last layer's. Nothing but tensors and plain values is unpickled
    (`weights_only`). The judge is on the CPU, in evaluation mode, its parameters frozen.

    Raises:
        InputError: the file is missing, damaged, holds code, or is no ResNet-20.
    """
    weights = _state_dict(path)
    with torch.device("meta"):  # no storage, and no draw from the global generator
        network = ResNet20(weights["linear.weight"].shape[0])
    wanted = network.state_dict()
    for key, value in wanted.items():
        if key.endswith("num_batches_tracked"):
            weights.setdefault(key, torch.zeros((), dtype=torch.int64))  # older files lack it; evaluation ignores it
        elif key not in weights or weights[key].shape != value.shape:
            got = f"{key} of shape {tuple(weights[key].shape)}" if key in weights else f"no {key}"
            raise InputError(f"{path} is no ResNet-20: it has {got} instead of {tuple(value.shape)}; give another file")
    unknown = sorted(weights.keys() - wanted.keys())
    if unknown:
        raise InputError(f"{path} is no ResNet-20: it has {unknown[0]}, which a ResNet-20 lacks; give another file")
    floats = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    network.load_state_dict(floats, assign=True)
    classes = network.linear.out_features
    judge = NetworkJudge(network, name="resnet20", num_classes=classes, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return judge.eval().requires_grad_(False)


def _state_dict(path: Path) -> dict[str, Tensor]:
    hint = "give a checkpoint with the state_dict alone, for a pickle can run any code, and none is run"
    try:
        content = read_torch(path, hint)
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}; give the path of a ResNet-20 checkpoint") from error
    if isinstance(content, Mapping):
        content = next((content[name] for name in NESTED if isinstance(content.get(name), Mapping)), content)
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f'{path} has no state dict; save {{"state_dict": network.state_dict()}}')
    named = {f".{key}": value for key, value in content.items()}
    ends = sorted((key.removesuffix(".linear.weight") for key in named if key.endswith(".linear.weight")), key=len)
    prefix = f"{ends[0]}." if ends else "."
    weights = {key.removeprefix(prefix): value for key, value in named.items() if key.startswith(prefix)}
    if "linear.weight" not in weights or weights["linear.weight"].ndim != 2:
        raise InputError(f"{path} is no ResNet-20: it has no matrix linear.weight; give another file")
    return weights
