# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a model's weights tell: on which device it computes, and in which precision it wants its images."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn


def weight_of(model: object) -> Tensor | None:
    """A weight of the model: a parameter, or, as frozen TorchScript has none, a buffer; one that is floating if any is.

    None for a model that is no module, and for one without weights.
    """
    other = None
    for weight in chain(model.parameters(), model.buffers()) if isinstance(model, nn.Module) else ():
        if weight.is_floating_point():
            return weight
        other = weight if other is None else other
    return other


def dtype_of(model: object) -> torch.dtype:
    """The type that the model wants its images in: that of its weights, or float32.

    >>> dtype_of(nn.Linear(2, 2).half()), dtype_of(nn.Flatten())
    (torch.float16, torch.float32)
    """
    weight = weight_of(model)
    return torch.float32 if weight is None or not weight.is_floating_point() else weight.dtype


def device_of(model: object, images: Tensor) -> torch.device:
    """Where the model wants its images; where they are, if it has no weights."""
    weight = weight_of(model)
    return images.device if weight is None else weight.device
