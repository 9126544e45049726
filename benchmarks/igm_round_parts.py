# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Where the time of a round of IGM goes: `python -m benchmarks.igm_round_parts [--preset texture]`.

Prints a table in Markdown: milliseconds by kind of operation, as PyTorch's profiler counts them, of a round's training
and of its drawing when no chain stops early, in float32 and in bfloat16; and without the profiler what a round takes
and what a megapixel takes that a trained network draws.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.score_training_parts import clocked
from benchmarks.wording import markdown
from stic_fast.data import ImageSet, Splits
from stic_fast.training import Engine, Igm, IgmConfig, RunFolder

KINDS = (
    ("convolutions, backward", ("convolution_backward",)),
    ("convolutions, forward", ("mkldnn_convolution", "convolution")),
    ("leaky ReLU", ("leaky_relu",)),
    ("means over 2×2 pixels", ("avg_pool2d", "fill_")),
    ("patches, cut and put back", ("gather", "scatter", "stic_fast::uniform", "index")),
    ("Adam on weights and on chains", ("sqrt", "addcdiv", "lerp", "addcmul", "grmala_step", "pow", "Adam")),
    ("copies and types", ("copy_",)),
)
"""Names in an operation's name, the first that fits; all others are the rest."""
REST = "the rest"
ROUNDS = 3
"""Of which the fastest counts, without the profiler."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.igm_round_parts")
    parser.add_argument("--preset", default="texture", help="of train igm, for a single source")
    parser.add_argument("--iterations", type=int, help="of a round, if not the preset's; the cost is scaled up")
    asked = parser.parse_args(arguments)
    config = Igm.presets[asked.preset]
    columns: dict[str, tuple[Counter[str], float]] = {}
    for precision in ("fp32", "bf16"):
        for part in ("training", "drawing"):
            columns[f"{part}, {precision}"] = measured(config, precision, part, asked.iterations)
    head = ["milliseconds of one round", *columns]
    kinds = [*dict(KINDS), REST]
    rows = [[kind, *(f"{parts[kind]:.0f}" for parts, _ in columns.values())] for kind in kinds]
    shares = [sum(parts[kind] for kind in kinds[:2]) / sum(parts.values()) for parts, _ in columns.values()]
    rows.append(["share of convolutions", *(f"{share:.0%}" for share in shares)])
    rows.append(["all, without the profiler", *(f"{1e3 * seconds:.0f}" for _, seconds in columns.values())])
    drawn = config.negatives.chains * math.prod(new_method(config, Path()).recipe.space.shape[1:]) / 1e6  # type: ignore[attr-defined]
    cost = [f"{seconds / drawn:.1f} s" if "drawing" in name else "" for name, (_, seconds) in columns.items()]
    rows.append(["a megapixel, through one network", *cost])
    print(markdown(head, rows))


def measured(config: IgmConfig, precision: str, part: str, iterations: int | None) -> tuple[Counter[str], float]:
    """Milliseconds by kind of operation, and the seconds of a round's part."""
    optimiser, sampler = replace(config.optimiser, precision=precision), replace(config.sampler, precision=precision)
    never = replace(config.negatives, stop=1.0)
    config = replace(config, passes=1, optimiser=optimiser, sampler=sampler, negatives=never)
    with tempfile.TemporaryDirectory() as folder:
        method = new_method(config, Path(folder))
        engine = Engine(method.model, method, config, RunFolder(Path(folder)))
        engine._iterate()
        count, scale = iterations or config.iterations, config.iterations / (iterations or config.iterations)

        def train() -> None:
            for _ in range(count):
                engine._iterate()

        def draw() -> None:
            method.end_pass(1, engine.run, engine.progress)

        work: Callable[[], None] = train if part == "training" else draw
        scale = scale if part == "training" else 1.0
        seconds = min(clocked(work) for _ in range(ROUNDS))
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            work()
    parts: Counter[str] = Counter()
    for event in profiler.key_averages():
        kind = next((kind for kind, names in KINDS if any(name in event.key for name in names)), REST)
        parts[kind] += scale * event.self_cpu_time_total / 1e3
    return parts, scale * seconds


def new_method(config: IgmConfig, folder: Path) -> Igm:
    """The method on a source of noise as large as its canvas."""
    side = cast(Any, config.patches.canvas)
    source = ImageSet(
        torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8), torch.zeros(1).long(), ("image",), "noise"
    )
    splits = Splits(source, source)
    return Igm(Igm.build(config, splits), splits, config)


if __name__ == "__main__":
    main()
