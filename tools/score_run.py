# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores a trained run as `stic-fast demo` scores its own: the numbers of docs/results.md.

    python tools/score_run.py RUN --n 1000

draws n fresh images, spread evenly over the classes, and prints accuracy, Cls_R, Cls_G and distances as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import get_args

from stic_fast.cli.arguments import spread
from stic_fast.cli.demo import judged
from stic_fast.cli.progress import RichProgress
from stic_fast.models import Layout, Precision
from stic_fast.training import Drawing, open_run


def main() -> None:
    """Draws, judges and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of a trained run")
    parser.add_argument("--n", type=int, default=1000, help="images to draw")
    parser.add_argument("--seed", type=int, default=0, help="of their noise")
    parser.add_argument("--steps", type=int, help="of each chain; as configured if not given")
    parser.add_argument("--precision", choices=get_args(Precision), help="of the network; as configured if not given")
    parser.add_argument("--layout", choices=get_args(Layout), help="of the network; as configured if not given")
    parser.add_argument("--judge-iterations", type=int, default=600, help="of both judges' training")
    options = parser.parse_args()
    started, run, progress = time.perf_counter(), open_run(options.run), RichProgress()
    labels = spread(range(run.model.num_classes), options.n)
    passes = {"precision": options.precision, "layout": options.layout}
    drawn = Drawing(run, options.seed, steps=options.steps, **passes).of_classes(labels, progress)
    drawing = time.perf_counter() - started
    scores = judged(run, drawn, labels, options.judge_iterations, progress)
    seconds = {"seconds_drawing": round(drawing, 1), "seconds": round(time.perf_counter() - started, 1)}
    print(json.dumps({**scores, "n": len(labels), "seed": options.seed, **seconds}, indent=2))


if __name__ == "__main__":
    main()
