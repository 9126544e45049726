# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A classifier whose classes are Gaussians around fixed centres, as far from one another as can be (GMMC, section 3).

p(φ(x)|y) = N(μ_y, γ²·I), so log p(x, y) = −‖φ(x) − μ_y‖²/2γ² up to a constant: the logit of class y.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models.classifier import Classifier

EMBEDDING = "embedding"
"""The name of φ(x), (B, d), among the layers."""


def max_mahalanobis_centres(num_classes: int, dimension: int, scale: float = 10.0) -> Tensor:
    """The centres μ_y of the max-Mahalanobis distribution (GMMC, Algorithm 2), float32 (num_classes, dimension).

    All have the norm `scale`, and any two the inner product −scale²/(C − 1): the corners of a regular simplex.

    Raises:
        InputError: fewer than two classes, or more than dimension + 1, which have no such centres; a scale that is not
            positive and finite.

    >>> centres = max_mahalanobis_centres(3, 2)
    >>> (centres @ centres.T).round()
    tensor([[100., -50., -50.],
            [-50., 100., -50.],
            [-50., -50., 100.]])
    """
    if num_classes < 2:
        raise InputError(f"max-Mahalanobis centres need two classes or more, got {num_classes}; give more classes")
    if num_classes > dimension + 1:
        needed = f"do not fit into dimension={dimension}; raise the dimension to {num_classes - 1} or more"
        raise InputError(f"max-Mahalanobis centres of {num_classes} classes {needed}")
    if not 0 < scale < math.inf:
        raise InputError(f"scale must be positive and finite, got {scale}; the paper's is 10")
    product = -1 / (num_classes - 1)
    centres = torch.zeros(num_classes, num_classes, dtype=torch.float64, device="cpu")
    centres[0, 0] = 1
    for i in range(1, num_classes):
        for j in range(i):
            centres[i, j] = (product - centres[i, :j] @ centres[j, :j]) / centres[j, j]
        centres[i, i] = math.sqrt(max(0.0, 1 - float(centres[i, :i] @ centres[i, :i])))
    # The last corner lies in the span of the others, so its own coordinate is zero and C − 1 dimensions hold all.
    return (scale * nn.functional.pad(centres[:, :-1], (0, dimension - num_classes + 1))).float()


class MaxMahalanobisClassifier(Classifier):
    """Wraps a network φ into the classifier of p(y|x) ∝ exp(−‖φ(x) − μ_y‖²/2γ²) (GMMC, equation 11).

    Its logits are log p(x, y) up to a constant, so their logsumexp is log p(x). φ(x) is the layer "embedding".

    Args:
        network: gives φ(x), (B, d), in the place of logits.
        num_classes: C, at most d + 1.
        scale: norm of the centres.

    Raises:
        InputError: classes or a scale that have no centres in the network's d dimensions, or a network that has a
            layer "embedding" of its own.

    >>> from stic_fast.models import WideResNet
    >>> network = WideResNet(depth=10, width=1, num_classes=8, in_channels=1, fake_class=False)
    >>> model = MaxMahalanobisClassifier(network, num_classes=3)
    >>> logits, (embedding,) = model.logits_and_features(torch.zeros(2, 1, 8, 8), ["embedding"])
    >>> logits.shape, embedding.shape
    (torch.Size([2, 3]), torch.Size([2, 8]))
    """

    centres: Tensor
    """μ, float32 (C, d)."""
    variance: Tensor
    """γ², float32 (); a network that has learnt nothing, φ = 0, gives scale²/d."""

    def __init__(self, network: Classifier, *, num_classes: int, scale: float = 10.0) -> None:
        if EMBEDDING in network.layer_names:
            raise InputError(f"the network has a layer {EMBEDDING!r} already, which φ(x) is called here; rename it")
        super().__init__(
            num_classes=num_classes,
            has_fake_class=False,
            layer_names=[*network.layer_names, EMBEDDING],
            gram_layers=network.gram_layers,
        )
        self.network = network
        centres = max_mahalanobis_centres(num_classes, network.num_logits, scale)
        self.register_buffer("centres", centres)
        self.register_buffer("variance", torch.tensor(scale**2 / centres.shape[1]))

    def forward_keeping(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """The logits (B, C) and the named features of x."""
        embedding, kept = self.network.forward_keeping(x, names - {EMBEDDING})
        if EMBEDDING in names:
            kept[EMBEDDING] = embedding
        return -self.squared_distances(embedding) / (2 * self.variance), kept

    def squared_distances(self, embedding: Tensor) -> Tensor:
        """‖φ − μ_y‖² to every centre, (B, C), of embeddings (B, d)."""
        return (embedding[:, None] - self.centres).square().sum(2)
