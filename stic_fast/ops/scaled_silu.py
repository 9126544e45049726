# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scale and SiLU of a magnitude-preserving network, fused: one read of the activations, one write."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stic_fast.ops.checks import check_float_tensor, check_like, check_tensor
from stic_fast.ops.gram_loss_blas import channels_last, gradient_like, laid_out
from stic_fast.ops.library import DTYPE_CODES, fresh, register, run

_GAIN = 1 / 0.596


def scaled_silu(x: Tensor, scale: float | Tensor = 1.0) -> Tensor:
    r"""SiLU of scaled activations that keeps their size (Karras et al. 2024, "Analyzing and Improving the Training
    Dynamics of Diffusion Models", equation 81).

    .. math:: y = \mathrm{silu}(s x) / 0.596, \quad \mathrm{silu}(u) = u / (1 + e^{-u})

    0.596 is the root mean square of silu of a standard normal number, so that numbers of unit size, scaled by 1, give
    numbers of unit size.

    Args:
        x: (batch, channels, *S), float32, float64, bfloat16 or float16; computed in fp32 (fp64 for float64).
        scale: s, a number, or one for each sample and channel, (batch, channels), of the dtype of x or, beside
            bfloat16 and float16, float32.

    Returns:
        Like x; in the order channels last where x has that, else contiguous. Differentiable in x and in a tensor
        `scale`, to any order; only these two are kept for it. The gradients are computed in one pass over x, that of
        `scale` as a sum over positions in fp32 (fp64 for float64).

    Raises:
        TypeError, ValueError: x not a floating tensor of at least two dimensions, a scale of another shape, dtype or
            device.

    >>> from stic_fast import scaled_silu
    >>> scaled_silu(torch.tensor([[-1.0, 0.0, 2.0]]), 0.5)
    tensor([[-0.3167,  0.0000,  1.2266]])
    """
    check_tensor("x", x)
    if isinstance(scale, Tensor):
        return torch.ops.stic_fast.scaled_silu.default(x, scale, 1.0)
    if isinstance(scale, bool) or not isinstance(scale, int | float):
        raise TypeError(
            f"scale must be a number or a tensor with one for each sample and channel, got {type(scale).__name__}; "
            "pass a float"
        )
    return torch.ops.stic_fast.scaled_silu.default(x, None, float(scale))


def _check(x: Tensor, scales: Tensor | None, scale: float) -> None:
    shape, dtype, device = check_float_tensor("x", x).shape, x.dtype, x.device
    if len(shape) < 2:
        raise ValueError(
            f"x must have shape (batch, channels, ...), got {tuple(shape)}; add the missing dimension with x[None]"
        )
    if scales is None:
        return
    wide = scales.dtype == torch.float32 and dtype in (torch.bfloat16, torch.float16)
    if scales.dtype != dtype and not wide:
        raise TypeError(
            f"scale must have the dtype of x, {dtype}, or be float32 beside a half, got {scales.dtype}; "
            "convert it with scale.to(x.dtype)"
        )
    if scales.shape != shape[:2] or scales.device != device:
        raise ValueError(
            f"scale must be a number or hold one for each sample and channel, shape {tuple(shape[:2])} on {device}, "
            f"got shape {tuple(scales.shape)} on {scales.device}; expand, reshape or move it"
        )


def _check_backward(grad: Tensor, x: Tensor, scales: Tensor | None, scale: float) -> None:
    _check(x, scales, scale)
    check_like("grad", grad, "x", (x.shape, x.dtype, x.device))


