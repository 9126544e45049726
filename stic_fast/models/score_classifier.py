# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A classifier that also knows the score of its images' density (STIC, section 3: Score-STIC)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.models.classifier import Classifier


class AtNoise(NamedTuple):
    """What a score classifier makes of images at a noise level."""

    logits: Tensor
    """(B, C), or (B, C + 1) with a fake class."""
    denoised: Tensor
    """The images without their noise, as far as they can be told, (denoised, channels, H, W)."""
    features: dict[str, Tensor]
    """By the names asked for."""


class ScoreClassifier(Classifier):
    r"""What sampling and training need of a classifier with a score, beside its logits and features.

    A subclass defines `at_noise`. The score of the density of images with noise of deviation σ follows from the
    denoised image D by Tweedie's formula, :math:`s(x, σ) = ∇_x \log p(x; σ) = (D(x; σ) − x)/σ²`.

    Args:
        in_channels: channels of the images.
        sigma_read: the noise level that images are classified at where none is given.
    """

    takes_labels: bool
    """Whether the score can be asked for under a label."""
    knows_every_level: bool = True
    """Whether the score can be asked for at every noise level, or at `sigma_read` alone."""

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        has_fake_class: bool,
        layer_names: Sequence[str],
        gram_layers: Sequence[str],
        sigma_read: float,
        takes_labels: bool,
    ) -> None:
        if in_channels < 1:
            raise InputError(f"in_channels must be at least 1, got {in_channels}; give a positive whole number")
        check_level("sigma_read", sigma_read)
        super().__init__(
            num_classes=num_classes, has_fake_class=has_fake_class, layer_names=layer_names, gram_layers=gram_layers
        )
        self.in_channels, self.sigma_read, self.takes_labels = in_channels, sigma_read, takes_labels

    def at_noise(
        self,
        x: Tensor,
        sigma: Tensor | float,
        labels: Tensor | None = None,
        *,
        layers: Sequence[str] = (),
        denoised: int | None = None,
    ) -> AtNoise:
        """The logits, the denoised images and the named features, from one pass.

        Args:
            x: float images with noise, (B, channels, H, W).
            sigma: standard deviation of their noise, in units of [-1, 1]; one for all, or (B,).
            labels: what they show, (B, C), one-hot or soft; a row of zeros, or None for all, where it is withheld.
            denoised: how many to denoise, from the first on; all if None. The logits cost less than this.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define at_noise")

    def score(self, x: Tensor, sigma: Tensor | float, labels: Tensor | None = None) -> Tensor:
        """s(x, σ), like x. Arguments as for `at_noise`."""
        variance = _of_images(sigma, x) ** 2
        return (self.at_noise(x, sigma, labels).denoised - x) / variance

    def forward_keeping(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits and features at the noise level of reading, without a label."""
        logits, _, features = self.at_noise(x, self.sigma_read, layers=tuple(names), denoised=0)
        return logits, features


def check_level(name: str, sigma: float) -> None:
    """Refuses what is no deviation of images or of noise."""
    if not 0 < sigma < math.inf:
        raise InputError(f"{name} must be positive and finite, got {sigma}; images in [-1, 1] have about 0.5")


def padded(x: Tensor, multiple: int) -> Tensor:
    """Images whose height and width are multiples of a number, with their edge repeated below and to the right."""
    below, right = -x.shape[2] % multiple, -x.shape[3] % multiple
    return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x


def _of_images(sigma: Tensor | float, x: Tensor) -> Tensor | float:
    return sigma.view(-1, 1, 1, 1) if isinstance(sigma, Tensor) and sigma.dim() else sigma


def levels(sigma: Tensor | float, x: Tensor, dtype: torch.dtype) -> Tensor:
    """The noise level of each image, (B,).

    Raises:
        InputError: another number of levels.
    """
    values = torch.as_tensor(sigma, dtype=dtype, device=x.device)
    if values.dim() > 1 or values.numel() not in (1, len(x)):
        raise InputError(f"sigma must be one noise level or one for each of {len(x)} images, got {tuple(values.shape)}")
    return values.expand(len(x))
