# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Gram loss Σ s·‖G(F) − A‖²_F per sample, with the feature gradient from the same pass.

Two forms of one number, chosen by cost. With F of shape (C, M) and the reference's features R of shape (C, N):

    primal   G = FFᵀ/M,   ‖G − A‖²,                                    gradient 4(G − A)F/M
    dual     ‖FᵀF‖²/M² − 2‖RᵀF‖²/(MN) + ‖RᵀR‖²/N²,                     gradient 4(F(FᵀF)/M² − R(RᵀF)/(MN))

The dual form never builds the C×C matrices and costs C·M² instead of C²·M multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from stic_fast.ops.checks import check_float_tensor
from stic_fast.ops.gram import check_features, outside_autocast, positions
from stic_fast.ops.library import register, register_autograd

Normalize = Literal["log", "relative", "gatys", "none"]
SMALLEST_NORM = 1e-12
"""‖A‖² below this counts as this, so that a blank reference gives a large loss and not a division by zero."""


def gram_loss(
    features: Tensor | Sequence[Tensor],
    reference: Tensor | Sequence[Tensor | None] | None = None,
    gram: Tensor | Sequence[Tensor | None] | None = None,
    *,
    normalize: Normalize = "log",
) -> Tensor:
    r"""How far each sample's Gram matrices are from a reference's, summed over layers (STIC, equation 3).

    .. math:: \ell_b = \sum_L s_L \| G^L(F_b) - A^L_b \|_F^2

    Args:
        features: (batch, channels, *S), or a sequence of such layers of one batch, dtype and device.
        reference: features whose Gram matrix is A, layer by layer; their own S is allowed; batch may be 1.
        gram: A itself, (batch, channels, channels), batch may be 1. Each layer takes a reference or a gram, None for
            the other.
        normalize: the scale s_L. "relative": 1/‖A‖². "log": the layer's term is log(1 + relative), whose gradient
            stays bounded when a chain is far away. "gatys": 1/(4C²), as in Gatys et al. "none": M², the paper's
            unnormalised FFᵀ.

    Returns:
        (batch,), float32 (float64 for float64 features). Differentiable once in `features`; `reference` and `gram`
        are constants.

    Raises:
        TypeError, ValueError: layers that do not match in number, batch, channels, dtype or device; a reference that
            requires grad; no positions.

    >>> from stic_fast import gram_loss
    >>> f = torch.ones(2, 3, 4, 4)
    >>> gram_loss(f, 2 * f, normalize="relative")
    tensor([0.5625, 0.5625])
    """
    layers = _as_layers("features", features)
    targets, is_gram = _targets(layers, reference, gram, not isinstance(features, Tensor))
    if normalize not in get_args(Normalize):
        raise ValueError(f"normalize must be one of {', '.join(get_args(Normalize))}, got {normalize!r}; choose one")
    needs_gradient = torch.is_grad_enabled() and any(layer.requires_grad for layer in layers)
    loss, _ = torch.ops.stic_fast.gram_loss(layers, targets, is_gram, normalize, needs_gradient)
    return loss


def prefers_dual(channels: int, size: int, reference_size: int, *, gram_known: bool = False) -> bool:
    """Whether the dual form needs fewer multiplications for loss and gradient; `gram_known` if A need not be built.

    >>> prefers_dual(640, 64, 64), prefers_dual(160, 1024, 1024)
    (True, False)
    """
    primal = channels * (2 * size + (0 if gram_known else reference_size))
    dual = 2 * size**2 + 2 * size * reference_size + reference_size**2
    return dual < primal


def _as_layers(name: str, value: object) -> list[Tensor]:
    layers = list(value) if isinstance(value, list | tuple) else [value]
    if not layers:
        raise ValueError(f"{name} must hold at least one layer, got an empty sequence; pass a tensor or a list of them")
    first: Tensor | None = None
    for index, layer in enumerate(layers):
        tensor = check_features(f"{name}[{index}]" if isinstance(value, list | tuple) else name, layer)
        first = tensor if first is None else first
        for what in ("dtype", "device"):
            if getattr(tensor, what) != getattr(first, what):
                raise TypeError(
                    f"{name}[{index}] must have the {what} of {name}[0], {getattr(first, what)}, "
                    f"got {getattr(tensor, what)}; bring all layers to one {what}"
                )
        if tensor.shape[0] != first.shape[0]:
            raise ValueError(
                f"{name}[{index}] must have the batch size of {name}[0], {first.shape[0]}, got {tensor.shape[0]}; "
                "take all layers from one forward pass"
            )
    return layers  # type: ignore[return-value]


