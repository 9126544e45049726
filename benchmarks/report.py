# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Results as a page: `python -m benchmarks.report RESULT.json ... --machine NAME`.

Reads what `pytest benchmarks --benchmark-json=RESULT.json` and `python -m benchmarks.memory --json MEMORY.json` wrote,
and writes NAME.json (slimmed, readable again), NAME.md and NAME.png. Needs neither the native ops nor the machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figure import draw
from benchmarks.results import Run, load, merge, save
from benchmarks.tables import (
    caption,
    ceiling_table,
    first_run_table,
    form_table,
    memory_tables,
    op_tables,
    scaling_table,
    sentence,
    thread_table,
)
from benchmarks.targets import target_table

FOLDER = Path("docs/benchmarks")
INTRODUCTION = """\
Medians over rotating inputs after warm-up. A ratio is taken within one run; where there are several runs it is the
median of theirs, with the range in brackets. "eager / stic_fast" above 1 says how many times faster stic_fast is;
"stic_fast / copy" and the like say how far it is from what the machine allows. How it is measured:
`benchmarks/README.md`.
"""


def document(name: str, runs: Sequence[Run]) -> str:
    """The page as Markdown; sections only of what was measured."""
    rows = merge(runs)
    machines = list(dict.fromkeys(sentence(run.machine) for run in runs if run.timings)) or [
        sentence(run.machine) for run in runs[:1]
    ]
    sections = {
        "Targets": target_table(rows),
        "Ops": op_tables(rows),
        "First runs": first_run_table(rows),
        "Size": scaling_table(rows),
        "Threads": thread_table(rows),
        "Form of the Gram loss": form_table(rows),
        "Memory": memory_tables([row for run in runs for row in run.memory]),
        "Ceilings of the machine": ceiling_table(rows),
    }
    head = [
        f"# Benchmarks: {name}\n",
        *(f"- {text}" for text in machines),
        f"\n{INTRODUCTION}",
        f"![plot]({name}.png)\n",
    ]
    return "\n".join([*head, *(f"## {title}\n\n{text.rstrip()}\n" for title, text in sections.items() if text)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the page, its picture and its data."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description="Benchmark results as a page.")
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT.json", help="what the suites wrote")
    parser.add_argument("--machine", required=True, metavar="NAME", help="names the files and heads the page")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help=f"default: {FOLDER}")
    options = parser.parse_args(arguments)
    if Path(options.machine).name != options.machine:
        parser.error(
            f"--machine must be a plain name such as xeon-2-cores, got {options.machine!r}; use --out for a folder"
        )
    try:
        runs = [run for path in options.results for run in load(path)]
    except ValueError as error:
        parser.error(str(error))
    options.out.mkdir(parents=True, exist_ok=True)
    save(options.out / f"{options.machine}.json", runs)
    (options.out / f"{options.machine}.md").write_text(document(options.machine, runs), encoding="utf-8")
    draw(merge(runs), caption(runs), options.out / f"{options.machine}.png")


if __name__ == "__main__":
    main()
