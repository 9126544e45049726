# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A captured step is called a few times and then replayed; it leaves streams, warnings and memory in order."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from stic_fast.errors import InputError
from stic_fast.sampling import captured_step
from stic_fast.sampling.captured_step import FEWEST_REPLAYS, WARM_UP, CapturedStep, pays

CPU = torch.device("cpu")


class Counting:
    """x ← 2x + number, and the numbers it was called with."""

    def __init__(self, also: Callable[[Tensor], Any] = lambda x: None) -> None:
        self.x, self.also, self.numbers = torch.zeros(3, dtype=torch.int64), also, []

    def __call__(self, number: int | Tensor) -> None:
        self.numbers.append("tensor" if isinstance(number, Tensor) else number)
        self.also(self.x)
        self.x.mul_(2).add_(number)


def expected(numbers: list[int]) -> list[int]:
    x = 0
    for number in numbers:
        x = 2 * x + number
    return [x] * 3


def test_a_few_calls_then_replays(gpu: Any) -> None:
    step, numbers = Counting(), list(range(5, 15))
    with CapturedStep(step, CPU) as captured:
        for done, number in enumerate(numbers, 1):
            captured(number)
            assert step.x.tolist() == expected(numbers[:done])
    assert step.numbers == [5, 6, "tensor", "tensor"], "two eager calls, one as for the capture, and the capture"
    assert len(gpu.graphs) == 1 and gpu.replays == len(numbers) - WARM_UP


def test_eager_steps_between_and_numbers_left_out(gpu: Any) -> None:
    step, done = Counting(), []
    with CapturedStep(step, CPU) as captured:
        for number in (0, 1, 2, 3, 4, 9, 10, 12, 3):
            if number in (1, 9, 10):
                step(number)
            else:
                captured(number)
            done.append(number)
            assert step.x.tolist() == expected(done)
    assert gpu.replays == 3


def test_streams_wait_for_one_another(gpu: Any) -> None:
    with CapturedStep(Counting(), CPU) as captured:
        assert gpu.now.name == "own"
        captured(0)
    assert gpu.now is gpu.caller
    assert gpu.log == ["own waits for caller", "caller waits for own"]


@pytest.mark.parametrize("calls", [1, 6])
def test_an_exception_leaves_no_stream_and_no_graph_behind(gpu: Any, calls: int) -> None:
    with pytest.raises(KeyboardInterrupt), CapturedStep(Counting(lambda x: x + 1), CPU) as captured:
        for number in range(calls):
            captured(number)
        raise KeyboardInterrupt
    assert gpu.now is gpu.caller and gpu.log[-1] == "caller waits for own"
    assert captured._graph is None


def test_one_stream_and_one_pool_serve_all_captures_of_a_thread(gpu: Any) -> None:
    """The second run takes the memory of the first one's graph, and waits for nothing."""

    def run_in(streams: list[Any]) -> None:
        for _ in range(3):
            step = Counting(lambda x: x + 1)
            with CapturedStep(step, CPU) as captured:
                streams.append(gpu.now)
                for number in range(WARM_UP + 2):
                    captured(number)
            assert step.x.tolist() == expected(list(range(WARM_UP + 2)))

    ours: list[Any] = []
    theirs: list[Any] = []
    run_in(ours)
    thread = Thread(target=run_in, args=(theirs,))
    thread.start()
    thread.join()
    assert len(set(ours)) == 1 and len(set(theirs)) == 1 and ours[0] is not theirs[0]
    pools = [graph.pool() for graph in gpu.graphs]
    assert len(pools) == 6 and len({*pools[:3]}) == len({*pools[3:]}) == 1 and pools[0] is not pools[3]
    assert set(gpu.log) == {"own waits for caller", "caller waits for own"}
    last = captured_step._place_of(CPU)._last
    assert last is gpu.graphs[2], "a pool lives as long as a graph that has it"


def test_the_cache_is_emptied_only_where_a_capture_may_need_it(gpu: Any) -> None:
    gpu.reserved, gpu.allocated = 1000, 400
    for gpu.free in (601, 600, 599):
        run(Counting(), range(WARM_UP + 1))
    waits = ["the CPU waits", "the cache is emptied"]
    assert [entry for entry in gpu.log if entry in waits] == waits
    assert gpu.log.index(waits[0]) > 4, "only in the third run"


