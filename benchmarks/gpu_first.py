# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The first numbers of a GPU, without pytest-benchmark: `python -m benchmarks.gpu_first grmala_step --json STEP.json`.

The rows and the clock are those of the suites; `tools/gpu_check.sh` runs them one kind after the other. The file is
written anew after every row, in the form that `python -m benchmarks.report` reads, so a run that is stopped leaves what
it has measured.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import test_gram_loss, test_grmala_chain, test_grmala_step
from benchmarks.gram_cases import ALL_LAYERS
from benchmarks.machine import describe
from benchmarks.results import LABELS, Run, Timing, rounded, save
from benchmarks.row_names import COPY, EAGER, NOISE_FREE, OWN
from benchmarks.wording import duration

LARGEST = test_grmala_step.CASES[-1]
WIDE = next(setting for setting in test_grmala_chain.SETTINGS if setting.case.marker == "cuda")
Row = tuple[str, Callable[[Any], None]]
"""An implementation, and what times it with a fixture such as pytest-benchmark's."""


class Rounds:
    """As much of pytest-benchmark's fixture as a row on a GPU uses.

    Args:
        disabled: the row is called once and not timed, as with `--benchmark-disable`.
    """

    def __init__(self, *, disabled: bool = False) -> None:
        self.disabled, self.group = disabled, ""
        self.extra_info: dict[str, Any] = {}
        self.seconds: list[float] = []
        self._timer: Callable[[], float]

    def __call__(self, call: Callable[[], Any]) -> None:
        call()

    def pedantic(self, call: Callable[[], Any], *, rounds: int) -> None:
        for _ in range(rounds):
            begin = self._timer()
            call()
            self.seconds.append(self._timer() - begin)

    def timing(self) -> Timing:
        """The row as a report reads it."""
        low, median, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        facts = {name: value for name, value in self.extra_info.items() if name not in LABELS}
        labels = {name: self.extra_info[name] for name in LABELS}
        return Timing(**labels, median=rounded(median), iqr=rounded(high - low), rounds=len(self.seconds), facts=facts)


def grmala_step_rows() -> Iterator[Row]:
    """The update of 256 images of 3×224×224 against the copy that moves as many bytes."""
    for op, implementations in (("grmala_step", (OWN, COPY, NOISE_FREE, EAGER)), ("grmala_step_", (OWN, COPY))):
        for name in implementations:
            yield name, partial(test_grmala_step.run, op=op, implementation=name, case=LARGEST)


def gram_loss_rows() -> Iterator[Row]:
    """The Gram loss of the paper's eight layers and its gradient against eager PyTorch and torch.compile."""
    for name in test_gram_loss.LAYERWISE:
        yield name, partial(test_gram_loss.test_gram_loss_of_all_layers, implementation=name, case=ALL_LAYERS)


def chain_rows() -> Iterator[Row]:
    """A step of GRMALA on WRN-28-10 against JEM's loop, and in its first run."""
    for name in WIDE.steps:
        yield name, partial(test_grmala_chain.test_grmala_chain, implementation=name, setting=WIDE)


ROWS = {"grmala_step": grmala_step_rows, "gram_loss": gram_loss_rows, "chain": chain_rows}


def measured(name: str, measure: Callable[[Any], None], benchmark: Rounds, device: str) -> str:
    """Runs one row; what came of it: "" where all went well, else why the row is left out or how it failed."""
    torch.manual_seed(0)
    torch.set_default_device(device)
    try:
        measure(benchmark)
    except pytest.skip.Exception as reason:
        return f"{name}: not run: {reason}"
    except Exception as error:  # the rows that follow may still work
        traceback.print_exc()
        return f"{name}: FAILED: {error}"
    finally:
        torch.set_default_device(None)
    return ""


def run(kinds: Sequence[str], path: Path | None, *, once: bool = False, device: str = "cuda") -> list[str]:
    """Measures, prints and writes one kind of rows after the other, or calls stic_fast's own once.

    Returns:
        What did not work, a sentence for each row.
    """
    timings: list[Timing] = []
    left_out = []
    for name, measure in (row for kind in kinds for row in ROWS[kind]()):
        if once and name != OWN:
            continue
        benchmark = Rounds(disabled=once)
        if reason := measured(name, measure, benchmark, device):
            print(reason, flush=True)
            left_out.append(reason)
        elif not once:
            timing = benchmark.timing()
            timings.append(timing)
            print(f"{timing.op} {timing.case}, {name}: {duration(timing.median)}", flush=True)
            if path:
                save(path, [Run(describe(device), timings, [])])
    return left_out


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures on the first GPU; 1 if a row failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_first", description="The first numbers of a GPU.")
    parser.add_argument("kinds", nargs="+", choices=list(ROWS), metavar="KIND", help=", ".join(ROWS))
    parser.add_argument("--json", type=Path, metavar="STEP.json", help="write the rows there, for benchmarks.report")
    parser.add_argument("--once", action="store_true", help="call stic_fast's own rows once, for a profiler")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        parser.error("PyTorch finds no CUDA device; run this on a machine with an NVIDIA GPU and its driver")
    return int(any("FAILED" in reason for reason in run(options.kinds, options.json, once=options.once)))


if __name__ == "__main__":
    sys.exit(main())
