# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Where the time of an iteration of Score-STIC's training goes: `python -m benchmarks.score_training_parts`.

Prints a table in Markdown: milliseconds by kind of operation, as PyTorch's profiler counts them, for this package and
for the same network in plain PyTorch, and images a second without the profiler.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from benchmarks.row_names import EAGER, OWN
from benchmarks.test_score_training import BF16, CASE, iteration_of
from benchmarks.wording import markdown

ROUNDS, PROFILED = 5, 3
Kinds = Sequence[tuple[str, tuple[str, ...]]]
KINDS: Kinds = (
    ("convolutions, backward", ("convolution_backward",)),
    ("convolutions, forward", ("mkldnn_convolution", "convolution")),
    ("SiLU and its scales", ("silu",)),
    ("Adam, averaged weights", ("_fused_adam_", "lerp_", "addcdiv", "addcmul_", "sqrt")),
    ("noise and batches", ("stic_fast::normal", "vrm_batch", "stic_fast::uniform", "normal_")),
    ("copies and types", ("copy_",)),
)
"""Names in an operation's name, the first that fits; all others are sums, products, norms and what Python takes."""
REST = "sums, products, norms, the rest"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    argparse.ArgumentParser(prog="python -m benchmarks.score_training_parts").parse_args(arguments)
    columns = {name: measured(name) for name in (EAGER, BF16, OWN)}
    head = ["milliseconds of one iteration", *(f"{name}" for name in columns)]
    rows = [[kind, *(f"{parts[kind]:.0f}" for parts, _ in columns.values())] for kind in (*dict(KINDS), REST)]
    rows.append(["all, without the profiler", *(f"{1e3 * seconds:.0f}" for _, seconds in columns.values())])
    rows.append(["images a second", *(f"{CASE.shape[0] / seconds:.0f}" for _, seconds in columns.values())])
    print(markdown(head, rows))


def measured(implementation: str) -> tuple[Counter[str], float]:
    """Milliseconds by kind of operation, and the seconds of an iteration."""
    with tempfile.TemporaryDirectory() as folder:
        iterate = iteration_of(implementation, Path(folder))
        seconds = statistics.median(clocked(iterate) for _ in range(ROUNDS + 2))
        parts = milliseconds_by_kind(lambda: [iterate() for _ in range(PROFILED)], KINDS, 1 / PROFILED)
    return parts, seconds


def milliseconds_by_kind(function: Callable[[], object], kinds: Kinds, scale: float) -> Counter[str]:
    """Of a call, as PyTorch's profiler counts them, times a scale; what is of no kind is the rest."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        function()
    parts: Counter[str] = Counter()
    for event in profiler.key_averages():
        kind = next((kind for kind, names in kinds if any(name in event.key for name in names)), REST)
        parts[kind] += scale * event.self_cpu_time_total / 1e3
    return parts


def clocked(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
