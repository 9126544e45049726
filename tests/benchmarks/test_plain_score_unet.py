# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The network that the training benchmark compares with is the same function as ours."""

from __future__ import annotations

import torch

from benchmarks.plain_score_unet import plain_at_noise, plain_loss
from stic_fast.models import ScoreUNet


def network() -> ScoreUNet:
    model, generator = ScoreUNet(channels=(8, 16, 24), num_classes=10).double(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def test_the_plain_network_is_ours() -> None:
    model, generator = network(), torch.Generator().manual_seed(1)
    x = torch.randn(5, 3, 32, 32, generator=generator, dtype=torch.float64)
    sigma, labels = torch.linspace(0.01, 20, 5, dtype=torch.float64), torch.eye(10, dtype=torch.float64)[:5]
    labels[0] = 0
    made, (logits, denoised) = model.at_noise(x, sigma, labels, denoised=3), plain_at_noise(model, x, sigma, labels, 3)
    torch.testing.assert_close(made.logits, logits)
    torch.testing.assert_close(made.denoised, denoised)


def test_so_are_its_gradients_but_for_what_changes_the_length_of_rows() -> None:
    """The plain one normalises by autograd, whose gradient is across the row as well."""
    model, generator = network(), torch.Generator().manual_seed(1)
    model.eval()
    x = torch.randn(4, 3, 16, 16, generator=generator, dtype=torch.float64)
    sigma, labels = torch.full((4,), 0.5, dtype=torch.float64), torch.eye(10, dtype=torch.float64)[:4]
    made = model.at_noise(x, sigma, labels)
    ours = torch.autograd.grad(made.denoised.square().sum() + made.logits.square().sum(), list(model.parameters()))
    logits, denoised = plain_at_noise(model, x, sigma, labels, 4)
    plain = torch.autograd.grad(denoised.square().sum() + logits.square().sum(), list(model.parameters()))
    for own, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-7, atol=1e-9)


def test_its_loss_is_finite() -> None:
    model = ScoreUNet(channels=(8,), num_classes=3)
    loss = plain_loss(model, torch.zeros(8, 3, 8, 8), torch.arange(8) % 3, torch.zeros(4, 3, 8, 8), torch.arange(4) % 3)
    assert loss.isfinite() and loss.requires_grad
