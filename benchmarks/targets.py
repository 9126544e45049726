# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the ops are meant to reach on a CPU and on a GPU, and whether they did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.results import Ratio, Row
from benchmarks.row_names import COMPILED, COPY, COST_MODEL, DUAL, EAGER, GPU, NOISE_FREE, OWN, PRIMAL, SCALING
from benchmarks.tables import FLAT, WORST_CHOICE, variants, widest
from benchmarks.wording import digits, markdown, times, workers

Target = tuple[str, str, str, str, str, float]
"""Op, case, above and below the line of a ratio, >= or <=, and the bound."""
LOSS, CHAIN = "gram_loss and gradient", "one step of GRMALA"
FLAT_FROM, FLAT_TO = 10**5, 10**8
RATIOS = (
    ("grmala_step", "(64, 3, 32, 32) float32", EAGER, OWN, ">=", 20.0),
    ("grmala_step", "(64, 3, 32, 32) float32", COMPILED, OWN, ">=", 100.0),
    ("grmala_step", "(64, 3, 224, 224) float32", OWN, NOISE_FREE, "<=", 1.3),
    (LOSS, "(64, 640, 8, 8) float32, third group of WRN-28-10", EAGER, OWN, ">=", 25.0),
    (LOSS, "(64, 640, 8, 8) float32, third group of WRN-28-10", COMPILED, OWN, ">=", 8.0),
    (LOSS, "(64, 320, 16, 16) float32, second group", EAGER, OWN, ">=", 2.2),
    (LOSS, "(64, 160, 32, 32) float32, first group", EAGER, OWN, ">=", 2.2),
)
CHAIN_NETWORK, CHAIN_GAIN = "WRN-28-10", 2.5
GPU_RATIOS = (
    ("grmala_step", "(256, 3, 224, 224) float32", COPY, OWN, ">=", 0.85),
    (LOSS, "(64, 640, 8, 8) float32, 8 layers in one call", EAGER, OWN, ">=", 20.0),
    (LOSS, "(64, 640, 8, 8) float32, 8 layers in one call", COMPILED, OWN, ">=", 8.0),
    (CHAIN, "(64, 3, 32, 32) float32, WRN-28-10, 8 Gram layers", EAGER, OWN, ">=", 6.0),
)
"""For an H100 or H200. The copy moves as many bytes, so its time is that of the copy's bandwidth."""


class Verdict(NamedTuple):
    """A target and what was measured."""

    what: str
    sign: str
    bound: float
    measured: Ratio | None

    @property
    def outcome(self) -> str:
        """reached, **missed** or not measured."""
        if self.measured is None:
            return "not measured"
        reached = self.measured.median >= self.bound if self.sign == ">=" else self.measured.median <= self.bound
        return "reached" if reached else "**missed**"


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """All targets of what was measured on: of a GPU, of a CPU at the greatest number of threads, or of both."""
    on_gpu, on_cpu = ([row for row in rows if (row.threads == GPU) is gpu] for gpu in (True, False))
    found = [*_ratios(on_gpu, GPU_RATIOS)] if on_gpu else []
    if on_cpu or not on_gpu:
        found += [*_ratios(on_cpu, RATIOS), *_chain(on_cpu), *_flatness(on_cpu), _choice(on_cpu)]
    return found


def target_table(rows: Sequence[Row]) -> str:
    lines = []
    for verdict in verdicts(rows):
        bound = f"{'≥' if verdict.sign == '>=' else '≤'} {digits(verdict.bound)}x"
        lines.append([verdict.what, bound, times(verdict.measured), verdict.outcome])
    return markdown(["target", "bound", "measured", ""], lines)


def _ratios(rows: Sequence[Row], targets: Sequence[Target]) -> Iterator[Verdict]:
    found = {(row.op, row.case): row for row in widest(rows)}
    for op, case, above, below, sign, bound in targets:
        row = found.get((op, case))
        yield Verdict(f"`{op}` {case}: {above} / {below}", sign, bound, row.ratio(above, below) if row else None)


def _chain(rows: Sequence[Row]) -> Iterator[Verdict]:
    """Of each row of the network, the fastest variant of stic_fast."""
    chains = [row for row in widest(rows) if row.op == CHAIN and CHAIN_NETWORK in row.case]
    for row in chains:
        gains = [(ratio, name) for name in variants(row) if (ratio := row.ratio(EAGER, name))]
        best, name = max(gains, key=lambda gain: gain[0].median, default=(None, OWN))
        yield Verdict(f"`{CHAIN}` {row.case}: {EAGER} / {name}", ">=", CHAIN_GAIN, best)
    if not chains:
        yield Verdict(f"`{CHAIN}` {CHAIN_NETWORK}: {EAGER} / {OWN}", ">=", CHAIN_GAIN, None)


def _flatness(rows: Sequence[Row]) -> Iterator[Verdict]:
    """Greatest over least time per element, for each number of threads."""
    counts = sorted({row.threads for row in rows if row.op == SCALING})
    what = f"time per element, {FLAT_FROM:,} to {FLAT_TO:,}, greatest / least"
    for threads in counts:
        inside = [
            row
            for row in rows
            if row.op == SCALING and row.threads == threads and FLAT_FROM <= row.facts["elements"] <= FLAT_TO
        ]
        each = [seconds / row.facts["elements"] for row in inside if (seconds := row.median(OWN))]
        complete = {row.facts["elements"] for row in inside} >= {FLAT_FROM, FLAT_TO}
        growth = max(each) / min(each) if each and complete else None
        measured = Ratio(growth, growth, growth) if growth else None
        yield Verdict(f"{what}, {workers(threads)}", "<=", FLAT, measured)
    if not counts:
        yield Verdict(what, "<=", FLAT, None)


def _choice(rows: Sequence[Row]) -> Verdict:
    """The worst choice between the two forms of the Gram loss."""
    costs = [
        ratio
        for row in widest([row for row in rows if row.op == COST_MODEL])
        for form in (PRIMAL, DUAL)
        if (ratio := row.ratio(row.facts["chosen"], form))
    ]
    worst = max(costs, key=lambda ratio: ratio.median, default=None)
    return Verdict("`gram_loss`: form chosen / better form, worst shape", "<=", WORST_CHOICE, worst)