def test_a_run_inside_another(gpu: Any) -> None:
    """Both graphs lie in one pool; the outer one is replayed again afterwards."""
    outer, inner = Counting(lambda x: x + 1), Counting(lambda x: x + 1)
    with CapturedStep(outer, CPU) as captured:
        for number in range(WARM_UP + 2):
            captured(number)
        run(inner, range(WARM_UP + 2))
        captured(WARM_UP + 2)
    assert outer.x.tolist() == expected(list(range(WARM_UP + 3)))
    assert inner.x.tolist() == expected(list(range(WARM_UP + 2)))


def test_all_that_a_capture_calls_has_been_called_before(gpu: Any) -> None:
    """A kernel is loaded when it is first called, which a capture cannot; the number's own count is one of them."""
    seen: set[tuple[Any, Any]] = set()

    class Seeing(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.add((func, args[0].dtype if args and isinstance(args[0], Tensor) else None))
            return func(*args, **kwargs or {})

    with CapturedStep(lambda _: None, CPU) as captured:
        with Seeing():
            for number in range(WARM_UP):
                captured(number)
        captured(WARM_UP)
    (graph,) = gpu.graphs
    called = {(func, args[0].dtype) for func, args, _, _ in graph.recording.calls}
    assert called == {(torch.ops.aten.add_.Tensor, torch.int64)} and called <= seen


@pytest.mark.parametrize("wait", [lambda x: x.sum().item(), lambda x: bool((x > 0).any()), lambda x: torch.tensor([1])])
def test_a_step_that_waits_runs_eagerly_with_one_warning(gpu: Any, wait: Callable[[Tensor], Any]) -> None:
    step = Counting(wait)
    with pytest.warns(UserWarning, match=r"a step waits for the GPU .*pass capture=False") as told:
        run(step, range(12))
    assert len(told) == 1
    assert step.x.tolist() == expected(list(range(12))) and gpu.graphs == [] and gpu.mode == 0


def test_other_warnings_are_passed_on(gpu: Any) -> None:
    with pytest.warns(RuntimeWarning, match="the model's own") as told:
        run(Counting(lambda _: warnings.warn("the model's own", RuntimeWarning, stacklevel=1)), range(WARM_UP))
    assert len(told) == WARM_UP


def run(step: Counting, numbers: range) -> None:
    with CapturedStep(step, CPU) as captured:
        for number in numbers:
            captured(number)


def test_a_step_that_cannot_be_captured(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the eager call did not show it: by a call of the driver that PyTorch knows nothing of, say."""
    step = Counting(lambda x: x.sum().item())
    monkeypatch.setattr(gpu, "_watch", torch.no_grad())
    with pytest.raises(InputError, match=r"could not be captured in a CUDA graph .*not permitted when stream") as error:
        run(step, range(12))
    assert "and so on" not in str(error.value) and "pass capture=False, in a new process" in str(error.value)
    assert step.x.tolist() == expected([0, 1, 2]) and gpu.now is gpu.caller


def test_the_first_error_is_told(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a capture that failed fails as well, and says less."""
    calls: list[Tensor] = []

    def fail(x: Tensor) -> None:
        calls.append(x)
        if len(calls) > WARM_UP:
            raise RuntimeError("CUDA error: out of memory\nand so on")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", FailingCapture)
    with pytest.raises(InputError, match=r"\(CUDA error: out of memory\)"):
        run(Counting(fail), range(12))


class FailingCapture:
    def capture_begin(self, **_: object) -> None: ...

    def capture_end(self) -> None:
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")


def test_errors_of_the_step_itself_stay(gpu: Any) -> None:
    def fail(x: Tensor) -> None:
        raise InputError("x is not an image; pass one")

    with pytest.raises(InputError, match="x is not an image"):
        run(Counting(fail), range(3))


def test_what_pays() -> None:
    least = WARM_UP + FEWEST_REPLAYS
    assert pays(torch.device("cuda", 1), least) and not pays(torch.device("cuda"), least - 1)
    assert not pays(CPU, 10**6)
