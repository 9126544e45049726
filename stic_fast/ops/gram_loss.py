# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Gram loss Σ s·‖G(F) − A‖²_F per sample, and its gradient in the features.

Two forms of one number, chosen by cost. With F of shape (C, M) and the reference's features R of shape (C, N):

    primal   G = FFᵀ/M,   ‖G − A‖²,                                    gradient 4(G − A)F/M
    dual     ‖FᵀF‖²/M² − 2‖RᵀF‖²/(MN) + ‖RᵀR‖²/N²,                     gradient 4(F(FᵀF)/M² − R(RᵀF)/(MN))

The dual form never builds the C×C matrices and costs C·M² instead of C²·M multiplications. The op behind it is in
`gram_loss_op`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stic_fast.ops import gram_loss_op  # noqa: F401, defines the ops
from stic_fast.ops.checks import check_tensor
from stic_fast.ops.differentiation import Derivative, below_autograd, in_forward_mode
from stic_fast.ops.gram import outside_autocast, positions
from stic_fast.ops.gram_loss_blas import SMALLEST_NORM, round_up
from stic_fast.ops.gram_loss_blas import GramScale as GramScale
from stic_fast.ops.gram_loss_checks import NO_LAYERS, check_loss, name_of, target_name
from stic_fast.ops.gram_loss_cuda import MOST_DUAL_POSITIONS
from stic_fast.ops.library import LIBRARY

TILE_ROWS, TILE_COLUMNS = 8, 32
"""The part of a product that the kernel sums in registers, with AVX-512; half or a quarter of it otherwise."""
PACKED, TRANSPOSED = 20, 30
"""Multiplications that take as long as packing a number in the order it lies in, or across it; measured."""

ONCE = (
    "gram_loss is differentiable once by backward passes; for second derivatives build it from stic_fast.gram, or take "
    "torch.func.hessian"
)


def gram_loss(
    features: Tensor | Sequence[Tensor],
    reference: Tensor | Sequence[Tensor | None] | None = None,
    gram: Tensor | Sequence[Tensor | None] | None = None,
    *,
    normalize: GramScale = "log",
    allow_tf32: bool = True,
) -> Tensor:
    r"""How far each sample's Gram matrices are from a reference's, summed over layers (STIC, equation 3).

    .. math:: \ell_b = \sum_L s_L \| G^L(F_b) - A^L_b \|_F^2

    On a GPU, tensor cores multiply exactly but cut off what they add instead of rounding it, up to 2⁻²³ of the sum each
    time. They sum 32 products at most; float32 adds those, rounded to nearest. So an entry of G loses some 2⁻²⁰ of its
    terms' absolute values, however many they are. The same call gives the same bits again on the same kind of GPU, but
    others on another kind or on a CPU. Large layers of few chains go through cuBLAS, which adds as it does.

    Args:
        features: (batch, channels, *S), or a sequence of such layers of one batch, dtype and device.
        reference: features whose Gram matrix is A, layer by layer; their own S is allowed; batch may be 1.
        gram: A itself, (batch, channels, channels), batch may be 1; beside 16-bit features it may be float32. Each
            layer takes a reference or a gram, None for the other.
        normalize: the scale s_L. "relative": 1/‖A‖². "log": the layer's term is log(1 + relative), whose gradient
            stays bounded when a chain is far away. "gatys": 1/(4C²), as in Gatys et al. "none": M², the paper's
            unnormalised FFᵀ.
        allow_tf32: whether a GPU may take float32 features as TF32 numbers, 10 bits of mantissa, which loses 2⁻¹¹ of
            each; otherwise it takes them as two each, up to three times as many multiplications. 16-bit features count
            exactly in G; their gradient multiplies them with G − A in TF32. A CPU has no TF32.

    Returns:
        (batch,), float32 (float64 for float64 features). Differentiable in `features`, once by backward passes and to
        any order in forward mode, which torch.func.hessian uses; `reference` and `gram` are constants. Gradients have
        the dtype of the features: in float16 those below 6e-8 or above 65,504 are lost unless the loss is scaled, as
        `stic_fast.sampling.outputs` does.

    Raises:
        TypeError, ValueError: layers that do not match in number, batch, channels, dtype or device; a reference that
            requires grad; no positions.

    >>> from stic_fast import gram_loss
    >>> f = torch.ones(2, 3, 4, 4)
    >>> gram_loss(f, 2 * f, normalize="relative")
    tensor([0.5625, 0.5625])
    """
    layers = _as_layers(features)
    targets, is_gram = _targets(layers, reference, gram, not isinstance(features, Tensor))
    needs_gradient = torch.is_grad_enabled() and any(layer.requires_grad for layer in layers)
    is_dual = [
        not given and _prefers_dual(layer, target)
        for layer, target, given in zip(layers, targets, is_gram, strict=True)
    ]
    loss, *_ = torch.ops.stic_fast.gram_loss.default(
        layers, targets, is_gram, is_dual, normalize, needs_gradient, allow_tf32
    )
    return loss


