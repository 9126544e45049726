# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Measures whether interpolations stay images: what a judge sees along the paths, and how rough they are.

    python tools/score_paths.py RUN --from 3 --to 8

prints a Markdown table, one row per share of the second class: the mean probabilities that a judge trained on real
images gives both classes, and the mean absolute difference of neighbouring pixels. The same is printed for real images
of both classes and for uniform noise.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from stic_fast.cli.interpolate import even_shares
from stic_fast.cli.progress import RichProgress
from stic_fast.evaluation import train_judge
from stic_fast.ops import noise
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.training import Drawing, open_run


def roughness(images: Tensor) -> float:
    """Mean |difference| of horizontally and vertically neighbouring pixels, in units of [−1, 1]."""
    x = to_unit(images)
    differences = (x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1])
    return float(torch.cat([d.abs().flatten() for d in differences]).mean())


def main() -> None:
    """Draws, judges and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of a trained run")
    parser.add_argument("--from", type=int, default=3, dest="start", help="class that paths start from")
    parser.add_argument("--to", type=int, default=8, dest="end", help="class that they lead to")
    parser.add_argument("--n", type=int, default=100, help="paths")
    options = parser.parse_args()
    run, shares = open_run(options.run), even_shares(9)
    real = run.splits.train
    judge = train_judge(real.images, real.labels, real.num_classes, seed=0)
    paths = Drawing(run, 0).of_paths(options.start, options.end, options.n, shares, RichProgress())
    uniform = noise.uniform((options.n, *real.image_shape), seed=0, stream=noise.Stream.CHAIN_INIT) * 2 - 1

    rows = {f"{share:.3g}": paths[frame :: len(shares)] for frame, share in enumerate(shares)}
    for label in (options.start, options.end):
        rows[f"real {label}"] = run.splits.test.images[run.splits.test.class_indices(label)]
    rows["noise"] = to_bytes(uniform)
    print(f"| share of {options.end} | judge p({options.start}) | judge p({options.end}) | sum | roughness |")
    print("|---|---|---|---|---|")
    for name, images in rows.items():
        with torch.no_grad():
            likely = judge(images).softmax(1).mean(0)
        first, second = float(likely[options.start]), float(likely[options.end])
        print(f"| {name} | {first:.2f} | {second:.2f} | {first + second:.2f} | {roughness(images):.2f} |")


if __name__ == "__main__":
    main()
