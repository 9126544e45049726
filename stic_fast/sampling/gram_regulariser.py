# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Gram regulariser of a chain: the layers compared, and the reference images each chain is held against."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from stic_fast.models import Classifier
from stic_fast.models.frozen import frozen
from stic_fast.models.gradients import outside_inference
from stic_fast.ops.gram import gram
from stic_fast.ops.gram_loss import GramScale, gram_loss, prefers_dual
from stic_fast.ops.gram_loss_blas import channels_last

_Kept = tuple[list[Tensor | None], list[Tensor | None]]
"""Per layer the reference features, and per layer the Gram matrix: one of the two."""


class GramRegulariser:
    """Σ over layers of s·‖G(x) − A‖²_F, one value per chain (STIC, equation 3), with A from real images.

    For each layer it keeps what makes a step cheapest: the reference's Gram matrix, or its features where the dual
    form of `gram_loss` needs fewer multiplications than the C×C matrices. What `from_images` keeps is float32 for a
    network in 16 bits: a Gram matrix holds squares, which leave float16's range while the features lie well within it.

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
        normalize: GramScale = "log",
    ) -> None:
        self.layers = tuple(layers)
        self.features = list(features)
        self.grams = list(grams)
        self.normalize: GramScale = normalize
        self._copies: dict[Hashable, _Kept] = {}

    @classmethod
    @outside_inference
    def from_images(
        cls,
        model: Classifier,
        images: Tensor,
        *,
        layers: Sequence[str] | None = None,
        normalize: GramScale = "log",
        per_chain: int | None = None,
    ) -> GramRegulariser:
        """The regulariser that holds chain b against images[b].

        Args:
            model: the classifier whose features are compared.
            images: float (chains, channels, height, width) in [−1, 1], or (chains, R, channels, height, width): A is
                then the mean of R Gram matrices. One entry serves any number of chains.
            layers: names of the features; the classifier's own `gram_layers` if None.
            normalize: scale of the loss, see `stic_fast.gram_loss`.
            per_chain: R, for images (chains·R, *shape) that stand in one row.

        >>> from stic_fast.models import WideResNet
        >>> model = WideResNet(depth=10, width=1, num_classes=3, in_channels=1)
        >>> regulariser = GramRegulariser.from_images(model, torch.zeros(2, 1, 8, 8))
        >>> regulariser.layers
        ('conv9', 'conv10')
        """
        names = tuple(model.gram_layers if layers is None else layers)
        if per_chain is None:
            per_chain, images = (images.shape[1], images.flatten(0, 1)) if images.dim() == 5 else (1, images)
        with frozen(model), torch.no_grad():
            _, outputs = model.logits_and_features(images, names)
        features: list[Tensor | None] = []
        grams: list[Tensor | None] = []
        for output in outputs:
            size, device = output.shape[2:].numel(), output.device.type
            keep_features = prefers_dual(output.shape[1], size, per_chain * size, gram_known=True, device_type=device)
            joined = _side_by_side(output.to(torch.promote_types(output.dtype, torch.float32)), per_chain)
            features.append(joined if keep_features else None)
            grams.append(None if keep_features else gram(joined))
        return cls(names, features, grams, normalize)

    def __call__(self, features: Sequence[Tensor]) -> Tensor:
        """The loss (chains,) of the features of `layers`, in that order.

        It is computed in the references' precision; on a CUDA device in that of the features, which the kernel reads as
        they are, beside copies of the references in their precision and layout.
        """
        references, grams = self.features, self.grams
        if _are_read_as_they_are(features):
            references, grams = self._copies_like(features)
        else:
            targets = [f if f is not None else g for f, g in zip(references, grams, strict=True)]
            features = [feature.to(target) for feature, target in zip(features, targets, strict=True)]
        return gram_loss(list(features), references, grams, normalize=self.normalize)

    def _copies_like(self, features: Sequence[Tensor]) -> _Kept:
        """References and Gram matrices beside these features; made once for all features alike.

        They are kept from then on, for a captured step goes on reading them, and apart for each stream, for that of
        another thread might read them before they are written.
        """
        stream = torch.cuda.current_stream(features[0].device).cuda_stream if features[0].is_cuda else None
        key = (stream, *((feature.dtype, channels_last(feature)) for feature in features))
        if key not in self._copies:
            pairs = list(zip(features, self.features, self.grams, strict=True))
            matrices = torch.promote_types(features[0].dtype, torch.float32)
            copies = (
                [None if own is None else _laid_out_like(feature, own) for feature, own, _ in pairs],
                [None if own is None else own.to(matrices) for _, _, own in pairs],
            )
            self._copies.setdefault(key, copies)
        return self._copies[key]


def _are_read_as_they_are(features: Sequence[Tensor]) -> bool:
    return all(feature.is_cuda and feature.dtype == features[0].dtype for feature in features)


def _laid_out_like(feature: Tensor, reference: Tensor) -> Tensor:
    """The reference's features in the type of a feature, the channels side by side in memory where they are there."""
    copy = reference.to(feature.dtype).flatten(2)
    return copy.mT.contiguous().mT if channels_last(feature) else copy


def _side_by_side(output: Tensor, per_chain: int) -> Tensor:
    """(chains·R, C, *S) as (chains, C, R·M): the Gram matrix of features side by side is the mean of theirs."""
    chains, channels, size = len(output) // per_chain, output.shape[1], output.shape[2:].numel()
    return output.reshape(chains, per_chain, channels, size).transpose(1, 2).reshape(chains, channels, per_chain * size)
