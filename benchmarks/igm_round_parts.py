# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Where the time of a round of IGM goes: `python -m benchmarks.igm_round_parts`.

Prints a table in Markdown: milliseconds by kind of operation, as PyTorch's profiler counts them, of a round's training
and of its drawing when no chain stops early, in float32 and in bfloat16; and without the profiler what a round takes
and what a megapixel takes that a trained network draws.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from benchmarks.score_training_parts import REST, Kinds, clocked, milliseconds_by_kind
from benchmarks.wording import markdown
from stic_fast.data import ImageSet, Splits
from stic_fast.memory import keep_what_is_freed
from stic_fast.training import Engine, Igm, IgmConfig, RunFolder

KINDS: Kinds = (
    ("convolutions, backward", ("convolution_backward",)),
    ("convolutions, forward", ("mkldnn_convolution", "convolution")),
    ("leaky ReLU", ("leaky_relu",)),
    ("means over 2×2 pixels", ("avg_pool2d", "fill_")),
    ("patches, cut and put back", ("gather", "scatter", "stic_fast::uniform", "index")),
    ("Adam on weights and on chains", ("sqrt", "addcdiv", "lerp", "addcmul", "grmala_step", "pow", "Adam")),
    ("copies and types", ("copy_",)),
)
"""Names in an operation's name, the first that fits; all others are the rest."""
ROUNDS = 3
"""Of which the fastest counts, without the profiler."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.igm_round_parts")
    parser.add_argument("--preset", default="texture", help="of train igm, for a single source")
    about = "measures one of so many iterations, chains and steps, and scales up: for presets of hours"
    parser.add_argument("--shrink", type=int, default=1, help=about)
    asked = parser.parse_args(arguments)
    config = Igm.presets[asked.preset]
    columns = {
        f"{part}, {precision}": measured(config, precision, part, asked.shrink)
        for precision in ("fp32", "bf16")
        for part in ("training", "drawing")
    }
    head = ["milliseconds of one round", *columns]
    kinds = [*dict(KINDS), REST]
    rows = [[kind, *(f"{parts[kind]:,.0f}" for parts, _ in columns.values())] for kind in kinds]
    shares = [sum(parts[kind] for kind in kinds[:2]) / sum(parts.values()) for parts, _ in columns.values()]
    rows.append(["share of convolutions", *(f"{share:.0%}" for share in shares)])
    rows.append(["all, without the profiler", *(f"{1e3 * seconds:,.0f}" for _, seconds in columns.values())])
    pixels = config.negatives.chains * cast(int, config.patches.canvas) ** 2
    cost = [f"{1e9 * seconds / pixels:,.0f}" if "drawing" in name else "" for name, (_, seconds) in columns.items()]
    rows.append(["a megapixel, through one network", *cost])
    print(markdown(head, rows))


def measured(config: IgmConfig, precision: str, part: str, shrink: int) -> tuple[Counter[str], float]:
    """Milliseconds by kind of operation, and the seconds of a round's part."""

    def few(count: int) -> int:
        return max(1, count // shrink)

    iterations, chains, steps = config.iterations, config.negatives.chains, config.sampler.steps
    config = replace(
        config,
        passes=1,
        optimiser=replace(config.optimiser, precision=precision),
        sampler=replace(config.sampler, precision=precision, steps=few(steps)),
        negatives=replace(config.negatives, chains=few(chains), stop=1.0),
    )
    with tempfile.TemporaryDirectory() as folder:
        method = new_method(config)
        engine = Engine(method.model, method, config, RunFolder(Path(folder)))
        engine._iterate()

        def train() -> None:
            for _ in range(few(iterations)):
                engine._iterate()

        def draw() -> None:
            method.end_pass(1, engine.run, engine.progress)

        work, scale = train, iterations / few(iterations)
        if part == "drawing":
            work, scale = draw, chains * steps / (few(chains) * few(steps))
        seconds = min(clocked(work) for _ in range(ROUNDS))
        return milliseconds_by_kind(work, KINDS, scale), scale * seconds


def new_method(config: IgmConfig) -> Igm:
    """The method on a source of noise as large as its canvas."""
    side = cast(int, config.patches.canvas)
    pixels = torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8)
    source = ImageSet(pixels, torch.zeros(1, dtype=torch.int64), ("image",), "noise")
    splits = Splits(source, source)
    return Igm(Igm.build(config, splits), splits, config)


if __name__ == "__main__":
    keep_what_is_freed()
    main()
