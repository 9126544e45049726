# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Threads that share a model each get what they would get alone, and the model is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.evaluation import NetworkJudge, accuracy, nearest_distances, pgd, read_images
from stic_fast.models import Classifier, WideResNet, fixed_passes, wrap
from stic_fast.sampling import GRMALA, MALA, GramRegulariser

X = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
TARGET = torch.tensor([0, 1, 2])
BYTES = torch.randint(0, 256, (30, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(30) % 3


def fresh_network() -> nn.Sequential:
    """In training mode, as its constructor leaves it: its batches and its dropout would show in every chain."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(512, 3),
    )  # fmt: skip


def everything_of(net: nn.Module) -> list[Any]:
    """Whatever a caller could find changed."""
    modules = [(module.training, dict(module._forward_hooks), dict(module._buffers)) for module in net.modules()]
    parameters = [(p.requires_grad, p.grad, p._version, p.tolist()) for p in net.parameters()]
    return [parameters, [(mode, hooks, {k: b.tolist() for k, b in own.items()}) for mode, hooks, own in modules]]


def together(*calls: Callable[[], Any]) -> list[Any]:
    """The results of calls that begin at one moment, each in a thread of its own."""
    barrier = Barrier(len(calls))

    def begin(call: Callable[[], Any]) -> Any:
        barrier.wait(60)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))


def test_a_short_chain_ends_while_one_that_began_later_runs() -> None:
    net = fresh_network()
    model = wrap(net, gram_layers=["1"], num_classes=3)
    net[0].weight.requires_grad_(False)
    net[3].eval()
    gram = GramRegulariser.from_images(model, X.flip(0))
    before, first_in, second_in, first_out = everything_of(model), Event(), Event(), Event()

    def chain(steps: int, on_step: Callable[[object], object] | None = None) -> Tensor:
        return GRMALA(steps=steps).run(model, X, TARGET, seed=0, gram=gram, on_step=on_step).x

    def short() -> Tensor:
        found = chain(3, lambda _: (first_in.set(), second_in.wait(60)))
        first_out.set()
        return found

    def long() -> Tensor:
        assert first_in.wait(60)
        return chain(12, lambda _: (second_in.set(), first_out.wait(60)))

    expected = chain(12), chain(3)
    assert everything_of(model) == before
    found = together(long, short)
    for own, alone in zip(found, expected, strict=True):
        assert torch.equal(own, alone)
    assert everything_of(model) == before


@pytest.mark.parametrize("kind", ["wrapped", "wide resnet"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"precision": "bf16"}, {"layout": "packed"}, {"precision": "bf16", "layout": "packed"}, {"max_gram_ratio": 1}],
    ids=str,
)
def test_many_chains_of_one_model(kind: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixed_passes, "SMALLEST_PACKED", 1)
    model: Classifier = wrap(fresh_network(), gram_layers=["0", "2"], num_classes=3)
    if kind == "wide resnet":
        model = WideResNet(depth=10, width=1, num_classes=3, in_channels=1)
    gram, before = GramRegulariser.from_images(model, X.flip(0)), everything_of(model)

    def chain(seed: int) -> Tensor:
        trace_every = seed % 2 * 3
        return GRMALA(steps=10, **settings).run(model, X, TARGET, seed=seed, gram=gram, trace_every=trace_every).x

    alone = [chain(seed) for seed in range(5)]
    for found, expected in zip(together(*(lambda s=s: chain(s) for s in range(5))), alone, strict=True):
        assert torch.equal(found, expected)
    assert everything_of(model) == before


def test_all_that_reads_a_model_at_once() -> None:
    """Chains, references, a density of the caller's, an attack, a judge by hooks: over one network in training mode."""
    net = fresh_network()
    model = wrap(net, gram_layers=["2"], num_classes=3)
    judge = NetworkJudge(fresh_network(), name="cnn", num_classes=3, feature_layer="4").train()
    calls: list[Callable[[], Any]] = [
        lambda: GRMALA(steps=8).run(model, X, TARGET, seed=0, gram=GramRegulariser.from_images(model, X)).x,
        lambda: GramRegulariser.from_images(wrap(net, gram_layers=["2"], num_classes=3), X).grams[0],
        lambda: [GRMALA(steps=1).run(model, X, TARGET, seed=seed).x for seed in range(8)],
        lambda: accuracy(model, BYTES, LABELS, 3, batch_size=4),
        lambda: pgd(net, BYTES, LABELS, 3, epsilon=0.05, seed=0, steps=4, keep_images=True).images,
        lambda: read_images(judge, BYTES, batch_size=7, keep_features=True).features,
        lambda: nearest_distances(BYTES[:9], BYTES[9:]),
    ]
    before, random = everything_of(net), torch.get_rng_state()
    alone = [call() for call in calls]
    for found, expected in zip(together(*calls), alone, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert everything_of(net) == before and judge.training
    assert torch.equal(torch.get_rng_state(), random)


def test_a_density_made_of_a_shared_model() -> None:
    """MALA is given a function; freezing is up to whoever wrote it, hooks are not."""
    model = wrap(fresh_network(), gram_layers=["2"], num_classes=3).eval()

    def log_density(x: Tensor) -> Tensor:
        logits, (feature,) = model.logits_and_features(x, ["2"])
        return logits[:, 0] - feature.square().mean((1, 2, 3)) - x.square().sum((1, 2, 3))

    def chain(seed: int) -> Tensor:
        return MALA(steps=15, eps1=0.01).run(log_density, X, seed=seed).x

    alone = [chain(seed) for seed in range(4)]
    for found, expected in zip(together(*(lambda s=s: chain(s) for s in range(4))), alone, strict=True):
        assert torch.equal(found, expected)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_threads_that_fail_leave_the_others_alone() -> None:
    net = fresh_network()
    model, before = wrap(net, gram_layers=["2"], num_classes=3), everything_of(net)
    gram = GramRegulariser.from_images(model, X.flip(0))
    expected = GRMALA(steps=30).run(model, X, TARGET, seed=0, gram=gram).x

    def stop(_: object) -> None:
        raise KeyError("stopped")

    def fail() -> int:
        failures = 0
        for _ in range(10):
            try:
                GRMALA(steps=2).run(model, X, TARGET, seed=0, gram=gram, on_step=stop)
            except KeyError:
                failures += 1
        return failures

    failures, found = together(fail, lambda: GRMALA(steps=30).run(model, X, TARGET, seed=0, gram=gram).x)
    assert failures == 10 and torch.equal(found, expected)
    assert everything_of(net) == before


def test_copies_for_a_gpu_are_those_of_the_features_asked_with() -> None:
    """Threads that read one regulariser's references in different precisions, and a captured step that keeps them."""
    references = [torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(0))]
    gram = GramRegulariser(["0"], references, [None])

    def copies(dtype: torch.dtype) -> bool:
        feature = torch.zeros(2, 4, 4, dtype=dtype)
        found = [gram._copies_like([feature])[0][0] for _ in range(200)]
        return all(copy is found[0] and copy.dtype == dtype for copy in found if copy is not None)

    kinds = [torch.float16, torch.bfloat16, torch.float32]
    assert together(*(lambda d=d: copies(d) for d in kinds * 2)) == [True] * 6
