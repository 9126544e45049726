# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A step that is repeated on the same tensors, captured in one CUDA graph and replayed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from threading import local
from types import TracebackType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stic_fast.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

Step = Callable[[int | Tensor], None]
"""Changes its tensors in place, as a function of what they hold and of the step's number alone."""

WARM_UP = 3
"""Steps that run eagerly before one is captured: they load kernels, choose algorithms and fill caches, which a capture
cannot. PyTorch's own `make_graphed_callables` takes as many."""
FEWEST_REPLAYS = 8
"""Replays that have to follow: a capture takes as long as a few eager steps."""

_WAITED = "called a synchronizing CUDA operation"
_PROTOTYPE = "Synchronization debug mode is a prototype"
"""What PyTorch warns of under `torch.cuda.set_sync_debug_mode("warn")`."""


def pays(device: torch.device, steps: int) -> bool:
    """Whether so many steps on a device are better captured: never on a CPU, nor for a handful.

    >>> pays(torch.device("cpu"), 1000), pays(torch.device("cuda"), 1000), pays(torch.device("cuda"), 5)
    (False, True, False)
    """
    return device.type == "cuda" and steps >= WARM_UP + FEWEST_REPLAYS


class CapturedStep:
    """`step(number)` for one number after the other: eagerly at first, then as replays of one CUDA graph.

    To launch hundreds of small kernels takes the CPU longer than the GPU needs to run them. A graph launches all of a
    step at once.

    All calls happen within this object's context, in which the current stream is one that is kept for captures; it
    waits for the caller's stream, and the caller's stream for it. Between calls, the step may be called eagerly as
    well.

    The memory of the graph is kept for the next capture on the device by the same thread, so that a run after the first
    one neither takes memory from the device nor waits for it; when the thread ends, it is given back.

    A step that waits for the GPU, by `.item()` or a condition on a tensor, cannot be captured. The last eager call
    watches for that: there is then one warning, and all goes on eagerly, as `torch.compile` would. A capture that
    fails all the same raises: PyTorch's allocator and random numbers are in no defined state afterwards, so going on
    would not be safe.

    Args:
        step: is given the number as an int, and from the last eager call on as an int64 tensor (1,) on the device.
            All memory that it takes in a capture it must have let go of at the end.
        device: a CUDA device.

    Raises:
        InputError: the step could not be captured.
    """

    def __init__(self, step: Step, device: torch.device) -> None:
        self._step, self._device, self._place = step, device, _place_of(device)
        self._stream = self._place.stream
        self._graph: torch.cuda.CUDAGraph | None = None
        self._eager_calls, self._waits = 0, False
        self._context = ExitStack()

    def __enter__(self) -> CapturedStep:
        caller = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(caller)
        self._context.callback(caller.wait_stream, self._stream)
        self._context.enter_context(torch.cuda.stream(self._stream))
        self._number = torch.zeros(1, dtype=torch.int64, device=self._device)
        self._number_there = 0
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._graph = None
        self._context.close()

    def __call__(self, number: int) -> None:
        """The step of that number."""
        if self._graph is None and (self._waits or self._eager_calls < WARM_UP):
            self._eager_calls += 1
            if self._eager_calls == WARM_UP:
                self._waits = self._watched(number)
            else:
                self._step(number)
            return
        if self._graph is None:
            self._graph = self._captured()
        if self._number_there != number:  # eager steps have come in between
            self._number.fill_(number)
        self._graph.replay()
        self._number_there = number + 1

    def _watched(self, number: int) -> bool:
        """Takes the step eagerly, as it will be captured; whether it waited for the GPU."""
        self._number.fill_(number)
        self._number_there = number
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with _telling_of_waits():
                self._step(self._number)
                self._number.add_(1)
        self._number_there += 1
        waits = False
        for warning in caught:
            if _WAITED in str(warning.message):
                waits = True
            elif _PROTOTYPE not in str(warning.message):
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        if waits:
            warnings.warn(
                "a step waits for the GPU (the model, the objective or the Gram term calls .item(), bool() of a tensor "
                "or the like), so it runs eagerly instead of as a CUDA graph; take that out, or pass capture=False",
                stacklevel=6,
            )
        return waits

    def _captured(self) -> torch.cuda.CUDAGraph:
        """The graph of one step, which advances the number as well. Nothing is computed yet."""
        try:
            with self._place.capture() as graph:
                self._step(self._number)
                self._number.add_(1)
        except RuntimeError as error:
            raise InputError(
                f"the step could not be captured in a CUDA graph ({_first_words(error)}); pass capture=False, in a new "
                "process: a failed capture leaves PyTorch's CUDA memory and random numbers in no defined state"
            ) from error
        return graph


def _first_words(error: BaseException) -> str:
    """Of the error that others followed from: to end a capture that has failed fails as well."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error) or type(error).__name__).splitlines()[0]


class _Place:
    """Where a thread captures on a device, one graph after the other.

    There is one stream for all: cuBLAS keeps some memory for every stream it has seen. And one pool of memory, which
    lives as long as a graph has it; so the last one is kept until the next has been captured.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._device = device
        self._last: torch.cuda.CUDAGraph | None = None

    @contextmanager
    def capture(self) -> Iterator[torch.cuda.CUDAGraph]:
        """A graph of what is called within, in the memory of the one before it.

        That one may be replayed still, as all replays are on one stream and leave nothing in that memory to be read.
        `torch.cuda.graph` would wait for the GPU and empty the allocator's cache each time.
        """
        _make_room(self._device)
        graph, pool = torch.cuda.CUDAGraph(), self._last.pool() if self._last else torch.cuda.graph_pool_handle()
        # thread_local: what other threads of the program do meanwhile neither fails nor spoils the capture.
        graph.capture_begin(pool=pool, capture_error_mode="thread_local")
        try:
            yield graph
        finally:
            graph.capture_end()
        self._last = graph


class _Places(local):
    """Those of a thread, by device."""

    def __init__(self) -> None:
        self.by_device: dict[torch.device, _Place] = {}


_PLACES = _Places()


def _place_of(device: torch.device) -> _Place:
    return _PLACES.by_device.get(device) or _PLACES.by_device.setdefault(device, _Place(device))


def _make_room(device: torch.device) -> None:
    """Gives the allocator's cache back to the device where a capture may need it: within one, that cannot be done.

    Steps have just run eagerly, and what they took lies in the cache; so no capture needs more than the cache holds.
    """
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if torch.cuda.mem_get_info(device)[0] < cached:
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()


@contextmanager
def _telling_of_waits() -> Iterator[None]:
    """Within it PyTorch warns where an operation makes the CPU wait for the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
