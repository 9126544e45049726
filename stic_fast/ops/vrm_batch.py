# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A training batch for vicinal risk minimisation: uint8 images to augmented, mixed, noisy network input in one pass."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stic_fast.ops.batching import loop
from stic_fast.ops.checks import (
    check_chain_ids,
    check_float,
    check_noise_address,
    check_seed,
    check_step,
    check_tensor,
)
from stic_fast.ops.library import DTYPE_CODES, fresh, register, run
from stic_fast.ops.noise import Stream, reference_normal, reference_uniform, words


class VrmBatch(NamedTuple):
    """What `vrm_batch` makes of a batch of images."""

    x: Tensor
    """(batch, channels, height, width), in [−1, 1] before the noise."""
    y: Tensor
    """(batch, num_classes), float32, each row a distribution."""


def vrm_batch(
    images: Tensor,
    labels: Tensor,
    *,
    num_classes: int,
    mixup_alpha: float | None = None,
    noise_std: float = 0.3,
    flip_probability: float = 0.0,
    max_shift: int = 0,
    seed: int,
    step: int | Tensor,
    chain_ids: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> VrmBatch:
    r"""Network input and soft labels for one batch (STIC, equation 4 and section 4; mixup of Zhang et al. 2018).

    .. math:: x_r = λ_r v_r + (1 - λ_r) v_{π(r)} + σ N(0, 1), \quad y_r = λ_r e_{l_r} + (1 - λ_r) e_{l_{π(r)}}

    with v the images scaled to [−1, 1], flipped left-right and shifted (edge pixels repeated) by their own coins, π a
    random permutation of the batch and λ ~ Beta(α, α).

    Args:
        images: uint8 (batch, channels, height, width).
        labels: int64 (batch,), 0 .. num_classes − 1; or soft labels in the place of :math:`e_l`, float32 (batch,
            num_classes), each row a distribution. Integers are compared with num_classes, for which the CPU waits for
            a GPU; soft labels are taken as they are, and nothing waits.
        num_classes: width of y; count the fake class if the network has one.
        mixup_alpha: α > 0, or None for no mixing (empirical risk). λ is computed on the CPU unless α = 1.
        noise_std: σ of the instance noise, in units of [−1, 1].
        flip_probability: of a left-right flip.
        max_shift: largest shift in pixels, uniform in −max_shift .. max_shift along both axes.
        seed, step, chain_ids: address of the noise, see `stic_fast.noise.normal`; a row's coins, λ and noise depend
            on its id alone, its partner also on the other ids of the batch.
        dtype: of x: float32, float64, bfloat16 or float16.

    Returns:
        VrmBatch(x, y).

    Raises:
        TypeError, ValueError: images not uint8 or not 4-d, integer labels out of range, soft labels of another shape,
            options out of range.

    >>> from stic_fast import vrm_batch
    >>> images, labels = torch.full((4, 1, 8, 8), 255, dtype=torch.uint8), torch.tensor([0, 1, 2, 0])
    >>> x, y = vrm_batch(images, labels, num_classes=3, mixup_alpha=1.0, noise_std=0.0, seed=0, step=0)
    >>> bool((x == 1).all()), y.sum(1)
    (True, tensor([1., 1., 1., 1.]))
    """
    check_tensor("images", images)
    check_tensor("labels", labels)
    for name, count in (("num_classes", num_classes), ("max_shift", max_shift)):
        if not isinstance(count, int):
            raise TypeError(f"{name} must be an int, got {type(count).__name__}; pass a whole number")
    if mixup_alpha is not None and not mixup_alpha > 0:
        raise ValueError(f"mixup_alpha must be positive or None, got {mixup_alpha}; use None for no mixing")
    ids = check_chain_ids(chain_ids)
    number, step_tensor = check_step(step)
    return VrmBatch(
        *torch.ops.stic_fast.vrm_batch.default(
            images,
            labels,
            ids,
            step_tensor,
            num_classes,
            0.0 if mixup_alpha is None else float(mixup_alpha),
            float(noise_std),
            float(flip_probability),
            max_shift,
            check_seed(seed),
            number,
            dtype,
        )
    )


def _check(
    images: Tensor,
    labels: Tensor,
    chain_ids: Tensor | None,
    step_tensor: Tensor | None,
    num_classes: int,
    mixup_alpha: float,
    noise_std: float,
    flip_probability: float,
    max_shift: int,
    seed: int,
    step: int,
    dtype: torch.dtype,
) -> None:
    shape, device = images.shape, images.device
    if images.dtype != torch.uint8:
        raise TypeError(f"images must be a uint8 tensor, got {images.dtype}; keep images as 0 .. 255")
    if len(shape) != 4:
        raise ValueError(
            f"images must have shape (batch, channels, height, width), got {tuple(shape)}; add the missing one"
        )
    if shape[1] * shape[2] * shape[3] >= 2**31:
        raise ValueError(f"images must have fewer than 2**31 numbers each, got shape {tuple(shape)}; split them")
    wanted: tuple[int, ...] = (shape[0],)
    if labels.dtype == torch.float32:
        wanted = (shape[0], num_classes)
    elif labels.dtype != torch.int64:
        raise TypeError(f"labels must be an int64 or float32 tensor, got {labels.dtype}; convert it with labels.long()")
    if labels.shape != wanted or labels.device != device:
        raise ValueError(
            f"labels must have shape {wanted} on {device} like the images, "
            f"got {tuple(labels.shape)} on {labels.device}; pass one label per image"
        )
    check_float("dtype", dtype, "convert afterwards")
    if not 1 <= num_classes < 2**31:
        raise ValueError(f"num_classes must be in 1 .. 2**31 - 1, got {num_classes}; count the classes of the labels")
    if not 0 <= mixup_alpha < math.inf:
        raise ValueError(f"mixup_alpha must be positive and finite or None, got {mixup_alpha}; use None for no mixing")
    if not 0 <= noise_std < math.inf:
        raise ValueError(f"noise_std must be >= 0 and finite, got {noise_std}; the paper uses 0.3")
    if not 0 <= flip_probability <= 1:
        raise ValueError(f"flip_probability must be in 0 .. 1, got {flip_probability}; use 0.5 for fair flips")
    if not 0 <= max_shift <= 2**15:
        raise ValueError(f"max_shift must be in 0 .. 32768 pixels, got {max_shift}; use 0 for no shift")
    check_noise_address(chain_ids, step_tensor, step, shape[0], device)


def beta_quantile(uniform: Tensor, alpha: float) -> Tensor:
    """Beta(α, α) variates from uniforms by the inverse of the distribution function, float32.

    >>> beta_quantile(torch.tensor([0.5]), 0.4)
    tensor([0.5000])
    """
    if alpha == 1.0:
        return uniform.float()

    from scipy.special import betaincinv  # a third of a second to import, and only mixup with α ≠ 1 needs it

    quantile = betaincinv(alpha, alpha, uniform.double().cpu().numpy())
    return torch.as_tensor(quantile, dtype=torch.float32, device=uniform.device)


def _mixing(
    images: Tensor, chain_ids: Tensor | None, step_tensor: Tensor | None, alpha: float, seed: int, step: int
) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """Each row's partner (a permutation, from word 0 of its mixup block) and weight λ (from word 1)."""
    if not alpha:
        return None, None
    ids = _rows(images, chain_ids)
    draws = torch.ops.stic_fast.uniform(ids, step_tensor, [2], seed, step, Stream.MIXUP, torch.float32)
    return torch.argsort(draws[:, 0], stable=True), beta_quantile(draws[:, 1].contiguous(), alpha)


def _soft_labels(labels: Tensor, num_classes: int, partner: Tensor | None, weight: Tensor | None) -> Tensor:
    # A copy, for what an op returns may not be its argument.
    soft = labels.dtype == torch.float32
    y = labels.clone(memory_format=torch.contiguous_format) if soft else _one_hot(labels, num_classes)
    return y if partner is None or weight is None else torch.lerp(y[partner], y, weight[:, None])


def _one_hot(labels: Tensor, num_classes: int) -> Tensor:
    if labels.numel():
        bounds = torch.aminmax(labels)
        least, most = int(bounds[0]), int(bounds[1])
        if least < 0 or most >= num_classes:
            raise ValueError(
                f"labels must be in 0 .. {num_classes - 1}, got {least} .. {most}; "
                "map them to consecutive classes or raise num_classes"
            )
    return torch.nn.functional.one_hot(labels, num_classes).float()


def _rows(images: Tensor, chain_ids: Tensor | None) -> Tensor:
    return torch.arange(images.shape[0], device=images.device) if chain_ids is None else chain_ids


def reference(
    images: Tensor,
    labels: Tensor,
    chain_ids: Tensor | None,
    step_tensor: Tensor | None,
    num_classes: int,
    mixup_alpha: float,
    noise_std: float,
    flip_probability: float,
    max_shift: int,
    seed: int,
    step: int,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """The batch in plain PyTorch."""
    ids = _rows(images, chain_ids)
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    batch, _, height, width = images.shape
    at = step if step_tensor is None else step_tensor
    coins = words(ids, 4, seed, at, Stream.AUGMENTATION)
    flip = reference_uniform(ids, step_tensor, [1], seed, step, Stream.AUGMENTATION, torch.float32) < flip_probability
    down, right = (((coins[:, 1:3] * (2 * max_shift + 1)) >> 32) - max_shift)[:, :, None].unbind(1)
    rows = (torch.arange(height, device=images.device) - down).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) - right).clamp(0, width - 1)
    columns = torch.where(flip, width - 1 - columns, columns)
    batch_index = torch.arange(batch, device=images.device)[:, None, None]
    placed = images.permute(0, 2, 3, 1)[batch_index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    x = placed.to(compute) / 127.5 - 1
    partner, weight = _mixing(images, ids, step_tensor, mixup_alpha, seed, step)
    if partner is not None and weight is not None:
        x = torch.lerp(x[partner], x, weight.to(compute)[:, None, None, None])
    noise = reference_normal(ids, step_tensor, images.shape[1:], seed, step, Stream.INSTANCE_NOISE, compute)
    return (x + noise_std * noise).to(dtype).contiguous(), _soft_labels(labels, num_classes, partner, weight)


def _native(
    images: Tensor,
    labels: Tensor,
    chain_ids: Tensor | None,
    step_tensor: Tensor | None,
    num_classes: int,
    mixup_alpha: float,
    noise_std: float,
    flip_probability: float,
    max_shift: int,
    seed: int,
    step: int,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    partner, weight = _mixing(images, chain_ids, step_tensor, mixup_alpha, seed, step)
    x = fresh(images.new_empty(images.shape, dtype=dtype))
    run(
        "vrm_batch",
        images.device,
        (x,),
        (images, partner, weight, chain_ids, step_tensor),
        DTYPE_CODES[dtype],
        *images.shape,
        noise_std,
        flip_probability,
        max_shift,
        seed,
        step,
    )
    return x, _soft_labels(labels, num_classes, partner, weight)


def _fake(
    images: Tensor,
    labels: Tensor,
    chain_ids: Tensor | None,
    step_tensor: Tensor | None,
    num_classes: int,
    *options: Any,
) -> tuple[Tensor, Tensor]:
    *_, dtype = options
    x = torch.empty(images.shape, dtype=dtype, device=images.device)
    return x, images.new_empty((images.shape[0], num_classes), dtype=torch.float32)


register(
    "vrm_batch",
    "Tensor images, Tensor labels, Tensor? chain_ids, Tensor? step_tensor, int num_classes, float mixup_alpha, "
    "float noise_std, float flip_probability, int max_shift, int seed, SymInt step, ScalarType dtype",
    "(Tensor, Tensor)",
    check=_check,
    cpu=_native,
    cuda=_native,
    reference=reference,
    fake=_fake,
    vmap=lambda op, _: loop(op),  # a row's partner depends on all rows of its batch
)
