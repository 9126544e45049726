# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The tables of a report: each op against its rivals, and what threads, size, form, memory and machine do to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.results import Ratio, Row, Run
from benchmarks.row_names import (
    CEILING,
    COMPILED,
    COPY,
    COST_MODEL,
    DUAL,
    EAGER,
    MEASURED,
    NOISE_FREE,
    OWN,
    PRIMAL,
    PRODUCTS,
    REFERENCE,
    SCALING,
    TORCHEBM,
)
from benchmarks.wording import counted, digits, duration, each, markdown, megabytes, times, workers

RIVALS = (EAGER, COMPILED, TORCHEBM)
"""Their time is divided by stic_fast's; of the LIMITS it is the other way round."""
LIMITS = (NOISE_FREE, COPY, PRODUCTS)
LEADING = (
    "one step of GRMALA",
    "grmala_step",
    "grmala_step_",
    "gram_loss and gradient",
    "gram_loss of a kept target",
    "metropolis_accept",
    "noise.normal",
    "scaled_silu",
    "scaled_silu and gradients",
    "vrm_batch",
)
"""Ops that a reader looks for first; the picture shows only these."""
APART = (SCALING, COST_MODEL, CEILING)
FLAT = 1.5
"""Time per element is called flat where it is at most so many times its least."""
WORST_CHOICE = 1.1
BUSY_CORES, BUSY_LOAD = 0.1, 0.5
"""Above, the machine was not idle."""


def sentence(machine: dict[str, Any]) -> str:
    """Where and when the numbers were taken, and whether they can be trusted."""
    load, other = machine.get("load_before"), machine.get("other_work")
    return (
        (f"{machine['gpu']}; " if "gpu" in machine else "")
        + f"{machine['cpu']}, {counted(machine['cores'], 'core')}, {counted(machine['threads'], 'thread')}; "
        f"stic_fast {machine['version']} ({machine['isa']}, {machine['compiler']}), PyTorch {machine['torch']}; "
        f"{machine['date']}"
        + (f", commit {machine['commit']}" if machine.get("commit") else "")
        + ("" if load is None or "gpu" in machine else f"; load average {load} before the run")
        + ("" if other is None or "gpu" in machine else f", {other} cores at other work during it")
        + (". **The machine was busy with something else: do not trust these numbers.**" if is_busy(machine) else ".")
    )


def is_busy(machine: dict[str, Any]) -> bool:
    """Whether something else ran meanwhile; a load average, which remembers the run before, decides only alone.

    A GPU needs of the CPU one core that is free.
    """
    load, other = machine.get("load_before"), machine.get("other_work")
    if "gpu" in machine:
        return other is not None and other > machine["cores"] / 2
    return other > BUSY_CORES if other is not None else load is not None and load > BUSY_LOAD


def caption(runs: Sequence[Run]) -> str:
    """The machine in a few words, for the picture."""
    if not runs:
        return ""
    machine = runs[0].machine
    processor = machine.get("gpu") or f"{machine['cpu']}, {counted(machine['cores'], 'core')}, {machine['isa']}"
    words = f"{processor}, PyTorch {machine['torch']}"
    return f"{words} (busy with other work: not to be trusted)" if any(is_busy(run.machine) for run in runs) else words


def variants(row: Row) -> list[str]:
    """stic_fast and its variants, such as "stic_fast bf16", as far as the row has them."""
    return [name for name in row.seconds if name == OWN or name.startswith(f"{OWN} ")]


def op_tables(rows: Sequence[Row]) -> str:
    """One section per op, at the greatest number of threads the op was measured with."""
    sections = []
    found = dict.fromkeys(row.op for row in rows if row.op not in APART)
    for op in (*(op for op in LEADING if op in found), *(op for op in found if op not in LEADING)):
        sections.append(f"### `{op}`\n\n{op_table(widest([row for row in rows if row.op == op]))}\n")
    return "\n".join(sections)


