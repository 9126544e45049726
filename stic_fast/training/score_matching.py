# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Score matching: what a network descends so that it comes to know the score of its images' density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor

from stic_fast.counts import LATER, Count, NotNegative, Probability, Range
from stic_fast.ops import noise
from stic_fast.training.config import ScoreNetworkConfig

Probe = Literal["signs", "normal"]
STEP = 1 / 3
"""ε of `difference_loss`, as a share of the noise level."""


@dataclass(frozen=True)
class ScoreConfig:
    """How the score is learnt."""

    # From images with noise of many levels, by taking it away; or, sliced, from images with noise of sigma_read alone,
    # by the paper's ½‖s‖² + tr ∇s, here in units of 1/sigma_read² a pixel.
    loss: Literal["denoising", "sliced"] = field(default="denoising", metadata=LATER)
    # Directions along which the sliced one estimates the trace.
    probes: Probe = field(default="signs", metadata=LATER)
    # How: by a second backward pass; or by the difference of s a third of sigma_read this way and that along them,
    # which a network of leaky ReLUs needs.
    trace: Literal["derivative", "difference"] = field(default="derivative", metadata=LATER)
    # Weight of the score matching beside the cross-entropies.
    weight: NotNegative = 10.0
    # Weight of ½‖y − p(y|x)‖², the third term of the paper's regulariser, on those of its images whose label is
    # withheld.
    brier: NotNegative = field(default=0.0, metadata=LATER)
    # Images in an iteration whose score is matched, beside those that are classified.
    denoised: Count = 128
    # Share of these whose label is withheld from the network, which tells their class instead.
    withheld: Probability = 0.125
    # Mean and standard deviation of ln σ, the noise level, in denoising.
    log_sigma_mean: Annotated[float, Range(-20, 20)] = -1.2
    log_sigma_std: Annotated[float, Range(0, 20)] = 1.2


class NoisyImages(NamedTuple):
    """Images with noise of many levels."""

    x: Tensor
    """(B, channels, H, W)."""
    sigma: Tensor
    """Standard deviation of each one's noise, (B,)."""


def noisy_images(
    clean: Tensor, options: ScoreConfig, network: ScoreNetworkConfig, *, seed: int, step: int, chain_ids: Tensor
) -> NoisyImages:
    """What the score is learnt from; where it is sliced, requires grad, or holds each image twice: this way and that.

    Args:
        clean: float (B, channels, H, W).
        seed, step, chain_ids: address of the levels and of the noise.
    """
    address: dict[str, Any] = {"seed": seed, "step": step, "chain_ids": chain_ids}
    if options.loss == "sliced":
        sigma = clean.new_full((len(clean),), network.sigma_read)
        x = _at_levels(clean, sigma, **address)
        if options.trace == "derivative":
            return NoisyImages(x.requires_grad_(), sigma)
        aside = STEP * network.sigma_read * probes(x.shape, options.probes, **address)
        return NoisyImages(torch.cat([x + aside, x - aside]), sigma.repeat(2))
    return with_noise(clean, mean=options.log_sigma_mean, std=options.log_sigma_std, **address)


def score_loss(
    denoised: Tensor,
    clean: Tensor,
    noisy: NoisyImages,
    options: ScoreConfig,
    network: ScoreNetworkConfig,
    *,
    seed: int,
    step: int,
    chain_ids: Tensor,
) -> Tensor:
    """How far a network is from the score, of order 1 for images of any size and at every noise level.

    Args:
        denoised: what it makes of the noisy images.
        seed, step, chain_ids: address of the directions that the sliced one takes.
    """
    if options.loss == "denoising":
        return denoising_loss(denoised, clean, noisy.sigma, network.sigma_data)
    v = probes(clean.shape, options.probes, seed=seed, step=step, chain_ids=chain_ids)
    variance = network.sigma_read**2
    score = (denoised - noisy.x) / variance
    if options.trace == "derivative":
        loss = sliced_loss(score, noisy.x, v)
    else:
        ahead, behind = score.chunk(2)
        loss = difference_loss(ahead, behind, v, STEP * network.sigma_read)
    return loss * variance / clean[0].numel()


def with_noise(clean: Tensor, *, mean: float, std: float, seed: int, step: int, chain_ids: Tensor) -> NoisyImages:
    """Images with noise whose level is log-normal: ln σ ~ N(mean, std²) (Karras et al. 2022, table 1).

    Args:
        clean: float (B, channels, H, W).
        seed, step, chain_ids: address of the levels and of the noise.
    """
    stream = noise.Stream.NOISE_LEVEL
    shape = (len(clean), 1)
    level = noise.normal(shape, seed=seed, step=step, chain_ids=chain_ids, stream=stream, device=clean.device)
    sigma = (mean + std * level[:, 0]).exp()
    return NoisyImages(_at_levels(clean, sigma, seed=seed, step=step, chain_ids=chain_ids), sigma)


