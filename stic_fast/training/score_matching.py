# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Score matching: what a network descends so that it comes to know the score of its images' density."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from stic_fast.ops import noise


class NoisyImages(NamedTuple):
    """Images with noise of many levels."""

    x: Tensor
    """(B, channels, H, W)."""
    sigma: Tensor
    """Standard deviation of each one's noise, (B,)."""


def with_noise(clean: Tensor, *, mean: float, std: float, seed: int, step: int, chain_ids: Tensor) -> NoisyImages:
    """Images with noise whose level is log-normal: ln σ ~ N(mean, std²) (Karras et al. 2022, table 1).

    Args:
        clean: float (B, channels, H, W).
        seed, step, chain_ids: address of the levels and of the noise.
    """
    streams = noise.Stream.NOISE_LEVEL, noise.Stream.INSTANCE_NOISE
    level, kick = (
        noise.normal(shape, seed=seed, step=step, chain_ids=chain_ids, stream=stream, device=clean.device)
        for shape, stream in zip(((len(clean), 1), clean.shape), streams, strict=True)
    )
    sigma = (mean + std * level[:, 0]).exp()
    return NoisyImages(clean + sigma.view(-1, 1, 1, 1) * kick, sigma)


def denoising_loss(denoised: Tensor, clean: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    r"""Mean over images and pixels of :math:`\frac{σ² + σ_d²}{(σ·σ_d)²}·(D(x; σ) - x_0)²`.

    Its least is where D is the mean of the images that x may come from, and (D − x)/σ² the score of their density with
    noise (Vincent 2011). By this weight every noise level begins with a loss of 1 for images of deviation σ_d (Karras
    et al. 2022, table 1).

    Args:
        denoised: D(x; σ), (B, channels, H, W).
        clean: x_0, likewise.
        sigma: (B,).
        sigma_data: σ_d.
    """
    weight = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    return (weight * (denoised - clean).square().flatten(1).mean(1)).mean()