def widest(rows: Sequence[Row]) -> list[Row]:
    """Of each op and case, the row with the most threads; a GPU has more than any."""
    best: dict[tuple[str, str], Row] = {}
    for row in rows:
        kept = best.setdefault((row.op, row.case), row)
        if (row.threads or math.inf) > (kept.threads or math.inf):
            best[row.op, row.case] = row
    return list(best.values())


def op_table(rows: Sequence[Row]) -> str:
    """Medians, then ratios; a column only where something was measured."""
    measured = dict.fromkeys(name for row in rows for name in row.seconds)
    own = [name for name in measured if name == OWN or name.startswith(f"{OWN} ")]
    others = [name for name in (*RIVALS, *LIMITS, REFERENCE) if name in measured]
    pairs = [(rival, OWN) for rival in RIVALS if rival in measured]
    pairs += [(EAGER, name) for name in own if name != OWN and EAGER in measured]
    pairs += [(OWN, limit) for limit in LIMITS if limit in measured]
    rates = [rate(row) for row in rows]
    columns = ["shape", *own, *others, *(f"{above} / {below}" for above, below in pairs)]
    columns += ["rate"] if any(rates) else []
    lines = []
    for row, speed in zip(rows, rates, strict=True):
        cells = [row.case, *(duration(row.median(name)) for name in (*own, *others))]
        cells += [times(row.ratio(above, below)) for above, below in pairs]
        lines.append([*cells, speed] if any(rates) else cells)
    return markdown(columns, lines)


def first_run_table(rows: Sequence[Row]) -> str:
    """What a step takes in the first run, which loads, chooses and captures, and in those that follow."""
    lines = [
        [f"`{row.op}` {row.case}", name, duration(row.first_run(name)), duration(row.median(name))]
        for row in widest(rows)
        for name in row.first_runs
    ]
    return markdown(["", "", "first run", "later runs"], lines) if lines else ""


def rate(row: Row, implementation: str = OWN) -> str:
    """Bytes or operations of the op per second; empty where the suite does not count them."""
    seconds = row.median(implementation)
    if seconds is None:
        return ""
    for fact, unit in (("operations", "GFLOP/s"), ("bytes", "GB/s")):
        if fact in row.facts:
            return f"{digits(row.facts[fact] / seconds / 1e9)} {unit}"
    return ""


def thread_table(rows: Sequence[Row]) -> str:
    """What more threads gain stic_fast; empty where only one number of threads was measured."""
    counts = sorted({row.threads for row in rows if row.op not in APART and row.median(OWN)})
    found = {(row.op, row.case, row.threads): row for row in rows if row.op not in APART}
    lines = []
    for op, case in dict.fromkeys((op, case) for op, case, _ in found):
        medians = [found[op, case, n].median(OWN) if (op, case, n) in found else None for n in counts]
        first, last = medians[:1], medians[-1:]
        if len(counts) > 1 and first[0] and last[0]:
            gain = first[0] / last[0]
            lines.append([f"`{op}` {case}", *map(duration, medians), times(Ratio(gain, gain, gain))])
    return markdown(["", *map(workers, counts), "gain"], lines) if lines else ""


def scaling_table(rows: Sequence[Row]) -> str:
    """Nanoseconds per element of `grmala_step_` by size and threads, and where they are flat."""
    lines, flat = [], []
    for threads in sorted({row.threads for row in rows if row.op == SCALING}):
        sizes = sorted(
            (row for row in rows if row.op == SCALING and row.threads == threads), key=lambda row: row.facts["elements"]
        )
        for row in sizes:
            medians = [row.median(name) for name in (OWN, EAGER, COPY)]
            lines.append(
                [f"{row.facts['elements']:,}", str(threads or workers(threads))]
                + ["" if time is None else each(time / row.facts["elements"]) for time in medians]
                + [times(row.ratio(EAGER, OWN)), times(row.ratio(OWN, COPY))]
            )
        if extent := flat_extent(sizes):
            flat.append(f"from {extent[0]:,} to {extent[1]:,} elements on {workers(threads)}")
    if not lines:
        return ""
    columns = ["elements", "threads", OWN, EAGER, COPY, f"{EAGER} / {OWN}", f"{OWN} / {COPY}"]
    return f"{markdown(columns, lines)}\n\nTime per element is within {FLAT}x of its least {', '.join(flat)}.\n"


