# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Chains on a GPU: captured ones equal eager ones, keep to streams and devices, and give their memory back."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.models import WideResNet
from stic_fast.sampling import GRMALA, MALA, GramRegulariser, LogPosterior, Recipe, draw_hard, draw_images
from stic_fast.sampling.captured_step import FEWEST_REPLAYS, WARM_UP
from stic_fast.sampling.grmala import ChainResult

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

STEPS = WARM_UP + FEWEST_REPLAYS + 9


class Chain:
    """Six chains of a WRN-10-1 on 3×16×16 images, two references each."""

    def __init__(self, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        torch.manual_seed(0)
        self.net = WideResNet(depth=10, width=1, num_classes=3).to(device, dtype)
        generator = torch.Generator().manual_seed(1)
        self.start, references = (
            (torch.rand(shape, generator=generator) * 2 - 1).to(device, dtype)
            for shape in ((6, 3, 16, 16), (6, 2, 3, 16, 16))
        )
        self.references, self.target = references, torch.tensor([0, 1, 2, 0, 1, 2], device=device)
        self.ids = torch.tensor([5, 0, 77, 2, 1, 9], device=device)

    def run(self, rows: slice = slice(None), *, steps: int = STEPS, sampler: Any = None, **options: Any) -> ChainResult:
        gram = GramRegulariser.from_images(self.net, self.references[rows])
        arguments = {"seed": 11, "gram": gram, "chain_ids": self.ids[rows], "first_step": 4, **options}
        return GRMALA(steps=steps, **(sampler or {})).run(self.net, self.start[rows], self.target[rows], **arguments)

    def distance(self, ours: Tensor, theirs: Tensor) -> float:
        """As a share of the way that `theirs` went."""
        return float((ours - theirs).norm() / (theirs - self.start).norm())


@pytest.fixture
def chain(cuda: torch.device) -> Chain:
    return Chain(cuda)


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """One entry per replay of a graph."""
    made: list[int] = []
    replay = torch.cuda.CUDAGraph.replay

    def counted(graph: torch.cuda.CUDAGraph) -> None:
        made.append(len(made))
        replay(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", counted)
    yield made


SAMPLERS: list[dict[str, Any]] = [
    {},
    {"precision": "fp32", "layout": "plain"},
    {"precision": "fp32", "layout": "channels_last", "schedule": "linear"},
    {"schedule": "cosine", "max_gram_ratio": 0.5},
    {"max_gram_ratio": 0.5, "clamp": None},
    {"precision": "bf16", "layout": "plain"},
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
@pytest.mark.parametrize("with_gram", [True, False])
def test_captured_equals_eager(chain: Chain, replays: list[int], sampler: dict[str, Any], with_gram: bool) -> None:
    options: dict[str, Any] = {} if with_gram else {"gram": None}
    eager = chain.run(sampler={**sampler, "capture": False}, **options).x
    assert replays == []
    captured = chain.run(sampler=sampler, **options).x
    assert len(replays) == STEPS - WARM_UP
    assert torch.equal(captured, eager) and not torch.equal(captured, chain.start)


@pytest.mark.parametrize("trace_every", [2, 100])
def test_traced_steps_run_between_replays(chain: Chain, replays: list[int], trace_every: int) -> None:
    eager = chain.run(steps=2 * STEPS, sampler={"capture": False}, trace_every=trace_every)
    captured = chain.run(steps=2 * STEPS, trace_every=trace_every)
    assert len(replays) == 2 * STEPS - WARM_UP - len(captured.trace)
    assert torch.equal(captured.x, eager.x) and captured.trace == eager.trace


def test_defaults_are_bf16_and_channels_last(chain: Chain) -> None:
    seen: list[Tensor] = []
    chain.net.blocks[0].first.register_forward_hook(lambda *arguments: seen.append(arguments[2]))
    default = chain.run().x
    assert seen[-1].dtype == torch.bfloat16 and seen[-1].is_contiguous(memory_format=torch.channels_last)
    plain = chain.run(sampler={"precision": "fp32", "layout": "plain"}).x
    assert seen[-1].dtype == torch.float32 and default.dtype == torch.float32 and default.is_contiguous()
    assert 0 < chain.distance(default, plain) < 0.1


def test_near_the_chain_of_a_cpu(chain: Chain) -> None:
    there, here = Chain(torch.device("cuda"), torch.float64), Chain(torch.device("cpu"), torch.float64)
    ours, expected = there.run(trace_every=5), here.run(trace_every=5)
    torch.testing.assert_close(ours.x.cpu(), expected.x, rtol=0, atol=1e-9)
    assert ours.trace[-1].gram_loss == pytest.approx(expected.trace[-1].gram_loss, rel=1e-9)


def test_chains_do_not_know_their_batch(cuda: torch.device, replays: list[int]) -> None:
    chain = Chain(cuda, torch.float64)
    whole = chain.run().x
    parts = [chain.run(slice(0, 1)).x, chain.run(slice(1, 6)).x]
    assert len(replays) == 3 * (STEPS - WARM_UP)
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-9)


def test_the_same_again_and_going_on(chain: Chain) -> None:
    whole = chain.run(steps=2 * STEPS).x
    assert torch.equal(chain.run(steps=2 * STEPS).x, whole)
    chain.start = chain.run(steps=STEPS).x
    assert torch.equal(chain.run(steps=STEPS, first_step=4 + STEPS).x, whole)


def test_on_a_stream_of_the_callers(chain: Chain) -> None:
    """The start is written late on the caller's stream, and the result read there at once."""
    expected, start, stream = chain.run().x, chain.start.clone(), torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        chain.start = torch.zeros_like(start).copy_(start)
        doubled = chain.run().x * 2
        assert torch.cuda.current_stream() == stream
    stream.synchronize()
    assert torch.equal(doubled, expected * 2)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_on_another_device_than_the_current(chain: Chain, replays: list[int]) -> None:
    expected = chain.run().x
    with torch.cuda.device(0):
        ours = Chain(torch.device("cuda:1")).run().x
        assert torch.cuda.current_device() == 0
    assert ours.device.index == 1 and len(replays) == 2 * (STEPS - WARM_UP)
    assert torch.equal(ours.cpu(), expected.cpu())


def test_runs_after_the_first_take_no_more_memory(chain: Chain) -> None:
    chain.run()  # libraries keep what they first take, and the place of captures the memory of its last graph
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    for _ in range(3):
        chain.run()
    gc.collect()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_allocated() == before[0] and torch.cuda.memory_reserved() <= before[1]


def test_a_capture_neither_waits_nor_empties_the_cache(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda *_, name=name: calls.append(name))
    chain.run()
    assert calls == []


def test_a_captured_run_inside_another(chain: Chain, replays: list[int]) -> None:
    """Their graphs share one pool of memory, and the outer one is replayed afterwards."""
    expected = chain.run(sampler={"capture": False}).x
    within: list[Tensor] = []

    def once(_: object) -> None:
        if len(replays) == FEWEST_REPLAYS and not within:
            within.append(chain.run().x)

    assert torch.equal(chain.run(on_step=once).x, expected)
    assert torch.equal(within[0], expected) and len(replays) == 2 * (STEPS - WARM_UP)


def test_torchs_random_numbers_go_on(chain: Chain) -> None:
    torch.cuda.manual_seed(3)
    expected = torch.randn(5, device="cuda")
    torch.cuda.manual_seed(3)
    chain.run()
    assert torch.equal(torch.randn(5, device="cuda"), expected)


class Waiting(LogPosterior):
    """An objective that looks at a number."""

    def __call__(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
        scores = super().__call__(logits, target)
        return scores * 2 if scores.max() > 1 else scores


def test_an_objective_that_waits_is_run_eagerly(chain: Chain, replays: list[int]) -> None:
    eager = chain.run(sampler={"capture": False}, objective=Waiting()).x
    with pytest.warns(UserWarning, match="a step waits for the GPU") as told:
        captured = chain.run(objective=Waiting()).x
    assert len(told) == 1 and replays == [] and torch.equal(captured, eager)
    assert torch.equal(chain.run().x, chain.run(sampler={"capture": False}).x), "later runs must be captured as ever"


def test_an_exception_between_replays(chain: Chain, replays: list[int]) -> None:
    expected, stream = chain.run().x, torch.cuda.current_stream()

    def stop(_: object) -> None:
        if len(replays) > STEPS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chain.run(on_step=stop)
    assert torch.cuda.current_stream() == stream
    assert torch.equal(chain.run().x, expected)


def test_empty_and_short_runs(chain: Chain, replays: list[int]) -> None:
    assert chain.run(slice(0, 0)).x.shape == (0, 3, 16, 16)
    assert torch.equal(chain.run(steps=0).x, chain.start)
    chain.run(steps=WARM_UP + FEWEST_REPLAYS - 1)
    assert replays == []


def test_images_from_a_seed(cuda: torch.device) -> None:
    torch.manual_seed(0)
    model = WideResNet(depth=10, width=1, num_classes=2, in_channels=1).to(cuda)
    images = torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8, device=cuda)
    labels, ids = torch.tensor([0, 1] * 4, device=cuda), torch.arange(6, device=cuda)
    condition = draw_hard(labels, ids % 2, ids, references=2, seed=0)

    def draw(batch_size: int, seed: int = 3) -> Tensor:
        sampler = GRMALA(steps=STEPS, precision="fp32")
        return draw_images(model, Recipe(sampler), condition, images, labels, seed=seed, batch_size=batch_size)

    whole = draw(6)
    assert whole.device == cuda and torch.equal(draw(6), whole) and not torch.equal(draw(6, seed=4), whole)
    difference = (draw(4).int() - whole.int()).abs()  # convolutions round by batch
    assert int(difference.max()) <= 1 and float((difference > 0).float().mean()) < 0.01


def test_mala_is_that_of_the_cpu(cuda: torch.device) -> None:
    def run(device: torch.device | str) -> Any:
        start = torch.zeros(500, 3, dtype=torch.float64, device=device)
        return MALA(steps=50, eps1=0.5).run(lambda x: -x.square().sum(1) / 2, start, seed=0)

    ours, expected = run(cuda), run("cpu")
    assert torch.equal(ours.acceptance.cpu(), expected.acceptance)
    torch.testing.assert_close(ours.x.cpu(), expected.x, rtol=0, atol=1e-9)