def _targets(
    layers: list[Tensor], reference: object, gram: object, is_sequence: bool
) -> tuple[list[Tensor], list[bool]]:
    """Per layer the checked reference features or Gram matrix, and which of the two it is."""
    given: dict[str, list[object]] = {}
    for name, value in (("reference", reference), ("gram", gram)):
        absent: list[object] = [None] * len(layers)
        entries = list(value) if isinstance(value, list | tuple) else absent if value is None else [value]
        if len(entries) != len(layers) or (is_sequence and isinstance(value, Tensor)):
            raise ValueError(
                f"{name} must hold one entry per layer of features, {len(layers)}, "
                f"got {len(entries) if isinstance(value, list | tuple) else 'one tensor'}; pass a list of that length"
            )
        given[name] = entries
    targets: list[Tensor] = []
    is_gram: list[bool] = []
    for index, layer in enumerate(layers):
        features, matrix = given["reference"][index], given["gram"][index]
        if (features is None) == (matrix is None):
            raise ValueError(
                f"layer {index} must have either reference features or a gram matrix, got "
                f"{'both' if features is not None else 'neither'}; pass exactly one of the two"
            )
        is_gram.append(matrix is not None)
        targets.append(_check_target(index, layer, features if matrix is None else matrix, matrix is not None))
    return targets, is_gram


def _check_target(index: int, layer: Tensor, target: object, is_gram: bool) -> Tensor:
    name = f"{'gram' if is_gram else 'reference'}[{index}]"
    tensor = check_float_tensor(name, target) if is_gram else check_features(name, target)
    batch, channels = layer.shape[:2]
    if (
        tensor.dim() < 3
        or tensor.shape[1] != channels
        or tensor.shape[0] not in (1, batch)
        or (is_gram and tuple(tensor.shape[2:]) != (channels,))
    ):
        wanted = f"(1 or {batch}, {channels}, {channels if is_gram else '*S'})"
        raise ValueError(
            f"{name} must have shape {wanted} to match features[{index}] of shape {tuple(layer.shape)}, "
            f"got {tuple(tensor.shape)}; take it from the same layer of the same network"
        )
    if tensor.dtype != layer.dtype or tensor.device != layer.device:
        raise TypeError(
            f"{name} must be {layer.dtype} on {layer.device} like the features, "
            f"got {tensor.dtype} on {tensor.device}; convert it with .to(features)"
        )
    if torch.is_grad_enabled() and tensor.requires_grad:
        raise ValueError(f"{name} is a constant of the loss and must not require grad; pass {name}.detach()")
    return tensor


def reference_loss(
    layers: Sequence[Tensor], targets: Sequence[Tensor], is_gram: Sequence[bool], normalize: Normalize = "log"
) -> Tensor:
    """The loss in plain PyTorch, differentiable by autograd."""
    total = torch.zeros(layers[0].shape[0], device=layers[0].device, dtype=positions(layers[0]).dtype)
    for layer, target, given in zip(layers, targets, is_gram, strict=True):
        flat = positions(layer)
        target = target.to(flat.dtype) if given else positions(target) @ positions(target).mT / target.shape[2:].numel()
        square = (flat @ flat.mT / flat.shape[2] - target).square().sum((1, 2))
        norm = target.square().sum((1, 2)).clamp_min(SMALLEST_NORM)
        if normalize == "none":
            total = total + flat.shape[2] ** 2 * square
        elif normalize == "gatys":
            total = total + square / (4 * flat.shape[1] ** 2)
        else:
            total = total + (torch.log1p(square / norm) if normalize == "log" else square / norm)
    return total


def _blas(
    layers: Sequence[Tensor], targets: Sequence[Tensor], is_gram: Sequence[bool], normalize: str, with_gradient: bool
) -> tuple[Tensor, Tensor]:
    """(loss, all layers' gradients flattened into one buffer; empty without with_gradient)."""
    first = layers[0]
    loss = torch.zeros(first.shape[0], device=first.device, dtype=_loss_dtype(first))
    elements = sum(layer.numel() for layer in layers) if with_gradient else 0
    gradients = first.new_empty(elements, dtype=_gradient_dtype(first))
    offset = 0
    for layer, target, given in zip(layers, targets, is_gram, strict=True):
        flat = positions(layer)
        dual = not given and prefers_dual(flat.shape[1], flat.shape[2], target.shape[2:].numel())
        with outside_autocast(layer):
            square, norm, gradient = (
                _dual(flat, positions(target), with_gradient) if dual else _primal(flat, target, given, with_gradient)
            )
        term, slope = _scaled(square, norm, flat.shape[1], flat.shape[2], normalize)
        loss += term
        if gradient is not None:
            gradients[offset : offset + layer.numel()] = gradient.mul_(slope[:, None, None]).flatten()
            offset += layer.numel()
    return loss, gradients