def prefers_dual(
    channels: int, size: int, reference_size: int, *, gram_known: bool = False, device_type: str = "cpu"
) -> bool:
    """Whether the dual form is cheaper for loss and gradient; `gram_known` if A need not be built.

    On a GPU it is, wherever its kernel takes the positions. On a CPU this counts the multiplications of the kernel's
    tiles: of a symmetric product those on and above the diagonal, and at the edges of whatever product whole tiles.
    Bringing a number into the packed order that the tiles read counts as so many multiplications as take as long; the
    primal form has to transpose what the dual form reads as it lies. `benchmarks` measures both forms at twelve shapes.

    >>> prefers_dual(640, 64, 64), prefers_dual(160, 1024, 1024)
    (True, False)
    """
    if device_type == "cuda":
        return max(size, reference_size) <= MOST_DUAL_POSITIONS
    references = 0 if gram_known else reference_size
    primal = _half(channels) * (size + references) + _tiles(channels, size) * channels
    primal += channels * (TRANSPOSED * (size + references) + PACKED * size)
    dual = (_half(size) + _tiles(reference_size, size) + _half(reference_size)) * channels
    dual += _tiles(channels, size) * (size + reference_size) + channels * PACKED * (size + reference_size)
    return dual < primal


def _tiles(rows: int, columns: int) -> int:
    """Numbers in the tiles that cover a product of that shape."""
    return round_up(rows, TILE_ROWS) * round_up(columns, TILE_COLUMNS)


def _half(side: int) -> int:
    """The same of a symmetric product, without the tiles below the diagonal."""
    before = round_up(side, TILE_COLUMNS) - TILE_COLUMNS
    return before * (before + TILE_COLUMNS) // 2 + TILE_COLUMNS * round_up(side, TILE_ROWS)


def _prefers_dual(layer: Tensor, target: Tensor) -> bool:
    """`prefers_dual` of tensors that the op has not checked yet."""
    if layer.dim() < 3 or target.dim() < 3:
        return False
    return prefers_dual(
        layer.shape[1], layer.shape[2:].numel(), target.shape[2:].numel(), device_type=layer.device.type
    )


def _as_layers(value: object) -> list[Tensor]:
    layers = list(value) if isinstance(value, list | tuple) else [value]
    if not layers:
        raise ValueError(NO_LAYERS)
    return [check_tensor(name_of(index, len(layers)), layer) for index, layer in enumerate(layers)]


def _targets(
    layers: list[Tensor], reference: object, gram: object, is_sequence: bool
) -> tuple[list[Tensor], list[bool]]:
    """Per layer the reference features or Gram matrix, and which of the two it is."""
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
    for index, (features, matrix) in enumerate(zip(given["reference"], given["gram"], strict=True)):
        if (features is None) == (matrix is None):
            raise ValueError(
                f"layer {index} must have either reference features or a gram matrix, got "
                f"{'both' if features is not None else 'neither'}; pass exactly one of the two"
            )
        is_gram.append(matrix is not None)
        name = target_name(index, matrix is not None)
        targets.append(check_tensor(name, features if matrix is None else matrix))
    return targets, is_gram