def _compute(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _beside(scales: Tensor, x: Tensor) -> Tensor:
    """(batch, channels) numbers beside the positions of x, in the dtype of the computation."""
    return scales.to(_compute(x)).reshape(*x.shape[:2], *[1] * (x.dim() - 2))


def _sum_of_positions(values: Tensor) -> Tensor:
    return values[..., None].flatten(2).sum(2)


def _laid_out(values: Tensor, like: Tensor) -> Tensor:
    order = torch.channels_last if channels_last(like) else torch.contiguous_format
    return values.to(like.dtype).contiguous(memory_format=order)


def reference(x: Tensor, scales: Tensor | None, scale: float) -> Tensor:
    """The op in plain PyTorch."""
    factor = scale if scales is None else _beside(scales, x)
    return _laid_out(torch.nn.functional.silu(x.to(_compute(x)) * factor) * _GAIN, x)


def reference_backward(grad: Tensor, x: Tensor, scales: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    """Its derivative in plain PyTorch: towards x, and towards `scales`, empty where there are none."""
    factor = scale if scales is None else _beside(scales, x)
    values = x.to(_compute(x))
    sigmoid = torch.sigmoid(values * factor)
    towards_product = grad.to(_compute(x)) * _GAIN * sigmoid * (1 + values * factor * (1 - sigmoid))
    grad_x = _laid_out(towards_product * factor, x)
    if scales is None:
        return grad_x, x.new_empty(0)
    return grad_x, _sum_of_positions(towards_product * values).to(scales.dtype)


def _native(x: Tensor, scales: Tensor | None, scale: float) -> Tensor:
    out = fresh(gradient_like(x))
    _run("scaled_silu", (out,), (x,), scales, scale)
    return out


def _native_backward(grad: Tensor, x: Tensor, scales: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    grad_x = fresh(gradient_like(x))
    grad_scales = x.new_empty(0) if scales is None else scales.new_empty(scales.shape, dtype=_compute(x))
    _run("scaled_silu_backward", (grad_x, grad_scales), (grad, x), scales, scale)
    return grad_x, grad_scales if scales is None else grad_scales.to(scales.dtype)


def _run(
    kernel: str, outputs: tuple[Tensor, ...], inputs: tuple[Tensor, ...], scales: Tensor | None, scale: float
) -> None:
    """Calls a kernel, the last of whose inputs is x; all are read in its order."""
    x = inputs[-1]
    last = channels_last(x)
    batch, channels, *sides = x.shape
    positions = math.prod(sides)
    run(
        kernel,
        x.device,
        outputs,
        (*(laid_out(tensor[..., None], last) for tensor in inputs), None if scales is None else scales.to(_compute(x))),
        DTYPE_CODES[x.dtype],
        batch,
        channels,
        positions,
        last or positions == 1,
        scale,
    )


def _fake(x: Tensor, scales: Tensor | None, scale: float) -> Tensor:
    return gradient_like(x)


def _fake_backward(grad: Tensor, x: Tensor, scales: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    of_scales = x.new_empty(0) if scales is None else scales.new_empty(scales.shape)
    return gradient_like(x), of_scales


def _setup_context(ctx, inputs, output) -> None:
    x, scales, ctx.scale = inputs
    ctx.save_for_backward(x, scales)


def _backward(ctx, grad):
    x, scales = ctx.saved_tensors
    grad_x, grad_scales = torch.ops.stic_fast.scaled_silu_backward.default(grad, x, scales, ctx.scale)
    return grad_x, None if scales is None else grad_scales, None


def _setup_backward_context(ctx, inputs, output) -> None:
    grad, x, scales, ctx.scale = inputs
    ctx.save_for_backward(grad, x, scales)


def _backward_of_backward(ctx, along_x, along_scales):
    """The derivative of ⟨along_x, grad_x⟩ + ⟨along_scales, grad_scales⟩, in PyTorch's operations.

    With f = silu/0.596, u = s·x and w = s·along_x + x·along_scales that is Σ grad·f′(u)·w.
    """
    grad, x, scales = ctx.saved_tensors
    compute = _compute(x)
    incoming, values, along_x = grad.to(compute), x.to(compute), along_x.to(compute)
    factor = ctx.scale if scales is None else _beside(scales, x)
    along_scales = 0.0 if scales is None else _beside(along_scales, x)
    u = values * factor
    sigmoid = torch.sigmoid(u)
    bell = sigmoid * (1 - sigmoid)
    first = _GAIN * (sigmoid + u * bell)
    second = incoming * _GAIN * bell * (2 + u * (1 - 2 * sigmoid))
    direction = along_x * factor + along_scales * values
    to_grad = (first * direction).to(grad.dtype)
    to_x = (second * direction * factor + incoming * first * along_scales).to(x.dtype)
    if scales is None:
        return to_grad, to_x, None, None
    to_scales = _sum_of_positions(second * direction * values + incoming * first * along_x).to(scales.dtype)
    return to_grad, to_x, to_scales, None


register(
    "scaled_silu",
    "Tensor x, Tensor? scales, float scale",
    "Tensor",
    check=_check,
    cpu=_native,
    reference=reference,
    fake=_fake,
    derivative=(_backward, _setup_context),
)
register(
    "scaled_silu_backward",
    "Tensor grad, Tensor x, Tensor? scales, float scale",
    "(Tensor, Tensor)",
    check=_check_backward,
    cpu=_native_backward,
    reference=reference_backward,
    fake=_fake_backward,
    derivative=(_backward_of_backward, _setup_backward_context),
)
