# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The classifier under test as a fixed function from images in [−1, 1] to logits, differentiable by the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from stic_fast.evaluation.checks import check_logits
from stic_fast.models.classifier import logits_alone
from stic_fast.models.frozen import frozen
from stic_fast.models.weights import device_of, dtype_of
from stic_fast.pixels import to_unit

Model = Callable[[Tensor], Tensor]


class FixedClassifier:
    """A model that `fixed_classifier` holds frozen, with the device and the precision that it wants images in.

    Logits beyond the first C = num_classes, such as that of STIC's fake class, are not predicted.
    """

    def __init__(self, model: Model, num_classes: int, images: Tensor) -> None:
        self.model, self.num_classes, self.device = model, num_classes, device_of(model, images)
        self.read, self.dtype = dtype_of(model), torch.promote_types(dtype_of(model), torch.float32)

    def place(self, images: Tensor) -> Tensor:
        """uint8 images (B, C, H, W) as the model wants them: floating point in [−1, 1] on its device."""
        return to_unit(images.to(self.device)).to(self.dtype)

    def logits(self, x: Tensor) -> Tensor:
        """All logits of x, (B, C) or wider, like x; a model of half precision is shown x in it."""
        logits = logits_alone(self.model(x.to(self.read)), "the model")
        check_logits(logits, self.num_classes)
        return logits.to(self.dtype)

    def class_logits(self, x: Tensor) -> Tensor:
        """The logits (B, C) of the real classes."""
        return self.logits(x)[:, : self.num_classes]

    def is_right(self, class_logits: Tensor, labels: Tensor) -> Tensor:
        """bool (B,): the largest real-class logit is the label's, as in `accuracy`; what is not finite is wrong."""
        predicted = class_logits.topk(1, dim=1).indices[:, 0]
        return (predicted == labels) & class_logits.isfinite().all(dim=1)


@contextmanager
def fixed_classifier(model: Model, num_classes: int, images: Tensor) -> Iterator[FixedClassifier]:
    """The model as a `FixedClassifier` for these images; its parameters and modes are put back afterwards.

    Args:
        model: an nn.Module, or a function, from float images (B, C, H, W) in [−1, 1] to logits (B, >= num_classes).
        num_classes: C, the number of real classes.
        images: tells the device where the model does not.

    >>> images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    >>> with fixed_classifier(torch.nn.Flatten(), 1, images) as classifier:
    ...     classifier.class_logits(classifier.place(images)).tolist()
    [[-1.0], [1.0]]
    """
    with frozen(model):
        yield FixedClassifier(model, num_classes, images)
