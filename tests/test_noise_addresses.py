# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Who draws which noise of a run's seed: no two uses share an address."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import torch

import stic_fast
from stic_fast.errors import InputError
from stic_fast.noise_addresses import ALL_IDS, BOOK, PASS_ENDS, POOL, ChainIds, check_apart
from stic_fast.ops.noise import Stream

LANGEVIN = frozenset({Stream.LANGEVIN})


def test_the_uses_of_a_stream_have_ids_apart_and_within_32_bits() -> None:
    for stream in Stream:
        ranges = sorted((entry.first, entry.first + entry.size) for entry in BOOK if stream in entry.streams)
        assert ranges, f"nobody draws from {stream.name}"
        for (_, end), (begin, _) in itertools.pairwise(ranges):
            assert end <= begin
        assert ranges[-1][1] <= ALL_IDS


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ChainIds("new chains", 2**30 - 1, 1, LANGEVIN), "the chains of a pool and new chains share noise"),
        (ChainIds("new chains", 2**32 - 4, 5, frozenset()), "leave 0 .. 2"),
        (ChainIds("new chains", 7, 0, frozenset()), "leave 0 .. 2"),
    ],
)
def test_an_entry_that_would_share_an_address_is_refused(entry: ChainIds, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_apart((*BOOK, entry))


def test_ids_beyond_a_range_are_refused() -> None:
    assert PASS_ENDS.ids(2, start=PASS_ENDS.size - 2).tolist() == [2**31 + 2**19 - 2, 2**31 + 2**19 - 1]
    with pytest.raises(InputError, match="there are 524,288 ids for the chains drawn at the end of a pass"):
        PASS_ENDS.ids(2, start=PASS_ENDS.size - 1)
    with pytest.raises(InputError, match="got number 1,073,741,824; ask for fewer"):
        POOL.of(torch.tensor([0, 2**30]))
    with pytest.raises(InputError):
        POOL.of(torch.tensor([-1]))
    assert POOL.of(torch.tensor([], dtype=torch.int64)).numel() == 0


def test_no_module_has_addresses_of_its_own() -> None:
    """Ranges of ids written down elsewhere are what the book is there to end."""
    package = Path(stic_fast.__file__).parent
    places = ["sampling", "training", "studies"]
    found = [
        f"{file.relative_to(package)}: {line.strip()}"
        for place in places
        for file in sorted((package / place).glob("*.py"))
        for line in file.read_text().splitlines()
        if re.search(r"(ids|arange\(.*\)).*[+*] *2\*\*\d\d", line)
    ]
    assert not found
