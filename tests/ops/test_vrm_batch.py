# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The training batch of vicinal risk minimisation: scale, placement, noise, mixup, labels, wrong arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from stic_fast.ops import noise, vrm_batch
from stic_fast.ops.vrm_batch import reference

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SHAPES = ((6, 3, 8, 8), (5, 1, 7, 13), (3, 2, 65, 67), (4, 1, 1, 1), (2, 1, 1, 66))
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"noise_std": 0.0},
    "noise": {"noise_std": 0.3},
    "flip": {"noise_std": 0.0, "flip_probability": 0.5},
    "shift": {"noise_std": 0.0, "max_shift": 3},
    "mixup 0.4": {"noise_std": 0.0, "mixup_alpha": 0.4},
    "mixup 1": {"noise_std": 0.0, "mixup_alpha": 1.0},
    "all": {"noise_std": 0.25, "flip_probability": 0.7, "max_shift": 2, "mixup_alpha": 0.4},
}
CLASSES = 5


def sample_inputs(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(sum(shape))
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return images, torch.randint(0, CLASSES, (shape[0],), generator=generator)


def make(images: Tensor, labels: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    return vrm_batch(images, labels, **{"num_classes": CLASSES, "seed": 2**63 + 3, "step": 8} | options)


def by_reference(images: Tensor, labels: Tensor, dtype: torch.dtype, **options: Any) -> tuple[Tensor, Tensor]:
    names = ("mixup_alpha", "noise_std", "flip_probability", "max_shift")
    values = [options.get(name, 0) for name in names]
    return reference(images, labels, None, None, CLASSES, *values, 2**63 + 3 - 2**64, 8, dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", OPTIONS)
def test_reference_agrees(
    assert_as_exact: Callable[..., None], shape: tuple[int, ...], dtype: torch.dtype, options: str
) -> None:
    images, labels = sample_inputs(shape)
    x, y = make(images, labels, dtype=dtype, **OPTIONS[options])
    plain, plain_y = by_reference(images, labels, dtype, **OPTIONS[options])
    exact, _ = by_reference(images, labels, torch.float64, **OPTIONS[options])
    assert x.dtype == dtype and x.is_contiguous() and y.dtype == torch.float32
    if OPTIONS[options]["noise_std"] and dtype == torch.float64:
        # float64 noise is the float32 noise, whose reference may differ by six ulps of at most 2⁻²² each.
        torch.testing.assert_close(x, plain, rtol=0, atol=0.3 * 6 * 2**-22)
    else:
        # Three terms of size up to one are added: as many roundings.
        floor = 3 * torch.finfo(dtype).eps * max(1.0, float(exact.abs().max()))
        assert_as_exact(x, plain, exact, floor=floor)
    assert torch.equal(y, plain_y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scale_of_every_pixel_value(dtype: torch.dtype) -> None:
    values = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    x, _ = make(values, torch.zeros(1, dtype=torch.int64), noise_std=0.0, dtype=dtype)
    exact = values.double() / 127.5 - 1
    assert float((x.double() - exact).abs().max()) <= torch.finfo(dtype).eps
    assert x.min() == -1 and x.max() == 1 and torch.equal(x, -x.flip(2, 3))
    if dtype in (torch.float32, torch.float64):
        assert torch.equal(((x + 1) * 127.5).round().to(torch.uint8), values)


def test_placement_by_hand() -> None:
    # One image many times: every one of the 2·3·3 placements appears, and each is the flip, then the shift, by hand.
    image = torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.uint8)
    rows, ids = 256, torch.arange(256) + 1000
    options: dict[str, Any] = {"noise_std": 0.0, "flip_probability": 0.5, "max_shift": 1, "chain_ids": ids}
    x, _ = make(image.expand(rows, 1, 2, 3), torch.zeros(rows, dtype=torch.int64), **options)
    pixels = ((x[:, 0] + 1) * 127.5).round().long()
    words = noise.words(ids, 3, 2**63 + 3, 8, noise.Stream.AUGMENTATION)
    placements = set()
    for row in range(rows):
        flip = int(words[row, 0]) < 2**31
        down, right = (int(word) * 3 // 2**32 - 1 for word in words[row, 1:])
        placements.add((flip, down, right))
        wanted = [list(reversed(line)) if flip else line for line in image.tolist()]
        if down:
            wanted = [wanted[0], wanted[0]] if down == 1 else [wanted[1], wanted[1]]
        if right:
            wanted = [[a, a, b] if right == 1 else [b, c, c] for a, b, c in wanted]
        assert pixels[row].tolist() == wanted
    assert len(placements) == 18


def test_coins_have_their_probabilities() -> None:
    rows, labels = 20_000, torch.zeros(20_000, dtype=torch.int64)
    picture = torch.arange(25, dtype=torch.uint8).view(1, 1, 5, 5).expand(rows, -1, -1, -1)
    x, _ = make(picture, labels, noise_std=0.0, max_shift=2)
    centres = ((x[:, 0, 2, 2] + 1) * 127.5).round().long()
    assert stats.chisquare(centres.bincount(minlength=25).numpy()).pvalue > 1e-3  # uniform over 5·5 shifts
    x, _ = make(picture, labels, noise_std=0.0, flip_probability=0.3)
    flips = int((x[:, 0, 0, 0] > x[:, 0, 0, 4]).sum())
    assert abs(flips - 0.3 * rows) < 5 * math.sqrt(rows * 0.3 * 0.7)
    for probability, expected in ((0.0, picture), (1.0, picture.flip(3))):
        x, _ = make(picture, labels, noise_std=0.0, flip_probability=probability)
        assert torch.equal(x, make(expected, labels, noise_std=0.0)[0])


def test_noise_is_that_of_its_stream() -> None:
    images, labels = sample_inputs((5, 3, 9, 11))
    ids = torch.tensor([4, 2**31, 0, 2**32 - 1, 17])
    options: dict[str, Any] = {"chain_ids": ids, "mixup_alpha": 0.4, "max_shift": 1, "dtype": torch.float64}
    clean, noisy = (make(images, labels, noise_std=std, **options)[0] for std in (0.0, 0.3))
    z = noise.normal(
        images.shape, seed=2**63 + 3, step=8, chain_ids=ids, stream=noise.Stream.INSTANCE_NOISE, dtype=torch.float64
    )
    torch.testing.assert_close(noisy - clean, 0.3 * z, rtol=0, atol=1e-15)


def test_labels() -> None:
    images, labels = sample_inputs((6, 1, 2, 2))
    _, hard = make(images, labels)
    assert torch.equal(hard, torch.nn.functional.one_hot(labels, CLASSES).float())
    _, soft = make(images, labels, mixup_alpha=1.0)
    torch.testing.assert_close(soft.sum(1), torch.ones(6))
    assert bool((soft >= 0).all()) and not torch.equal(soft, hard)


@pytest.mark.parametrize("options", OPTIONS)
def test_soft_labels_are_mixed_as_the_classes_are(options: str) -> None:
    images, labels = sample_inputs((6, 1, 2, 2))
    given = torch.eye(CLASSES)[labels]
    for soft in (given, given.mT.contiguous().mT):
        x, y = make(images, soft, **OPTIONS[options])
        assert all(map(torch.equal, (x, y), make(images, labels, **OPTIONS[options])))
        assert y.is_contiguous() and y.data_ptr() != soft.data_ptr()
    halves = torch.full((6, CLASSES), 1 / CLASSES)
    torch.testing.assert_close(make(images, halves, **OPTIONS[options])[1], halves)


@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_images_and_labels_are_mixed_alike(alpha: float) -> None:
    # Black images of class 0 and white ones of class 1: the grey tells the label.
    labels = torch.arange(200) % 2
    images = (255 * labels).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    x, y = make(images, labels, num_classes=2, mixup_alpha=alpha, noise_std=0.0, max_shift=1, flip_probability=0.5)
    assert 40 < int(((y > 0.01) & (y < 0.99)).any(1).sum()) < 160  # half of the partners are of the same class
    torch.testing.assert_close(x, (y[:, 1] - y[:, 0]).view(-1, 1, 1, 1).expand_as(x), rtol=0, atol=3e-7)


def weights(rows: int, alpha: float) -> tuple[Tensor, Tensor]:
    """λ of the rows that have a partner, and all labels, where every row is a class of its own."""
    images, labels = torch.zeros(rows, 1, 1, 1, dtype=torch.uint8), torch.arange(rows)
    _, y = make(images, labels, num_classes=rows, mixup_alpha=alpha)
    own = y.diagonal()
    return own[own < 1], y


def test_partners_are_a_permutation() -> None:
    _, y = weights(500, 1.0)  # λ ~ U[0, 1) is never one: whoever has a partner shows it
    others = y.clone().fill_diagonal_(0) > 0
    alone = y.diagonal() == 1
    assert torch.equal(others.sum(1), (~alone).long()) and torch.equal(others.sum(0), (~alone).long())
    assert int(alone.sum()) < 10


def test_mixing_draws_from_its_stream() -> None:
    ids = torch.arange(40) * 3
    draws = noise.uniform((40, 2), seed=2**63 + 3, step=8, chain_ids=ids, stream=noise.Stream.MIXUP)
    images, labels = torch.zeros(40, 1, 1, 1, dtype=torch.uint8), torch.arange(40)
    _, y = make(images, labels, num_classes=40, mixup_alpha=1.0, chain_ids=ids)
    weight, partner = draws[:, 1:], torch.eye(40)[draws[:, 0].argsort()]
    torch.testing.assert_close(y, weight * torch.eye(40) + (1 - weight) * partner, rtol=0, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.4, 1.0, 2.5])
def test_weights_are_beta_distributed(alpha: float) -> None:
    weight, _ = weights(3000, alpha)
    assert len(weight) > 2900
    assert stats.kstest(weight.double().numpy(), stats.beta(alpha, alpha).cdf).pvalue > 1e-2
    assert stats.kstest(weight.double().numpy(), stats.beta(alpha * 1.3, alpha).cdf).pvalue < 1e-6


def test_a_row_does_not_see_its_batch(with_threads: Callable[..., list[Tensor]]) -> None:
    images, labels = sample_inputs((7, 3, 61, 71))
    ids = torch.tensor([7, 0, 2**32 - 1, 3, 12, 1, 90])
    options: dict[str, Any] = {"flip_probability": 0.5, "max_shift": 4}
    one, two, three = with_threads(lambda: make(images, labels, chain_ids=ids, **options)[0])
    assert torch.equal(one, two) and torch.equal(one, three)
    for row in range(7):
        alone, _ = make(images[row : row + 1], labels[row : row + 1], chain_ids=ids[row : row + 1], **options)
        assert torch.equal(alone, one[row : row + 1])
    mixed = with_threads(lambda: make(images, labels, chain_ids=ids, mixup_alpha=0.4, **options)[0])
    assert torch.equal(mixed[0], mixed[1]) and torch.equal(mixed[0], mixed[2])


def test_a_rows_weight_does_not_see_its_batch() -> None:
    images, labels, ids = torch.zeros(9, 1, 1, 1, dtype=torch.uint8), torch.arange(9), torch.arange(9) * 5
    options: dict[str, Any] = {"num_classes": 9, "mixup_alpha": 1.0}
    _, whole = make(images, labels, chain_ids=ids, **options)
    _, part = make(images[:6], labels[:6], chain_ids=ids[:6], **options)
    partnered = (whole.diagonal()[:6] < 1) & (part.diagonal()[:6] < 1)
    assert int(partnered.sum()) >= 3
    assert torch.equal(whole.diagonal()[:6][partnered], part.diagonal()[:6][partnered])


def test_ids_steps_and_layouts() -> None:
    images, labels = sample_inputs((6, 3, 8, 8))
    options = OPTIONS["all"]
    x, y = make(images, labels, **options)
    channels_last = images.contiguous(memory_format=torch.channels_last)
    same = make(channels_last, labels, chain_ids=torch.arange(6) + 2**32, step=torch.tensor([8]), **options)
    assert torch.equal(x, same[0]) and torch.equal(y, same[1]) and same[0].is_contiguous()
    for other in ({"step": 9}, {"seed": 1}, {"chain_ids": torch.arange(6) + 1}):
        assert not torch.equal(make(images, labels, **options | other)[0], x)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 3, 0, 4), (2, 3, 4, 0), (2, 0, 4, 4)])
