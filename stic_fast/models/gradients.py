# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Gradients whatever the caller's mode, and of whatever model: or one sentence that says why there is none."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from stic_fast.errors import InputError, NoGradient

Function = TypeVar("Function", bound=Callable[..., Any])


def outside_inference(function: Function) -> Function:
    """Has a function run as if its caller were not in torch.inference_mode().

    Tensors from there that it is given are copied, for autograd refuses them. What it returns is an ordinary tensor.
    Gradients stay off where they are off, as they are there.

    Raises:
        InputError: a module that it is given was made in torch.inference_mode(); from the function's call.

    >>> @outside_inference
    ... def slope(x):
    ...     with torch.enable_grad():
    ...         x = x.detach().requires_grad_()
    ...         return gradient_of(x.square().sum(), x)
    >>> with torch.inference_mode():
    ...     found = slope(torch.ones(2))
    >>> found
    tensor([2., 2.])
    """

    @wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        recorded = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.set_grad_enabled(recorded):
            given = (_ordinary(value) for value in arguments)
            return function(*given, **{name: _ordinary(value) for name, value in options.items()})

    return cast(Function, run)


def gradient_of(value: Tensor, x: Tensor, *, keep_graph: bool = False) -> Tensor:
    """The gradient of a number that a model made of x.

    Raises:
        NoGradient: the model left autograd on the way.

    >>> x = torch.ones(2, requires_grad=True)
    >>> gradient_of(x.square().sum(), x)
    tensor([2., 2.])
    >>> gradient_of(x.detach().sum(), x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    stic_fast.errors.NoGradient: the model gives no gradient in its input: it leaves autograd, ...
    """
    if value.requires_grad:
        (gradient,) = torch.autograd.grad(value, x, retain_graph=keep_graph, allow_unused=True)
        if gradient is not None:
            return gradient
    raise NoGradient(
        "the model gives no gradient in its input: it leaves autograd, by detach(), no_grad(), NumPy or whole numbers; "
        "give one that does not"
    )


def _ordinary(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if isinstance(value, nn.Module) and any(one.is_inference() for one in chain(value.parameters(), value.buffers())):
        raise InputError(
            f"the weights of {type(value).__name__} were made in torch.inference_mode() and can give no gradient; make "
            "or load the network outside it"
        )
    return value