def flat_extent(sizes: Sequence[Row]) -> tuple[int, int] | None:
    """The sizes, from and to, around the least time per element, over which it stays flat."""
    each = [(row.facts["elements"], seconds / row.facts["elements"]) for row in sizes if (seconds := row.median(OWN))]
    if not each:
        return None
    least = min(time for _, time in each)
    low = high = [time for _, time in each].index(least)
    while low > 0 and each[low - 1][1] <= FLAT * least:
        low -= 1
    while high + 1 < len(each) and each[high + 1][1] <= FLAT * least:
        high += 1
    return each[low][0], each[high][0]


def form_table(rows: Sequence[Row]) -> str:
    """Whether `gram_loss` chooses the faster form."""
    lines = []
    for row in widest([row for row in rows if row.op == COST_MODEL]):
        chosen = row.facts["chosen"]
        cost = max((ratio for form in (PRIMAL, DUAL) if (ratio := row.ratio(chosen, form))), key=lambda r: r.median)
        flag = f" **over {WORST_CHOICE}x**" if cost.median > WORST_CHOICE else ""
        lines.append([row.case, duration(row.median(PRIMAL)), duration(row.median(DUAL)), chosen, times(cost) + flag])
    return markdown(["shape", PRIMAL, DUAL, "chosen", "chosen / best"], lines) if lines else ""


def ceiling_table(rows: Sequence[Row]) -> str:
    """The machine's own limits."""
    found = [row for row in rows if row.op == CEILING]
    counts = sorted({row.threads for row in found})
    by_name = {(row.case, row.threads): row for row in found}
    lines = []
    for name in dict.fromkeys(row.case for row in found):
        cells = [by_name.get((name, count)) for count in counts]
        lines.append([name, *(rate(row, MEASURED) if row else "" for row in cells)])
    return markdown(["", *map(workers, counts)], lines) if lines else ""


def memory_tables(memory: Sequence[dict[str, Any]]) -> str:
    """Extra memory of the Gram loss, and peak memory of a sampling run by batch size."""
    parts = []
    losses: dict[str, dict[str, Any]] = {}
    for row in memory:
        if row["kind"] == "gram_loss":
            losses.setdefault(row["case"], {})[row["implementation"]] = row
    if losses:
        lines = [
            [case, megabytes(found[OWN]["inputs"]), *(megabytes(found[name]["extra"]) for name in (OWN, EAGER))]
            for case, found in losses.items()
        ]
        columns = ["`gram_loss` with gradient", "features and reference", f"{OWN}, extra", f"{EAGER}, extra"]
        parts.append(markdown(columns, lines))
    runs = [row for row in memory if row["kind"] == "sampling"]
    if runs:
        lines = [
            [row["case"], str(row["batch"]), str(row["steps"]), megabytes(row["weights"]), megabytes(row["peak"])]
            for row in runs
        ]
        parts.append(markdown(["GRMALA run", "batch", "steps", "weights", "peak beyond weights"], lines))
        parts.append(" ".join(slope(name, runs) for name in dict.fromkeys(row["case"] for row in runs)))
    return "\n\n".join(parts)


def slope(name: str, runs: Sequence[dict[str, Any]]) -> str:
    """How the peak grows with the batch, between the least and the greatest."""
    found = sorted((row["batch"], row["peak"]) for row in runs if row["case"] == name)
    (least, first), (greatest, last) = found[0], found[-1]
    if least == greatest:
        return ""
    return f"{name}: {megabytes((last - first) / (greatest - least))} per chain from batch {least} to {greatest}."