@pytest.mark.parametrize("options", ["plain", "all"])
def test_empty(shape: tuple[int, ...], options: str) -> None:
    images, labels = sample_inputs(shape)
    x, y = make(images, labels, **OPTIONS[options])
    assert x.shape == shape and y.shape == (shape[0], CLASSES)


@pytest.mark.parametrize("options", ["plain", "all"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("soft", [False, True])
def test_opcheck(options: str, dtype: torch.dtype, soft: bool) -> None:
    values = [OPTIONS[options].get(name, 0) for name in ("mixup_alpha", "noise_std", "flip_probability", "max_shift")]
    alpha, std, flip, shift = values
    images, labels = sample_inputs((4, 2, 5, 3))
    labels = torch.eye(CLASSES)[labels] if soft else labels
    arguments = (images, labels, torch.arange(4), None, CLASSES, alpha, std, flip, shift, 5, 6, dtype)
    torch.library.opcheck(torch.ops.stic_fast.vrm_batch.default, arguments)


IMAGES, LABELS = torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("images", IMAGES.float(), TypeError),
        ("images", [1], TypeError),
        ("images", IMAGES[0], ValueError),
        ("images", IMAGES[:, :, :1, :1].expand(2, 2, 2**15, 2**15), ValueError),
        ("labels", LABELS.int(), TypeError),
        ("labels", torch.eye(CLASSES)[LABELS].double(), TypeError),
        ("labels", [0, 1], TypeError),
        ("labels", torch.arange(3), ValueError),
        ("labels", torch.zeros(2), ValueError),
        ("labels", torch.zeros(2, CLASSES + 1), ValueError),
        ("labels", LABELS.to("meta"), ValueError),
        ("labels", torch.tensor([0, CLASSES]), ValueError),
        ("labels", torch.tensor([-1, 2]), ValueError),
        ("num_classes", 0, ValueError),
        ("num_classes", 5.0, TypeError),
        ("mixup_alpha", 0.0, ValueError),
        ("mixup_alpha", math.inf, ValueError),
        ("noise_std", -0.1, ValueError),
        ("noise_std", math.nan, ValueError),
        ("flip_probability", 1.5, ValueError),
        ("max_shift", -1, ValueError),
        ("max_shift", 1.5, TypeError),
        ("dtype", torch.int8, TypeError),
        ("seed", -1, ValueError),
        ("step", 2**32, ValueError),
        ("chain_ids", torch.arange(3), ValueError),
    ],
)
def test_errors_name_the_argument(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^{name}\b"):
        make(**{"images": IMAGES, "labels": LABELS, name: value})