def _primal(flat: Tensor, target: Tensor, is_gram: bool, with_gradient: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """‖G − A‖², ‖A‖² and the gradient of the former, (batch, C, M)."""
    size = flat.shape[2]
    if is_gram:
        matrix = target.to(flat.dtype)
    else:
        features = positions(target)
        matrix = torch.bmm(features, features.mT).div_(features.shape[2])
    norm = matrix.square().sum((1, 2))
    difference = torch.baddbmm(matrix.expand(flat.shape[0], -1, -1), flat, flat.mT, beta=-1, alpha=1 / size)
    square = difference.square().sum((1, 2))
    if not with_gradient:
        return square, norm, None
    if is_gram:
        difference = (difference + difference.mT).div_(2)
    return square, norm, torch.bmm(difference, flat).mul_(4 / size)


def _dual(flat: Tensor, features: Tensor, with_gradient: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """The same three without any C×C matrix."""
    size, reference_size = flat.shape[2], features.shape[2]
    norm = torch.bmm(features.mT, features).square().sum((1, 2)).div_(reference_size**2)
    features = features.expand(flat.shape[0], -1, -1)
    own = torch.bmm(flat.mT, flat)
    cross = torch.bmm(features.mT, flat)
    square = own.square().sum((1, 2)) / size**2 - 2 / (size * reference_size) * cross.square().sum((1, 2)) + norm
    square = square.clamp_min(0)
    if not with_gradient:
        return square, norm, None
    gradient = torch.bmm(flat, own).mul_(4 / size**2)
    return square, norm, gradient.baddbmm_(features, cross, alpha=-4 / (size * reference_size))


def _scaled(square: Tensor, norm: Tensor, channels: int, size: int, normalize: str) -> tuple[Tensor, Tensor]:
    """The layer's term of the loss and its derivative in ‖G − A‖²."""
    if normalize == "none":
        scale = torch.full_like(square, size**2)
    elif normalize == "gatys":
        scale = torch.full_like(square, 1 / (4 * channels**2))
    else:
        scale = norm.clamp_min(SMALLEST_NORM).reciprocal().expand_as(square)
    term = square * scale
    if normalize == "log":
        return torch.log1p(term), scale / (1 + term)
    return term, scale


def _loss_dtype(layer: Tensor) -> torch.dtype:
    return torch.float64 if layer.dtype == torch.float64 else torch.float32


def _gradient_dtype(layer: Tensor) -> torch.dtype:
    """float16 cannot hold a small gradient until a scaled loss's derivative multiplies it; the others can."""
    return torch.float32 if layer.dtype == torch.float16 else layer.dtype


def _fake(
    layers: Sequence[Tensor], targets: Sequence[Tensor], is_gram: Sequence[bool], normalize: str, with_gradient: bool
) -> tuple[Tensor, Tensor]:
    first = layers[0]
    return (
        first.new_empty(first.shape[0], dtype=_loss_dtype(first)),
        first.new_empty(sum(layer.numel() for layer in layers) if with_gradient else 0, dtype=_gradient_dtype(first)),
    )


def _setup_context(ctx, inputs, output) -> None:
    layers, targets, _, _, with_gradient = inputs
    if not with_gradient:
        raise RuntimeError("gram_loss was called without its gradient; pass features that require grad")
    ctx.shapes, ctx.dtype = [layer.shape for layer in layers], layers[0].dtype
    ctx.target_count = len(targets)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1])


def _backward(ctx, grad_loss, _gradients):
    if torch.is_grad_enabled():  # backward was called with create_graph=True
        raise RuntimeError("gram_loss is differentiable once; for second derivatives build it from stic_fast.gram")
    (gradients,) = ctx.saved_tensors
    pieces = gradients.split([shape.numel() for shape in ctx.shapes])
    layer_grads = [
        (piece.view(shape) * grad_loss.view(-1, *[1] * (len(shape) - 1))).to(ctx.dtype)
        for piece, shape in zip(pieces, ctx.shapes, strict=True)
    ]
    return layer_grads, [None] * ctx.target_count, None, None, None


register(
    "gram_loss",
    "Tensor[] layers, Tensor[] targets, bool[] is_gram, str normalize, bool with_gradient",
    "(Tensor, Tensor)",
    cpu=_blas,
    reference=_blas,
    fake=_fake,
)
register_autograd("gram_loss", _backward, _setup_context)
