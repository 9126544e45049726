# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Every CUDA kernel runs here on the host, under the emulation, and is compared with its reference."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# The emulation's own programs, and those of the ops. emulation_faults is no test for a device, hence its other name.
SOURCES = [*HERE.glob("*_cases.cpp"), HERE / "emulation_faults.cpp"]
PROGRAMS = [path.stem for path in sorted(SOURCES, key=lambda path: -path.stat().st_size)]  # the longest first
OPS = [name for name in PROGRAMS if not name.startswith("emulation")]

WAYS = {
    name: ("truncated", "nearest") if name in ("gram_loss_cases", "emulation_fragment_cases") else ("truncated",)
    for name in PROGRAMS
}
"""How the emulated tensor cores add (emulation/fragments.h): as hardware does, and in programs of theirs to nearest."""

pytestmark = pytest.mark.native

Finished = subprocess.CompletedProcess[str]
Results = dict[str, "Future[dict[str, Finished]]"]


@pytest.fixture(scope="session")
def results(
    request: pytest.FixtureRequest,
    compile_program: Callable[..., Finished],
    run_program: Callable[[Sequence[str | Path]], Finished],
    sanitizers: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Results]:
    """What each program that this session asks for has printed; they are built and run two at a time."""
    folder = tmp_path_factory.mktemp("programs")

    def build_and_run(name: str) -> dict[str, Finished]:
        options = sanitizers if name in OPS else [*sanitizers, "-O0"]  # short programs: the compiler takes longer
        built = compile_program(HERE / f"{name}.cpp", folder / name, options)
        return {
            way: run_program([folder / name, "--sums", way]) if built.returncode == 0 else built for way in WAYS[name]
        }

    asked = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    wanted = OPS if any(item.name == test_number_of_combinations.__name__ for item in request.session.items) else []
    pool = ThreadPoolExecutor(max_workers=2)
    yield {name: pool.submit(build_and_run, name) for name in PROGRAMS if name in asked or name in wanted}
    pool.shutdown(cancel_futures=True)


def combinations(output: str) -> int:
    """The number of combinations in a program's last line."""
    found = re.search(r"^(\d+) combinations, 0 failed$", output, re.MULTILINE)
    return int(found[1]) if found else 0


@pytest.mark.parametrize(("name", "sums"), [(name, way) for name in PROGRAMS for way in WAYS[name]])
def test_program(name: str, sums: str, results: Results) -> None:
    finished = results[name].result()[sums]
    assert finished.returncode == 0, finished.stdout
    assert combinations(finished.stdout) > 0


def test_sanitizers_were_on(sanitizers: list[str]) -> None:
    for name in ("address", "undefined"):
        if not any(name in option for option in sanitizers):
            pytest.skip(f"the kernels ran without the sanitizer '{name}', which this compiler or machine does not have")


def test_number_of_combinations(results: Results) -> None:
    counts = {name: combinations(results[name].result()["truncated"].stdout) for name in OPS}
    assert sum(counts.values()) > 200, counts
