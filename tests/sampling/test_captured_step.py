# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A captured step is called a few times and then replayed; it leaves streams, warnings and memory in order."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
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
    for graph in gpu.graphs:
        ((_, _, _, intermediate), *_) = graph.recording.calls
        assert (intermediate == 77).all(), "the graph's memory must be given back"


def test_one_stream_serves_all_captures(gpu: Any) -> None:
    streams = []
    for _ in range(3):
        with CapturedStep(Counting(), CPU):
            streams.append(gpu.now)
    assert len(set(streams)) == 1


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

    monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: FailingCapture())
    with pytest.raises(InputError, match=r"\(CUDA error: out of memory\)"):
        run(Counting(fail), range(12))


class FailingCapture:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
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
