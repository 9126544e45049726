# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the op tests share: the tolerance rule, and outcomes under several thread counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture
def assert_as_exact() -> Callable[..., None]:
    """assert_as_exact(native, plain, exact, floor=...): the tolerance rule.

    The native error against float64 is at most twice that of plain PyTorch in the same precision, plus one rounding of
    the largest value (or `floor`, where more cancels than the value shows). float64 has nothing more exact to be held
    against: both sides are then equally wrong, and the floor is 32 roundings.
    """

    def check(native: Tensor, plain: Tensor, exact: Tensor, *, floor: float | None = None) -> None:
        assert native.dtype == plain.dtype and native.shape == plain.shape == exact.shape
        assert exact.dtype == torch.float64
        if floor is None:
            floor = torch.finfo(native.dtype).eps * float(exact.abs().max())
        if native.dtype == torch.float64:
            floor *= 32
        native_error = float((native.double() - exact).abs().max())
        plain_error = float((plain.double() - exact).abs().max())
        assert native_error <= 2 * plain_error + floor, f"native {native_error:.3g}, plain {plain_error:.3g}"

    return check


@pytest.fixture
def with_threads() -> Callable[[Callable[[], Tensor]], list[Tensor]]:
    """with_threads(draw): the results of draw() with one, two and three threads."""

    def outcomes(draw: Callable[[], Tensor]) -> list[Tensor]:
        before = torch.get_num_threads()
        try:
            results = []
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                results.append(draw())
            return results
        finally:
            torch.set_num_threads(before)

    return outcomes
