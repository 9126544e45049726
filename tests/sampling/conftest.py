# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the sampler tests share: a small network, images of three classes, chains to start from, and a stand-in GPU."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stic_fast.models import WideResNet
from stic_fast.ops import checks
from stic_fast.sampling import captured_step, execution


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


@pytest.fixture
def net() -> WideResNet:
    """WRN-10-1 in float64, so that rounding hides nothing: three classes and the fake one, 8x8 grey images."""
    torch.manual_seed(0)
    return WideResNet(depth=10, width=1, num_classes=3, in_channels=1).double()


@pytest.fixture
def images() -> Tensor:
    """Twelve bytes images of noise, (12, 1, 8, 8)."""
    return torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def labels() -> Tensor:
    """Their classes: three of class 0, four of 1, five of 2, in no order."""
    return torch.tensor([1, 2, 0, 2, 1, 0, 2, 1, 1, 2, 0, 2])


@pytest.fixture
def start() -> Tensor:
    """Six chains, float64."""
    return torch.rand((6, 1, 8, 8), dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.fixture
def target() -> Tensor:
    """What the six chains are asked to become."""
    return torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> StandInGpu:
    """`torch.cuda` as far as captures use it, on the CPU; GRMALA takes the CPU's chains for a GPU's."""
    stand_in = StandInGpu()
    for name in (
        *("Stream", "stream", "current_stream", "CUDAGraph", "graph_pool_handle", "get_sync_debug_mode"),
        *("set_sync_debug_mode", "memory_reserved", "memory_allocated", "mem_get_info", "synchronize", "empty_cache"),
    ):
        monkeypatch.setattr(torch.cuda, name, getattr(stand_in, name))
    monkeypatch.setattr(execution, "pays", lambda _, steps: captured_step.pays(torch.device("cuda"), steps))
    monkeypatch.setattr(checks, "_stays_tensor", lambda size: isinstance(size, Tensor))  # as on a GPU
    monkeypatch.setattr(captured_step, "_PLACES", captured_step._Places())
    return stand_in


class StandInGpu:
    """Streams that log who waits for whom, and graphs that replay recorded operations."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.graphs: list[RecordedGraph] = []
        self.now = self.caller = StandInStream("caller", self.log)
        self.mode, self._watch = 0, WaitsAreTold()
        self.free, self.reserved, self.allocated = 2**40, 2**30, 2**20

    def Stream(self, device: torch.device) -> StandInStream:
        return StandInStream("own", self.log)

    def current_stream(self, device: torch.device) -> StandInStream:
        return self.now

    @contextmanager
    def stream(self, stream: StandInStream) -> Iterator[None]:
        before, self.now = self.now, stream
        try:
            yield
        finally:
            self.now = before

    def CUDAGraph(self) -> RecordedGraph:
        self.graphs.append(RecordedGraph(self))
        return self.graphs[-1]

    def graph_pool_handle(self) -> object:
        return object()

    def mem_get_info(self, device: torch.device) -> tuple[int, int]:
        return self.free, 2**40

    def memory_reserved(self, device: torch.device) -> int:
        return self.reserved

    def memory_allocated(self, device: torch.device) -> int:
        return self.allocated

    def synchronize(self, device: torch.device) -> None:
        self.log.append("the CPU waits")

    def empty_cache(self) -> None:
        self.log.append("the cache is emptied")

    def get_sync_debug_mode(self) -> int:
        return self.mode

    def set_sync_debug_mode(self, mode: str | int) -> None:
        if mode == "warn":
            warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1)
            self._watch.__enter__()
        elif self.mode == 1:
            self._watch.__exit__(None, None, None)
        self.mode = 1 if mode == "warn" else 0

    @property
    def replays(self) -> int:
        return sum(graph.replays for graph in self.graphs)


class StandInStream:
    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def wait_stream(self, other: StandInStream) -> None:
        self.log.append(f"{self.name} waits for {other.name}")


class WaitsAreTold(TorchDispatchMode):
    """Warns as PyTorch does where the CPU has to wait for a number."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in MAKE_THE_CPU_WAIT:
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        return func(*args, **kwargs or {})


class Recording(TorchDispatchMode):
    """The operations of a capture. They have to run to be recorded; `undo` makes it as if they had not."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self._before: list[tuple[Tensor, Tensor]] = []
        self._pool: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in MAKE_THE_CPU_WAIT:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nand so on")
        given = tensors_in((args, kwargs))
        if func._schema.is_mutable:
            self._before += [(tensor, tensor.detach().clone()) for tensor in given]
        out = func(*args, **kwargs or {})
        there = {tensor.untyped_storage().data_ptr() for tensor in given}
        self._pool += [tensor for tensor in tensors_in(out) if tensor.untyped_storage().data_ptr() not in there]
        self.calls.append((func, args, kwargs or {}, out))
        return out

    def undo(self) -> None:
        """What was changed is as before; what was computed is not there."""
        with torch.no_grad():
            for tensor, value in reversed(self._before):
                tensor.detach().copy_(value)
        self.poison()

    def poison(self) -> None:
        """The memory of the graph holds nothing that may be read."""
        for tensor in self._pool:
            tensor.detach().fill_(float("nan") if tensor.is_floating_point() else 77)


class RecordedGraph:
    def __init__(self, gpu: StandInGpu) -> None:
        self.recording, self.replays, self._gpu, self._pool = Recording(), 0, gpu, object()

    def capture_begin(self, *, pool: object, capture_error_mode: str) -> None:
        assert self._gpu.now is not self._gpu.caller, "a capture needs a stream of its own"
        for graph in self._gpu.graphs:
            if graph._pool is pool:  # whose memory this one takes
                graph.recording.poison()
        self._pool = pool
        self.recording.__enter__()

    def capture_end(self) -> None:
        self.recording.__exit__(None, None, None)
        self.recording.undo()

    def pool(self) -> object:
        return self._pool

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, out in self.recording.calls:
            again = func(*args, **kwargs)
            for old, new in zip(tensors_in(out), tensors_in(again), strict=True):
                if old.data_ptr() != new.data_ptr():  # neither a view nor written in place
                    old.detach().copy_(new)


MAKE_THE_CPU_WAIT = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.lift_fresh.default)
"""`.item()`; `torch.tensor(...)`, which copies numbers to the device."""


def tensors_in(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
