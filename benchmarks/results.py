# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Results on disk and in memory: what pytest-benchmark wrote, slimmed to what a report needs, and runs merged.

The slim form can be read again, so a report can be drawn anew without the machine that measured.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.row_names import FIRST_RUN

FORMAT = "stic_fast benchmarks 1"
LABELS = ("op", "case", "implementation", "threads")


@dataclass(frozen=True)
class Timing:
    """One row of one run, in seconds."""

    op: str
    case: str
    implementation: str
    threads: int
    median: float
    iqr: float
    rounds: int
    facts: dict[str, Any] = field(default_factory=dict)
    """What else the suite said, such as `bytes`, `operations` and `elements` of a call."""


class Run(NamedTuple):
    """One process's measurements."""

    machine: dict[str, Any]
    timings: list[Timing]
    memory: list[dict[str, Any]]


class Ratio(NamedTuple):
    """Median, least and greatest over runs of a ratio taken within each run."""

    median: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Row:
    """One op at one size and number of threads, over all runs."""

    op: str
    case: str
    threads: int
    seconds: dict[str, dict[int, float]] = field(default_factory=dict)
    """By implementation and run."""
    facts: dict[str, Any] = field(default_factory=dict)
    first_runs: dict[str, dict[int, float]] = field(default_factory=dict)
    """By implementation and run, of runs of several steps: the time of a step in the first one."""

    def median(self, implementation: str) -> float | None:
        """Of the runs' medians."""
        return _median(self.seconds.get(implementation))

    def first_run(self, implementation: str) -> float | None:
        """Likewise, of a step in the first run of several."""
        return _median(self.first_runs.get(implementation))

    def ratio(self, slower: str, faster: str) -> Ratio | None:
        """Time of `slower` over that of `faster`; None if no run has both."""
        above, below = self.seconds.get(slower, {}), self.seconds.get(faster, {})
        ratios = [above[run] / below[run] for run in above if below.get(run)]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def load(path: Path) -> list[Run]:
    """The runs of a file: one that `pytest benchmarks --benchmark-json` wrote, or any number in the slim form.

    Raises:
        ValueError: the file is no such result; the message names it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") == FORMAT:
            return [
                Run(run["machine"], [Timing(**timing) for timing in run["timings"]], run["memory"])
                for run in content["runs"]
            ]
        machine = {**content["machine_info"]["stic_fast"], "commit": _commit(content["commit_info"])}
        return [Run(machine, [_slim(entry) for entry in content["benchmarks"]], [])]
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); name a file that --benchmark-json wrote"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a result of these suites; make one with `pytest benchmarks --benchmark-json={path}`"
        ) from error


def save(path: Path, runs: Sequence[Run]) -> None:
    """Writes the slim form, a line for each row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ",\n".join(
        f'{{"machine": {_plain(run.machine)},\n"timings": {_lines([asdict(timing) for timing in run.timings])},\n'
        f'"memory": {_lines(run.memory)}}}'
        for run in runs
    )
    path.write_text(f'{{"format": {_plain(FORMAT)}, "runs": [\n{text}\n]}}\n', encoding="utf-8")


def merge(runs: Iterable[Run]) -> list[Row]:
    """Rows in the order in which the runs first have them."""
    rows: dict[tuple[str, str, int], Row] = {}
    for index, run in enumerate(runs):
        for timing in run.timings:
            key = timing.op, timing.case, timing.threads
            row = rows.setdefault(key, Row(*key))
            row.seconds.setdefault(timing.implementation, {})[index] = timing.median
            facts = dict(timing.facts)
            if FIRST_RUN in facts:
                row.first_runs.setdefault(timing.implementation, {})[index] = facts.pop(FIRST_RUN)
            row.facts.update(facts)
    return list(rows.values())


def _median(times: dict[int, float] | None) -> float | None:
    return statistics.median(times.values()) if times else None


def _commit(info: dict[str, Any]) -> str:
    """Of the code that was measured; empty outside a checkout."""
    return (info.get("id") or "")[:10] + (" with changes" if info.get("dirty") else "")


def _slim(entry: dict[str, Any]) -> Timing:
    info, stats = entry["extra_info"], entry["stats"]
    return Timing(
        **{name: info[name] for name in LABELS},
        median=rounded(stats["median"]),
        iqr=rounded(stats["iqr"]),
        rounds=stats["rounds"],
        facts={name: value for name, value in info.items() if name not in LABELS},
    )


def rounded(seconds: float) -> float:
    """To five digits, more than any clock is good for."""
    return float(f"{seconds:.5g}")


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lines(entries: Iterable[object]) -> str:
    return "[\n" + ",\n".join(map(_plain, entries)) + "]"
