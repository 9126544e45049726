# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Measures, in the process it runs in, how far the resident memory rises during one call. Started by benchmarks.memory.

The peak is the kernel's own record (VmHWM), reset just before the call, so not even a short rise is missed.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gram_cases import eager_gram, eager_gram_loss
from benchmarks.machine import describe
from benchmarks.row_names import OWN
from stic_fast import gram_loss
from stic_fast.models import WideResNet
from stic_fast.sampling import GRMALA, GramRegulariser

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"


def peak_of(call: Callable[[], Any]) -> int:
    """Bytes that the resident memory rises by at most while `call` runs."""
    gc.collect()
    before = _resident("VmRSS")
    CLEAR.write_text(RESET_PEAK)
    call()
    return _resident("VmHWM") - before


def gram_loss_memory(implementation: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Of gram_loss and its gradient, beyond features, reference, loss and gradient."""
    loss = gram_loss if implementation == OWN else _eager_loss

    def run(features: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(loss(features, reference).sum(), features)[0]

    run(torch.randn(2, *shape[1:], requires_grad=True), torch.randn(2, *shape[1:]))  # threads, libraries' own buffers
    features, reference = torch.randn(shape, requires_grad=True), torch.randn(shape)
    peak = peak_of(lambda: run(features, reference))
    return {"peak": peak, "extra": peak - features.nbytes, "inputs": 2 * features.nbytes}


def sampling_memory(depth: int, width: int, shape: tuple[int, ...], steps: int) -> dict[str, Any]:
    """Of a GRMALA run beyond the network and the chains' start."""
    torch.manual_seed(0)
    model = WideResNet(depth=depth, width=width, num_classes=10, in_channels=shape[1]).eval()
    x, label = torch.rand(shape) * 2 - 1, torch.randint(10, shape[:1])
    gram = GramRegulariser.from_images(model, x)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    peak = peak_of(lambda: GRMALA(steps=steps).run(model, x, label, seed=0, gram=gram))
    return {"peak": peak, "weights": weights}


def main() -> None:
    """One probe, asked for as JSON in the first argument, answered as JSON."""
    request = json.loads(sys.argv[1])
    kind, shape = request.pop("kind"), tuple(request.pop("shape"))
    answer = (
        gram_loss_memory(request["implementation"], shape)
        if kind == "gram_loss"
        else sampling_memory(shape=shape, **request)
    )
    print(json.dumps({**answer, "machine": describe()}))


def _eager_loss(features: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    return eager_gram_loss(features, eager_gram(reference))


def _resident(field: str) -> int:
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
