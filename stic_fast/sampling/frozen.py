# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The classifier as a fixed function: parameters frozen and modules in evaluation mode while a chain runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Within it no parameter of `model` requires grad and no module trains; both are put back afterwards.

    Autograd then builds the graph from the image to the score alone.

    >>> net = nn.Linear(2, 2)
    >>> with frozen(net):
    ...     net.weight.requires_grad, net.training
    (False, False)
    >>> net.weight.requires_grad, net.training
    (True, True)
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    training = [module for module in model.modules() if module.training]
    for parameter in learning:
        parameter.requires_grad_(False)
    model.eval()
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
        for module in training:
            module.training = True
