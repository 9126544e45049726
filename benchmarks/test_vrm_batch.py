# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of `vrm_batch` against the same augmentation, mixup and noise in batched PyTorch.

There is no compiled row: torch.compile refuses the sampling of torch.distributions.Beta. Nor are the calls timed in a
CUDA graph: both check their labels or parameters on the CPU.
"""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from torch.nn import functional as F

from benchmarks.row_names import COPY, EAGER, OWN, REFERENCE
from benchmarks.timing import Case, measure, measure_copy, rows
from stic_fast import vrm_batch
from stic_fast.ops.vrm_batch import reference

AUGMENTED = Case((50, 3, 32, 32), torch.uint8, note="flip and shift")
CASES = (AUGMENTED, Case((50, 3, 32, 32), torch.uint8), Case((50, 1, 8, 8), torch.uint8))
CLASSES, ALPHA, NOISE_STD = 11, 1.0, 0.3


def own(images: Tensor, labels: Tensor, flip: float, shift: int) -> tuple[Tensor, Tensor]:
    return vrm_batch(
        images,
        labels,
        num_classes=CLASSES,
        mixup_alpha=ALPHA,
        noise_std=NOISE_STD,
        flip_probability=flip,
        max_shift=shift,
        seed=0,
        step=0,
    )


def plain(images: Tensor, labels: Tensor, flip: float, shift: int) -> tuple[Tensor, Tensor]:
    return reference(images, labels, None, None, CLASSES, ALPHA, NOISE_STD, flip, shift, 0, 0, torch.float32)


def eager(images: Tensor, labels: Tensor, flip: float, shift: int) -> tuple[Tensor, Tensor]:
    batch, where = len(images), images.device
    x, y = images.float() / 127.5 - 1, F.one_hot(labels, CLASSES).float()
    if flip:
        x = torch.where((torch.rand(batch, device=where) < flip)[:, None, None, None], x.flip(3), x)
    if shift:
        x = eager_shift(x, shift)
    weight, partner = torch.distributions.Beta(ALPHA, ALPHA).sample((batch,)), torch.randperm(batch, device=where)
    weight = weight.to(where)
    x = torch.lerp(x[partner], x, weight[:, None, None, None])
    y = torch.lerp(y[partner], y, weight[:, None])
    return x + NOISE_STD * torch.randn_like(x), y


def eager_shift(x: Tensor, shift: int) -> Tensor:
    """Each image cropped from its padded self at its own place."""
    padded = F.pad(x, (shift, shift, shift, shift), mode="replicate")
    down, right = torch.randint(2 * shift + 1, (2, len(x)), device=x.device)
    of_image, of_channel, of_row, of_column = (torch.arange(size, device=x.device) for size in x.shape)
    row = (down[:, None] + of_row)[:, None, :, None]
    column = (right[:, None] + of_column)[:, None, None, :]
    return padded[of_image[:, None, None, None], of_channel[:, None, None], row, column]


IMPLEMENTATIONS = {OWN: own, EAGER: eager, REFERENCE: plain}


@pytest.mark.parametrize(("implementation", "case"), rows((*IMPLEMENTATIONS, COPY), CASES))
def test_vrm_batch(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    moved = (1 + 4) * case.nbytes  # bytes read, float32 written
    if implementation == COPY:
        measure_copy(benchmark, op="vrm_batch", case=case, moved=moved)
        return
    flip, shift = (0.5, 4) if case == AUGMENTED else (0.0, 0)
    measure(
        benchmark,
        op="vrm_batch",
        case=case,
        implementation=implementation,
        function=IMPLEMENTATIONS[implementation],
        draw=lambda: (
            torch.randint(256, case.shape, dtype=torch.uint8),
            torch.randint(CLASSES - 1, case.shape[:1]),
            flip,
            shift,
        ),
        captured=False,
        elements=case.elements,
        bytes=moved,
    )