def reference_loss(
    layers: Sequence[Tensor], targets: Sequence[Tensor], is_gram: Sequence[bool], normalize: GramScale = "log"
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


class _Loss(Derivative):
    """The backward pass of `gram_loss`, whose lists of tensors are spread out as autograd needs them."""

    @staticmethod
    def forward(ctx, keys, is_gram, is_dual, normalize, allow_tf32, *tensors):
        layers, targets = tensors[: len(is_dual)], tensors[len(is_dual) :]
        loss, slopes, products = Derivative.compute(
            torch.ops.stic_fast.gram_loss.default,
            keys,
            layers,
            targets,
            is_gram,
            is_dual,
            normalize,
            True,
            allow_tf32,
        )
        ctx.is_dual, ctx.target_count = is_dual, len(targets)
        ctx.mark_non_differentiable(slopes, products)
        ctx.set_materialize_grads(False)  # no zeros as large as the products
        references = [target for target, dual in zip(targets, is_dual, strict=True) if dual]
        ctx.save_for_backward(slopes, products, *layers, *references)
        return loss, slopes, products

    @staticmethod
    def backward(ctx, grad_loss, _slopes, _products):
        count = len(ctx.is_dual)
        if grad_loss is None:
            return (None,) * (5 + count + ctx.target_count)
        slopes, products, *saved = ctx.saved_tensors
        layers, kept = saved[:count], iter(saved[count:])
        references = [next(kept) if dual else None for dual in ctx.is_dual]
        gradients = torch.ops.stic_fast.gram_loss_gradient.default(grad_loss, slopes, products, layers, references)
        return None, None, None, None, None, *gradients, *[None] * ctx.target_count


class _Gradient(Derivative):
    """The backward pass that `gram_loss_gradient` has not."""

    @staticmethod
    def forward(ctx, keys, slopes, products, references, grad_loss, *layers):
        gradient = torch.ops.stic_fast.gram_loss_gradient.default
        return tuple(Derivative.compute(gradient, keys, grad_loss, slopes, products, layers, references))

    @staticmethod
    def backward(ctx, *_):
        raise RuntimeError(ONCE)

    @staticmethod
    def jvp(ctx, *_):
        raise RuntimeError(ONCE)


def _loss_kernel(
    keys: torch._C.DispatchKeySet,
    layers: Sequence[Tensor],
    targets: Sequence[Tensor],
    is_gram: Sequence[bool],
    is_dual: Sequence[bool],
    normalize: GramScale,
    with_gradient: bool,
    allow_tf32: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """`gram_loss` for autograd and torch.func; it keeps what its gradient needs where one is asked for."""
    op = torch.ops.stic_fast.gram_loss.default
    if in_forward_mode():
        check_loss(layers, targets, is_gram, is_dual, normalize, with_gradient, allow_tf32)
        with outside_autocast(layers[0]):
            loss = reference_loss(layers, targets, is_gram, normalize)
        return loss, loss.new_empty(0), loss.new_empty(0)
    if torch.is_grad_enabled():
        for index, target in enumerate(targets):
            if target.requires_grad:
                name = target_name(index, is_gram[index])
                raise ValueError(f"{name} is a constant of the loss and must not require grad; pass {name}.detach()")
        if any(layer.requires_grad for layer in layers):
            return _Loss.record(keys, is_gram, is_dual, normalize, allow_tf32, *layers, *targets)
    return below_autograd(op, keys, layers, targets, is_gram, is_dual, normalize, with_gradient, allow_tf32)


def _gradient_kernel(
    keys: torch._C.DispatchKeySet,
    grad_loss: Tensor,
    slopes: Tensor,
    products: Tensor,
    layers: Sequence[Tensor],
    references: Sequence[Tensor | None],
) -> Sequence[Tensor]:
    """`gram_loss_gradient` for autograd and torch.func, which refuses to be differentiated."""
    recorded = torch.is_grad_enabled() and torch._C._any_requires_grad(grad_loss, layers)
    if recorded or in_forward_mode():
        return list(_Gradient.record(keys, slopes, products, references, grad_loss, *layers))
    op = torch.ops.stic_fast.gram_loss_gradient.default
    return below_autograd(op, keys, grad_loss, slopes, products, layers, references)


LIBRARY.impl("gram_loss", _loss_kernel, "Autograd", with_keyset=True)
LIBRARY.impl("gram_loss_gradient", _gradient_kernel, "Autograd", with_keyset=True)
