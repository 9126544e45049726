# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How autograd and torch.func differentiate the ops: kernels at the dispatcher's key Autograd.

`torch.library.register_autograd` would serve autograd alone: torch.func refuses what it registers, and forward mode
gives tangents of zero for it. Here an op records its backward pass at one level of torch.func's transforms, as
PyTorch's own operations do; the dispatcher goes through the levels. In forward mode an op runs as its reference in
plain PyTorch, which has derivatives of every kind and order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad


def in_forward_mode() -> bool:
    """Whether tensors may carry tangents: within torch.func.jvp, jacfwd, hessian, or `forward_ad.dual_level`."""
    return forward_ad._current_level >= 0


def below_autograd(op: Any, keys: torch._C.DispatchKeySet, *arguments: Any) -> Any:
    """The op without what autograd does, from one of its kernels."""
    with torch._C._AutoDispatchBelowAutograd():
        return op.redispatch(keys & torch._C._after_autograd_keyset, *arguments)


class Derivative(torch.autograd.Function):
    """A backward pass that a kernel at the key Autograd records by `record`."""

    @classmethod
    def record(cls, *arguments: Any) -> Any:
        """`apply`, at the level of torch.func where the dispatcher is."""
        apply = super(torch.autograd.Function, cls).apply  # type: ignore[misc]  # past the check that torch.func is not at work
        if not torch._C._are_functorch_transforms_active():
            return apply(*arguments)
        with enable_single_level_autograd_function():
            return apply(*arguments)

    @staticmethod
    def compute(op: Any, keys: torch._C.DispatchKeySet, *arguments: Any) -> Any:
        """The op within `forward`; PyTorch turns derivatives off there, which the outer levels of torch.func need."""
        if not torch._C._are_functorch_transforms_active():
            return below_autograd(op, keys, *arguments)
        with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True):
            return below_autograd(op, keys, *arguments)


def autograd_kernel(
    op: Any, backward: Callable[..., Any], setup_context: Callable[..., None], plain: Callable[..., Any]
) -> Callable[..., Any]:
    """The kernel of an op without lists of tensors.

    Args:
        op: in torch.ops.stic_fast, with its overload.
        backward: (ctx, *gradients) to the gradients of all arguments, None for those that have none.
        setup_context: (ctx, inputs, output) keeps what `backward` needs.
        plain: the op in plain PyTorch, differentiable.
    """

    def forward(ctx: Any, keys: torch._C.DispatchKeySet, *inputs: Any) -> Any:
        output = Derivative.compute(op, keys, *inputs)
        setup_context(ctx, inputs, output)
        return output

    def all_gradients(ctx: Any, *gradients: Any) -> Any:
        return None, *backward(ctx, *gradients)

    methods = {"forward": staticmethod(forward), "backward": staticmethod(all_gradients)}
    derivative: type[Derivative] = type(op._schema.name.partition("::")[2], (Derivative,), methods)

    def kernel(keys: torch._C.DispatchKeySet, *arguments: Any) -> Any:
        if in_forward_mode():
            return plain(*arguments)
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*arguments):
            return derivative.record(keys, *arguments)
        return below_autograd(op, keys, *arguments)

    return kernel
