# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A captured chain is the eager chain: replays of recorded operations, on a stand-in for the GPU."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import Classifier, WideResNet, wrap
from stic_fast.sampling import GRMALA, ChainRecord, ChainResult, GramRegulariser, LogPosterior, gram_regulariser
from stic_fast.sampling.captured_step import FEWEST_REPLAYS, WARM_UP

SEED, STEPS = 11, WARM_UP + FEWEST_REPLAYS + 4


class Chain:
    """Chains of three classes in float32, and how often their network was called."""

    def __init__(self, net: WideResNet, start: Tensor, target: Tensor) -> None:
        self.net, self.start, self.target = net.float(), start.float(), target
        self.gram: GramRegulariser | None = GramRegulariser.from_images(self.net, self.start.flip(0))
        self.calls = 0
        self.net.stem.register_forward_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.calls += 1

    def run(self, *, steps: int = STEPS, rows: int | None = None, sampler: Any = None, **options: Any) -> ChainResult:
        self.calls = 0
        sampler = GRMALA(steps=steps, **(sampler or {}))
        return sampler.run(self.net, self.start[:rows], self.target[:rows], seed=SEED, gram=self.gram, **options)


@pytest.fixture
def chain(net: WideResNet, start: Tensor, target: Tensor) -> Chain:
    return Chain(net, start, target)


SAMPLERS: list[dict[str, Any]] = [
    {},
    {"schedule": "linear"},
    {"schedule": "cosine", "max_gram_ratio": 0.5},
    {"max_gram_ratio": 0.5, "clamp": None},
    {"precision": "bf16", "layout": "channels_last"},
    {"precision": "bf16", "layout": "packed", "schedule": "cosine"},
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
@pytest.mark.parametrize("with_gram", [False, True])
def test_equals_the_eager_chain(gpu: Any, chain: Chain, sampler: dict[str, Any], with_gram: bool) -> None:
    if not with_gram:
        chain.gram = None
    ids = torch.tensor([5, 0, 77, 2, 1, 9])
    eager = chain.run(sampler={**sampler, "capture": False}, first_step=7, chain_ids=ids).x
    assert chain.calls == STEPS and gpu.graphs == [] and gpu.log == []
    captured = chain.run(sampler=sampler, first_step=7, chain_ids=ids).x
    assert torch.equal(captured, eager)
    assert chain.calls == WARM_UP + 1 and gpu.replays == STEPS - WARM_UP


@pytest.mark.parametrize("trace_every", [2, 3, 100])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_traced_steps_run_eagerly_between_replays(gpu: Any, chain: Chain, trace_every: int, schedule: str) -> None:
    settings, steps = {"schedule": schedule}, 2 * STEPS
    eager = chain.run(steps=steps, sampler={**settings, "capture": False}, trace_every=trace_every, first_step=3)
    captured = chain.run(steps=steps, sampler=settings, trace_every=trace_every, first_step=3)
    assert torch.equal(captured.x, eager.x) and captured.trace == eager.trace
    assert isinstance(captured.trace[0], ChainRecord) and captured.trace[0].step == 3
    traced = len({*range(0, steps, trace_every), steps - 1})
    assert len(captured.trace) == traced
    assert chain.calls == traced + WARM_UP + 1 and gpu.replays == steps - traced - WARM_UP


def test_progress_is_told_every_step(gpu: Any, chain: Chain) -> None:
    streams: list[Any] = []
    chain.run(on_step=lambda _: streams.append(gpu.now))
    assert len(streams) == STEPS and gpu.replays > 0
    assert gpu.log == ["own waits for caller", "caller waits for own"]


def test_what_is_not_captured(gpu: Any, chain: Chain) -> None:
    chain.run(steps=WARM_UP + FEWEST_REPLAYS - 1)
    chain.run(trace_every=1)
    chain.run(sampler={"capture": False})
    chain.gram = None
    chain.run(rows=0)
    chain.net.stem.compile(backend="eager")
    chain.run()
    assert gpu.graphs == [] and gpu.log == []


@pytest.mark.parametrize("at", [2, STEPS - 2])
def test_the_network_is_as_before(gpu: Any, chain: Chain, at: int) -> None:
    net, told = chain.net.train(), 0
    before = [(p.requires_grad, p.data_ptr(), p._version) for p in net.parameters()]

    def stop(_: object) -> None:
        nonlocal told
        told += 1
        if told == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chain.run(on_step=stop)
    assert [(p.requires_grad, p.data_ptr(), p._version) for p in net.parameters()] == before
    assert net.training and gpu.now is gpu.caller and gpu.log[-1] == "caller waits for own"


def test_copies_of_references_outlive_the_graph(
    gpu: Any, chain: Chain, monkeypatch: pytest.MonkeyPatch, net: WideResNet, start: Tensor
) -> None:
    """On a GPU the regulariser keeps copies of its references; none of them may lie in a graph's memory."""
    monkeypatch.setattr(gram_regulariser, "_are_read_as_they_are", lambda _: True)
    sampler = {"precision": "bf16", "layout": "channels_last"}
    captured = chain.run(sampler=sampler).x
    assert gpu.replays > 0
    again = chain.run(sampler=sampler).x  # its graph takes the memory of the first one
    assert torch.equal(again, captured)
    assert torch.equal(chain.run(sampler={**sampler, "capture": False}).x, captured)


def test_a_divergence_is_told(gpu: Any, chain: Chain) -> None:
    with pytest.raises(InputError, match="chains diverged to NaN"):
        chain.run(sampler={"eps1": 1e30, "eps2": 1e30, "clamp": None})
    assert gpu.replays > 0 and gpu.now is gpu.caller


class Waiting(LogPosterior):
    """An objective that looks at a number."""

    def __call__(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
        scores = super().__call__(logits, target)
        return scores * 2 if scores.max() > 1 else scores


def test_an_objective_that_waits_is_run_eagerly(gpu: Any, chain: Chain) -> None:
    eager = chain.run(sampler={"capture": False}, objective=Waiting()).x
    with pytest.warns(UserWarning, match="a step waits for the GPU") as told:
        captured = chain.run(objective=Waiting()).x
    assert torch.equal(captured, eager) and gpu.graphs == []
    assert [warning.filename for warning in told] == [__file__], "it must point to where run was called"


def test_an_objective_that_cannot_be_captured(gpu: Any, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_watch", torch.no_grad())
    with pytest.raises(InputError, match=r"could not be captured in a CUDA graph .*pass capture=False"):
        chain.run(objective=Waiting())
    assert gpu.now is gpu.caller and all(p.requires_grad for p in chain.net.parameters())


class Hooked(nn.Module):
    """A network of one's own: batch statistics, in-place activations, a residual, features by hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu_(self.norm(self.first(x)))
        return self.head((x + torch.sigmoid(self.second(x))).mean((2, 3)))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_network_of_ones_own(gpu: Any, start: Tensor, target: Tensor, precision: Any) -> None:
    torch.manual_seed(1)
    model: Classifier = wrap(Hooked(), gram_layers=["first", "second"], num_classes=3)
    gram = GramRegulariser.from_images(model, start.float().flip(0))

    def run(**settings: Any) -> Tensor:
        sampler = GRMALA(steps=STEPS, precision=precision, **settings)
        return sampler.run(model, start.float(), target, seed=SEED, gram=gram).x

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(run(), run(capture=False)) and gpu.replays > 0
