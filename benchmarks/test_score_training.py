# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of one whole iteration of Score-STIC's training, loss, gradients and Adam, against the same in plain PyTorch.

The iteration of stic_fast is the engine's own, with its noise, its averaged weights and its terms to log; the others
draw with torch.randn, average nothing and log nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from benchmarks.plain_score_unet import plain_loss
from benchmarks.row_names import COMPILED, EAGER, OWN
from benchmarks.timing import Case, measure
from stic_fast.data import ImageSet, Splits
from stic_fast.training import Engine, RunFolder, ScoreStic

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

BF16, COMPILED_BF16 = f"{EAGER} bf16", f"{COMPILED} bf16"
CASE = Case((128, 3, 32, 32), note="cifar10 preset, and 64 classified")
IMPLEMENTATIONS = {OWN: [], EAGER: [], BF16: [], COMPILED_BF16: [pytest.mark.compile]}


@pytest.mark.cpu
@pytest.mark.slow
@pytest.mark.parametrize("implementation", [pytest.param(name, marks=marks) for name, marks in IMPLEMENTATIONS.items()])
def test_score_training(benchmark: BenchmarkFixture, implementation: str, tmp_path: Path) -> None:
    measure(
        benchmark,
        op="one iteration of Score-STIC",
        case=CASE,
        implementation=implementation,
        function=iteration_of(implementation, tmp_path),
        draw=lambda: (),
        images=CASE.shape[0],
    )


def iteration_of(implementation: str, folder: Path) -> Callable[[], object]:
    """One whole iteration, on images of noise."""
    config = ScoreStic.presets["cifar10"]
    size, channels, side, _ = CASE.shape
    images = ImageSet(
        torch.randint(0, 256, (1_000, channels, side, side), dtype=torch.uint8),
        torch.arange(1_000) % 10,
        tuple(f"class {number}" for number in range(10)),
        "noise",
    )
    splits = Splits(images, images)
    config = replace(config, score=replace(config.score, denoised=size))
    model = ScoreStic.build(config, splits)
    if implementation == OWN:
        return Engine(model, ScoreStic(model, splits, config), config, RunFolder(folder))._iterate
    read = 4 * config.batch_size
    return plain_iteration(
        model,
        implementation,
        torch.rand(CASE.shape) * 2 - 1,
        torch.randint(10, (size,)),
        torch.rand(read, channels, side, side) * 2 - 1,
        torch.randint(10, (read,)),
    )


def plain_iteration(model: Any, implementation: str, *batch: Tensor) -> Callable[[], None]:
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2, betas=(0.9, 0.99))
    loss_of = torch.compile(plain_loss) if implementation == COMPILED_BF16 else plain_loss

    def iterate() -> None:
        optimiser.zero_grad(set_to_none=True)
        with nullcontext() if implementation == EAGER else torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model, *batch)
        loss.backward()
        optimiser.step()

    return iterate