def _at_levels(clean: Tensor, sigma: Tensor, *, seed: int, step: int, chain_ids: Tensor) -> Tensor:
    stream = noise.Stream.INSTANCE_NOISE
    kick = noise.normal(clean.shape, seed=seed, step=step, chain_ids=chain_ids, stream=stream, device=clean.device)
    return clean + sigma.view(-1, 1, 1, 1) * kick


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


def probes(shape: Sequence[int], kind: Probe, *, seed: int, step: int, chain_ids: Tensor) -> Tensor:
    """Directions v with mean 0 and covariance I, along which the trace of a derivative is estimated: vᵀ·∇s·v.

    Args:
        kind: "signs", +1 and −1 at random (Rademacher), whose estimate varies least; or "normal", N(0, I).
        seed, step, chain_ids: address of the directions.

    >>> probes((2, 3), "signs", seed=0, step=0, chain_ids=torch.arange(2)).abs()
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    where = {"seed": seed, "step": step, "chain_ids": chain_ids, "stream": noise.Stream.PROBE}
    if kind == "normal":
        return noise.normal(shape, device=chain_ids.device, **where)  # type: ignore[arg-type]
    return noise.uniform(shape, device=chain_ids.device, **where).lt(0.5).float() * 2 - 1  # type: ignore[arg-type]


def sliced_loss(score: Tensor, x: Tensor, v: Tensor) -> Tensor:
    r"""Mean over images of :math:`\tfrac12‖s(x)‖² + v^T ∇_x(v^T s(x))` (Song et al. 2019, "Sliced Score Matching: A
    Scalable Approach to Density and Score Estimation", https://arxiv.org/abs/1905.07088, equation 8).

    Over the directions v its mean is :math:`\tfrac12‖s‖² + tr ∇s` (Hutchinson's estimator), the first two terms of
    Score-STIC's regulariser, which is least where s is the score of the density of x (Hyvärinen 2005). Differentiable
    in what s is made with, by a second backward pass. In a network of leaky ReLUs that leaves out how the places move
    where ∇s jumps, so that little is learnt: see `difference_loss`.

    Args:
        score: s(x), like x, made from x.
        x: (B, *sample), requires grad.
        v: one direction for each image, see `probes`, like x.

    >>> x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    >>> sliced_loss(-x, x, torch.ones(1, 2))  # ½·(1 + 4) − 2
    tensor(0.5000, grad_fn=<MeanBackward0>)
    """
    (along,) = torch.autograd.grad(score, x, v, create_graph=True)
    return (score.square() / 2 + v * along).flatten(1).sum(1).mean()


def difference_loss(ahead: Tensor, behind: Tensor, v: Tensor, step: float) -> Tensor:
    r"""`sliced_loss` without a second backward pass (Pang et al. 2020, "Efficient Learning of Generative Models via
    Finite-Difference Score Matching", https://arxiv.org/abs/2007.03317).

    With s₊ = s(x + εv) and s₋ = s(x − εv): the mean of :math:`\tfrac18‖s_+ + s_-‖² + \tfrac1{2ε} v^T (s_+ - s_-)`,
    which is exact for a linear s and else off by ε². It reads s, which is continuous, in place of a derivative that
    may jump.

    Args:
        ahead, behind: s₊ and s₋, (B, *sample).
        v: one direction for each image, see `probes`.
        step: ε.

    >>> difference_loss(torch.tensor([[-1.5, -2.5]]), torch.tensor([[-0.5, -1.5]]), torch.ones(1, 2), 0.5)
    tensor(0.5000)
    """
    along = v * (ahead - behind) / (2 * step)
    return ((ahead + behind).square() / 8 + along).flatten(1).sum(1).mean()


def brier_loss(logits: Tensor, targets: Tensor) -> Tensor:
    r"""Mean over images of :math:`\tfrac12‖y − p(y|x)‖²`, the third term of Score-STIC's regulariser.

    Args:
        logits, targets: (B, K), the targets one-hot or soft.

    >>> brier_loss(torch.zeros(1, 2), torch.eye(2)[:1])
    tensor(0.2500)
    """
    return (targets - logits.softmax(1)).square().sum(1).mean() / 2
