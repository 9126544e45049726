# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a network gives for the states of chains, and gradients in the states of numbers made from it.

float16 ends at 65,504 and begins, coarsely, at 6e-8. The gradient of a Gram loss in features around 200 lies below,
and with "none" for its scale far above. So what comes out of float16 is reckoned with in float32, and on the way back
each chain's gradient is brought into float16's range by a power of two, and out of it again, which changes no digit.
What a network cannot hold in between stays lost: activations above 65,504, and gradients that grow in it by more than
2²² or are smaller than the largest by more than 2¹⁸.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stic_fast.models.gradients import gradient_of

_LARGEST = -6
"""The largest number of a chain's gradient is less than 2⁻⁶ as it enters the network, 2²² from overflow."""
_MOST_SHIFTED = 100
"""Largest power of two of a scale; 2¹²⁸ overflows float32."""


class Outputs:
    """A network's logits and features for x, and the gradients in x of numbers made of them, one number per chain.

    Args:
        x: states (chains, *sample) that require grad.
        tensors: what the network made of them, (chains, ...) each.

    >>> x = torch.ones(1, 3, dtype=torch.float16, requires_grad=True)
    >>> outputs = Outputs(x, [200 * x])
    >>> outputs.gradient(outputs.values[0].sum(1) / 2**30)  # 2⁻³⁰ by itself is 0 in float16
    tensor([[1.8626e-07, 1.8626e-07, 1.8626e-07]])
    """

    values: list[Tensor]
    """The tensors to reckon with: float32 in place of float16."""
    halved: bool
    """Whether float16 has been passed."""

    def __init__(self, x: Tensor, tensors: Sequence[Tensor]) -> None:
        self._x, self._tensors = x, [tensor for tensor in tensors if tensor.requires_grad]
        self.halved = any(tensor.dtype == torch.float16 for tensor in (x, *tensors))
        self.values = list(tensors)
        if self.halved:
            self.values = [tensor.detach().float().requires_grad_(tensor.requires_grad) for tensor in tensors]

    def gradient(self, numbers: Tensor, *, keep_graph: bool = False) -> Tensor:
        """The gradient of each chain's number in that chain's state: like x, float32 where float16 has been passed.

        Args:
            numbers: (chains,), made of `values`.
            keep_graph: whether another gradient will be asked for.
        """
        if not self.halved:
            return gradient_of(numbers.sum(), self._x, keep_graph=keep_graph)
        leaves = [value for value in self.values if value.requires_grad]
        slopes = torch.autograd.grad(numbers.sum(), leaves, retain_graph=keep_graph, materialize_grads=True)
        largest = torch.stack([slope.flatten(1).abs().amax(1) for slope in slopes]).amax(0)
        shift = (_LARGEST - torch.frexp(largest).exponent).clamp(-_MOST_SHIFTED, _MOST_SHIFTED)
        shifted = [_shifted(slope, shift).to(tensor.dtype) for slope, tensor in zip(slopes, self._tensors, strict=True)]
        (gradient,) = torch.autograd.grad(self._tensors, self._x, shifted, retain_graph=keep_graph)
        return _shifted(gradient.float(), -shift)


def _shifted(values: Tensor, exponents: Tensor) -> Tensor:
    """values·2^exponents, one exponent per chain."""
    return torch.ldexp(values, exponents.view(-1, *[1] * (values.dim() - 1)))
