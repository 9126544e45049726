# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Which passes a study looks at."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from stic_fast.errors import InputError
from stic_fast.studies.pass_ends import logged_accuracies, pass_ends, spread_evenly
from stic_fast.training import RunFolder


@pytest.mark.parametrize("count", [2, 3, 7, 10, 11, 23, 100])
@pytest.mark.parametrize("most", [2, 5, 10])
def test_passes_are_spread_evenly_with_both_ends(count: int, most: int) -> None:
    chosen = spread_evenly(list(range(count)), most)
    assert len(chosen) == min(count, most) and (chosen[0], chosen[-1]) == (0, count - 1)
    gaps = [after - before for before, after in itertools.pairwise(chosen)]
    assert min(gaps) >= 1 and max(gaps) - min(gaps) <= 1


def test_ends_of_a_run(tiny_run: Path) -> None:
    folder = RunFolder(tiny_run)
    assert pass_ends(folder, 10) == [0, 1, 2]
    assert pass_ends(folder, 10, first=1) == [1, 2]
    assert pass_ends(folder, 2) == [0, 2]
    assert list(logged_accuracies(folder)) == [1, 2]
    with pytest.raises(InputError, match="--passes"):
        pass_ends(folder, 1)


def test_a_run_that_has_ended_no_pass(tiny_run: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(tiny_run, tmp_path / "own"))
    for name in ("pass_001", "pass_002"):
        shutil.rmtree(own / "checkpoints" / name)
    assert pass_ends(RunFolder(own), 10) == [0]
    with pytest.raises(InputError, match="checkpoint"):
        pass_ends(RunFolder(own), 10, first=1)
