# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The colours of an image: a space in which they vary about alike in all directions, and their histograms.

In a photograph of a wall brightness varies ten times as much as hue, so random filters hardly see a wrong hue, and what
is drawn sparkles in all colours. Whitened (Heeger and Bergen, 1995, decorrelate them for the same reason), colours
count alike; here halfway, for what makes a brick is its brightness.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

POWER = 0.5
"""How far colours are whitened: 1 gives every direction the same variance, 0 leaves them as they are."""
LEAST = 1e-3
"""Of the largest variance, what is added to all, so that a grey image in three channels has no noise blown up."""


@dataclass(frozen=True)
class ColourSpace:
    """z = Λ^(−p/2)·Uᵀ(x − μ), with the mean μ and the covariance UΛUᵀ of the colours of an image (1, C, H, W).

    >>> image = torch.rand(1, 3, 8, 8)
    >>> space = ColourSpace.of(image)
    >>> torch.allclose(space.undo(space.of_pixels(image)), image, atol=1e-5)
    True
    """

    mean: Tensor  # (C, 1, 1)
    directions: Tensor  # (C, C), U
    scale: Tensor  # (C,), Λ^(p/2)

    @classmethod
    def of(cls, image: Tensor, *, power: float = POWER) -> ColourSpace:
        """The space of an image's own colours."""
        flat = image[0].flatten(1).double()
        mean = flat.mean(1)
        centred = flat - mean[:, None]
        variances, directions = torch.linalg.eigh(centred @ centred.T / flat.shape[1])
        directions = directions * torch.where(directions.sum(0) < 0, -1.0, 1.0)  # their sign is nobody's choice
        scale = (variances.clamp_min(0) + LEAST * variances.max() + torch.finfo(torch.float32).eps) ** (power / 2)
        return cls(*(part.to(image.dtype) for part in (mean[:, None, None], directions, scale)))

    def of_pixels(self, x: Tensor) -> Tensor:
        """Images in [−1, 1], (B, C, H, W), in this space; differentiable."""
        return torch.einsum("cd,bchw->bdhw", self.directions / self.scale, x - self.mean)

    def undo(self, z: Tensor) -> Tensor:
        """The images of what is in this space; differentiable, and not clamped."""
        return torch.einsum("cd,bdhw->bchw", self.directions * self.scale, z) + self.mean


def with_colours_of(x: Tensor, source: Tensor) -> Tensor:
    """x with the mean and the covariance of a source's colours, both (1, C, H, W): Σ'^(1/2)·Σ^(−1/2)(x − μ) + μ'.

    >>> grey = with_colours_of(torch.rand(1, 1, 8, 8), torch.tensor([[[[0.25, 0.75]]]]))
    >>> grey.mean().item(), grey.std(correction=0).item()  # doctest: +ELLIPSIS
    (0.5..., 0.2...)
    """
    own, other = (ColourSpace.of(image, power=1.0) for image in (x, source))
    turned = torch.einsum("cd,ce,bdhw->behw", own.directions, other.directions, own.of_pixels(x))
    return other.undo(turned)


def match_histograms(x: Tensor, reference: Tensor) -> Tensor:
    """x with each channel's values replaced by those of the reference of the same rank.

    Args:
        x: (1, C, H, W).
        reference: (1, C, h, w), of any size; in between its values are interpolated.

    >>> match_histograms(torch.tensor([[[[3.0, 1.0, 2.0]]]]), torch.tensor([[[[10.0, 30.0, 20.0]]]]))
    tensor([[[[30., 10., 20.]]]])
    """
    matched = torch.empty_like(x)
    for own, values, target in zip(x[0], reference[0], matched[0], strict=True):
        values = values.flatten().sort().values
        place = (torch.arange(own.numel()) + 0.5) * (values.numel() / own.numel()) - 0.5
        place = place.clamp(0, values.numel() - 1).to(x.device)
        below = place.long()
        above = (below + 1).clamp_max(values.numel() - 1)
        ranked = torch.lerp(values[below], values[above], (place - below).to(x.dtype))
        target.view(-1)[own.flatten().argsort(stable=True)] = ranked
    return matched
