# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Gram regulariser of a chain: the layers compared, and the reference images each chain is held against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stic_fast.models import Classifier
from stic_fast.ops import gram, gram_loss
from stic_fast.ops.gram_loss import Normalize, prefers_dual
from stic_fast.sampling.frozen import frozen


class GramRegulariser:
    """Σ over layers of s·‖G(x) − A‖²_F, one value per chain (STIC, equation 3), with A from real images.

    For each layer it keeps what makes a step cheapest: the reference's Gram matrix, or its features where the dual
    form of `gram_loss` needs fewer multiplications than the C×C matrices.

    Args:
        layers: names of the compared features, in the classifier's terms.
        features: per layer the reference features, None where a Gram matrix is kept.
        grams: per layer the Gram matrices, None where features are kept.
        normalize: scale of the loss, see `stic_fast.gram_loss`.
    """

    def __init__(
        self,
        layers: Sequence[str],
        features: Sequence[Tensor | None],
        grams: Sequence[Tensor | None],
        normalize: Normalize = "log",
    ) -> None:
        self.layers = tuple(layers)
        self.features = list(features)
        self.grams = list(grams)
        self.normalize: Normalize = normalize

    @classmethod
    def from_images(
        cls,
        model: Classifier,
        images: Tensor,
        *,
        layers: Sequence[str] | None = None,
        normalize: Normalize = "log",
    ) -> GramRegulariser:
        """The regulariser that holds chain b against images[b].

        Args:
            model: the classifier whose features are compared.
            images: float (chains, channels, height, width) in [−1, 1]; one image serves any number of chains.
            layers: names of the features; the classifier's own `gram_layers` if None.
            normalize: scale of the loss, see `stic_fast.gram_loss`.

        >>> from stic_fast.models import WideResNet
        >>> model = WideResNet(depth=10, width=1, num_classes=3, in_channels=1)
        >>> regulariser = GramRegulariser.from_images(model, torch.zeros(2, 1, 8, 8))
        >>> regulariser.layers
        ('conv9', 'conv10')
        """
        names = tuple(model.gram_layers if layers is None else layers)
        with frozen(model), torch.no_grad():
            _, outputs = model.logits_and_features(images, names)
        features: list[Tensor | None] = []
        grams: list[Tensor | None] = []
        for output in outputs:
            size = output[0, 0].numel() if len(output) else 1
            keep_features = prefers_dual(output.shape[1], size, size, gram_known=True)
            features.append(output if keep_features else None)
            grams.append(None if keep_features else gram(output))
        return cls(names, features, grams, normalize)

    def __call__(self, features: Sequence[Tensor]) -> Tensor:
        """The loss (chains,) of the features of `layers`, in that order."""
        return gram_loss(features, self.features, self.grams, normalize=self.normalize)
