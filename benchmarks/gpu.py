# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How a row is timed on a GPU: many calls in a batch, in one CUDA graph where they can be captured.

A kernel of some microseconds takes less time than its launch, so a clock around single calls would show the CPU. In a
graph the launches of all calls are prepared beforehand: what remains is the GPU's own time, as in a captured chain.
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

CALLS_BEFORE = 3
"""Of each row, before anything is timed or captured: libraries load, compilers compile, memory is taken."""
BATCH_SECONDS, MOST_CALLS = 5e-3, 256
ROW_SECONDS, FEWEST_ROUNDS, MOST_ROUNDS = 0.4, 5, 100
CACHES = 4
"""Inputs a row rotates through hold so many times what the GPU's L2 cache does."""


def pool_bytes() -> int:
    return CACHES * int(torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size)


def batch_of(function: Callable[..., Any], inputs: Sequence[tuple[Any, ...]], *, captured: bool) -> tuple[Any, int]:
    """What to call, and how many calls of `function` it makes, each with the next inputs and with outputs of its own.

    Args:
        captured: in a CUDA graph. Not for functions that wait for the GPU or read the CPU's memory.
    """
    turns = itertools.cycle(inputs)
    stream = torch.cuda.Stream()  # captures need one of their own; memory and handles are got ready there too
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(CALLS_BEFORE):
            result = function(*next(turns))
        outputs: deque[Any] = deque(maxlen=math.ceil(pool_bytes() / max(bytes_in(result), 1)))

        def calls_in_a_row(count: int) -> None:
            for _ in range(count):
                outputs.append(function(*next(turns)))

        begin = finished()
        calls_in_a_row(CALLS_BEFORE)
        calls = calls_in((finished() - begin) / CALLS_BEFORE, len(inputs))
        outputs.clear()
    if not captured:
        return functools.partial(calls_in_a_row, calls), calls
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        calls_in_a_row(calls)
        outputs.clear()
    return graph.replay, calls


def bytes_in(result: Any) -> int:
    """Of the tensors that a function returned."""
    parts = result if isinstance(result, tuple | list) else [result]
    return sum(part.nbytes for part in parts if isinstance(part, torch.Tensor))


def calls_in(seconds: float, inputs: int) -> int:
    """Of a batch: as many as take `BATCH_SECONDS`, and every input once, but not too many.

    >>> calls_in(1e-6, 2), calls_in(1e-3, 2), calls_in(1e-3, 40), calls_in(1.0, 2)
    (256, 5, 40, 2)
    """
    return min(max(math.ceil(BATCH_SECONDS / seconds), inputs), MOST_CALLS)


def rounds_of(seconds: float) -> int:
    """How often to run what takes so long.

    >>> rounds_of(5e-3), rounds_of(1e-6), rounds_of(2.0)
    (80, 100, 5)
    """
    return min(max(math.ceil(ROW_SECONDS / seconds), FEWEST_ROUNDS), MOST_ROUNDS)


def finished() -> float:
    """The time when the GPU has done all it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()
