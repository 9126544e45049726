# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A model as a fixed function: parameters frozen and modules in evaluation mode while somebody differentiates by x."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(model: object) -> Iterator[None]:
    """Within it no parameter of `model` requires grad and no module trains; both are put back, after an error too.

    Autograd then builds the graph from the image to the score alone. A plain function has nothing to freeze.

    >>> net = nn.Linear(2, 2)
    >>> with frozen(net):
    ...     net.weight.requires_grad, net.training
    (False, False)
    >>> net.weight.requires_grad, net.training
    (True, True)
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    parameters = list(model.parameters()) if isinstance(model, nn.Module) else []
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    training = [module for module in modules if module.training]
    for parameter in learning:
        parameter.requires_grad_(False)
    for module in modules[:1]:
        module.eval()
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
        for module in training:
            module.training = True
