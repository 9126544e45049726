# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The results of a benchmark run as a table and a plot: `python -m benchmarks.report RESULT.json`.

Reads what `pytest benchmarks --benchmark-json=RESULT.json` wrote, and needs neither the package nor the machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

OWN, BASELINE = "stic_fast", "eager"


class Row(NamedTuple):
    """One op at one size."""

    op: str
    case: str
    medians: dict[str, float]
    """Seconds, by implementation."""

    def ratio(self, implementation: str = BASELINE) -> float | None:
        """How many times longer the implementation takes than stic_fast."""
        own, other = self.medians.get(OWN), self.medians.get(implementation)
        return None if not own or other is None else other / own


class Result(NamedTuple):
    """One run."""

    machine: dict[str, Any]
    rows: list[Row]


def load(path: Path) -> Result:
    """The rows of a result file, in the order they were measured.

    Raises:
        ValueError: the file is not a result of these suites; the message names it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        machine = content["machine_info"]["stic_fast"]
        medians: dict[tuple[str, str], dict[str, float]] = {}
        for entry in content["benchmarks"]:
            info = entry["extra_info"]
            medians.setdefault((info["op"], info["case"]), {})[info["implementation"]] = entry["stats"]["median"]
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); name a file that --benchmark-json wrote"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not a result of these suites; make one with `pytest benchmarks --benchmark-json={path}`"
        ) from error
    return Result(machine, [Row(op, case, times) for (op, case), times in medians.items()])


def describe(machine: dict[str, Any]) -> str:
    """One sentence on where and when the numbers were taken."""
    load = machine.get("load")
    busy = load is not None and load > machine["cores"] + 0.5
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {_count(machine['threads'], 'thread')}; "
        f"stic_fast {machine['version']} ({machine['isa']}, {machine['compiler']}), PyTorch {machine['torch']}; "
        f"{machine['date']}"
        + ("" if load is None else f", load average {load} at the end")
        + (": **the machine was busy with something else, do not trust these numbers**." if busy else ".")
    )


def table(result: Result) -> str:
    """The medians as a Markdown table; columns beyond stic_fast and eager only where something was measured."""
    extra = [
        name
        for name in dict.fromkeys(name for row in result.rows for name in row.medians)
        if name not in (OWN, BASELINE)
    ]
    columns = ["op", "shape", OWN, BASELINE, f"{BASELINE} / {OWN}"]
    for name in extra:
        columns += [name, f"{name} / {OWN}"]
    lines = [_line(columns), _line(["---", "---"] + ["---:"] * (len(columns) - 2))]
    for row in result.rows:
        cells = [f"`{row.op}`", row.case, duration(row.medians.get(OWN))]
        for name in (BASELINE, *extra):
            cells += [duration(row.medians.get(name)), times(row.ratio(name))]
        lines.append(_line(cells))
    return "\n".join(lines)


def document(results: Sequence[Result]) -> str:
    """All runs as Markdown, one section each."""
    sections = [
        f"## {_count(result.machine['threads'], 'thread')}\n\n{describe(result.machine)}\n\n{table(result)}\n"
        for result in results
    ]
    intro = (
        "Medians over rotating inputs after warm-up; a ratio above 1 says how many times faster stic_fast is. "
        "How they are taken: `benchmarks/README.md`.\n"
    )
    return "\n".join(["# Benchmarks\n", intro, *sections])


def plot(results: Sequence[Result], path: Path) -> None:
    """Bars of eager over stic_fast, all runs beside each other, on a logarithmic axis."""
    names = list(dict.fromkeys((row.op, row.case) for result in results for row in result.rows if row.ratio()))
    figure = Figure(figsize=(9, 1.5 + 0.22 * len(names) * max(len(results), 1)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / max(len(results), 1)
    for index, result in enumerate(results):
        ratios = {(row.op, row.case): row.ratio() or 1.0 for row in result.rows}
        places = [place + index * height for place, name in enumerate(names) if name in ratios]
        widths = [ratios[name] - 1 for name in names if name in ratios]
        axes.barh(places, widths, height, left=1.0, label=_count(result.machine["threads"], "thread"))
    axes.set_yticks(
        [place + 0.4 - height / 2 for place in range(len(names))], [f"{op} {case}" for op, case in names], fontsize=7
    )
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel("time of eager PyTorch / time of stic_fast")
    axes.legend()
    figure.savefig(path)


def duration(seconds: float | None) -> str:
    """Three digits and a unit.

    >>> duration(0.0123456), duration(4.2e-6), duration(None)
    ('12.3 ms', '4.20 µs', '')
    """
    if seconds is None:
        return ""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{_three_digits(seconds / scale)} {unit}"
    return f"{_three_digits(seconds * 1e6)} µs"


def times(ratio: float | None) -> str:
    """A ratio with three digits.

    >>> times(23.456), times(0.987), times(None)
    ('23.5x', '0.99x', '')
    """
    return "" if ratio is None else f"{_three_digits(ratio)}x"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints or writes the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description="Benchmark results as a table.")
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT.json", help="what --benchmark-json wrote")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the tables there and print nothing")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the ratios there")
    options = parser.parse_args(arguments)
    try:
        results = [load(path) for path in options.results]
    except ValueError as error:
        parser.error(str(error))
    if options.plot:
        plot(results, options.plot)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(document(results), encoding="utf-8")
    else:
        print(document(results))


def _three_digits(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
