# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The address book of a run's noise: which chain ids of which stream belong to whom.

`normal(seed, chain, step, element, stream)` gives the same number to whoever asks for the same address, so every use of
a run's seed has ids of its own within each stream that it draws from. Ids are words of 32 bits: a range that reached
beyond them would meet another one from the other side. Evaluation keeps apart by a seed of its own for each purpose
(`stic_fast.evaluation.noise_seed`); a caller of the ops or the samplers chooses ids and seeds alone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.ops.noise import Stream

ALL_IDS = 2**32


@dataclass(frozen=True)
class ChainIds:
    """A range of ids, and the streams in which it belongs to one use."""

    use: str
    first: int
    size: int
    streams: frozenset[Stream]

    def ids(self, count: int, *, start: int = 0, device: torch.device | str = "cpu") -> Tensor:
        """The ids of numbers start .. start + count − 1, int64 (count,).

        Raises:
            InputError: there are not so many.

        >>> POOL.ids(2, start=5)
        tensor([5, 6])
        """
        self._check(start + count)
        return torch.arange(start, start + count, device=device) + self.first

    def of(self, numbers: Tensor) -> Tensor:
        """The ids of numbers from 0 on, int64 of any shape; waits for their device.

        Raises:
            InputError: one is negative or beyond the range.

        >>> PATHS.of(torch.tensor([0, 1])) - PATHS.first
        tensor([0, 1])
        """
        if numbers.numel():
            least, most = (int(bound) for bound in torch.aminmax(numbers))
            self._check(least if least < 0 else most + 1)
        return numbers + self.first

    def _check(self, count: int) -> None:
        if not 0 <= count <= self.size:
            raise InputError(f"there are {self.size:,} ids for {self.use}, got number {count - 1:,}; ask for fewer")


_CHAINS = frozenset({Stream.LANGEVIN, Stream.CHAIN_INIT, Stream.MIXUP, Stream.LATENT, Stream.METROPOLIS, Stream.PATCH})
"""What a chain draws from: its canvas, the real images it is held against, its steps."""

POOL = ChainIds("the chains of a pool", 0, 2**30, _CHAINS | {Stream.REINIT_COIN})
BATCH_ROWS = ChainIds(
    "the rows of training batches",
    2**30,
    2**30,
    frozenset({Stream.INSTANCE_NOISE, Stream.AUGMENTATION, Stream.MIXUP, Stream.NOISE_LEVEL, Stream.PROBE}),
)
PASS_ENDS = ChainIds("the chains drawn at the end of a pass", 2**31, 2**19, _CHAINS)
COUNTERFACTUALS = ChainIds("the chains from an image towards another class", 2**31 + 2**19, 2**19, _CHAINS)
SAMPLES = ChainIds("the chains of samples", 2**31 + 2**20, 2**29 - 2**20, _CHAINS)
NEIGHBOURS = ChainIds("the chains drawn around a sample", 2**31 + 2**29, 2**29, _CHAINS)
PATHS = ChainIds("the chains of interpolations", 2**31 + 2**30, 2**30, _CHAINS)

_ORDER = frozenset({Stream.BATCH_ORDER})
REAL_ORDER = ChainIds("the order of real images", 0, 2**28, _ORDER)
MIXUP_ORDER = ChainIds("the order of images that are mixed", 2**28, 2**28, _ORDER)
POOL_ORDER = ChainIds("the order in which chains are taken from a pool", 2 * 2**28, 2**28, _ORDER)
DENOISED_ORDER = ChainIds("the order of images that are denoised", 3 * 2**28, 2**28, _ORDER)
FAKE_PICKS = ChainIds("the fakes of a batch", 2**31, 2**31, _ORDER)

FILTERS = ChainIds("the filters of fixed random networks", 0, 2**32, frozenset({Stream.FILTERS}))

BOOK = (
    *(POOL, BATCH_ROWS, PASS_ENDS, COUNTERFACTUALS, SAMPLES, NEIGHBOURS, PATHS),
    *(REAL_ORDER, MIXUP_ORDER, POOL_ORDER, DENOISED_ORDER, FAKE_PICKS, FILTERS),
)


def check_apart(book: tuple[ChainIds, ...]) -> None:
    """Refuses a book in which two uses share an address, or one leaves the 32 bits of an id.

    >>> check_apart(BOOK)
    """
    for entry in book:
        if entry.first < 0 or entry.size < 1 or entry.first + entry.size > ALL_IDS:
            raise ValueError(f"{entry.use}: ids {entry.first} and {entry.size} more leave 0 .. 2**32 - 1")
    for one, other in itertools.combinations(book, 2):
        meet = one.first < other.first + other.size and other.first < one.first + one.size
        if meet and one.streams & other.streams:
            raise ValueError(f"{one.use} and {other.use} share noise: their ids overlap within a stream")


check_apart(BOOK)
