# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Precision and layout make a chain faster: they move it by rounding, and leave the network as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.models import WideResNet, fixed_passes
from stic_fast.pixels import to_unit
from stic_fast.sampling import GRMALA, ChainResult, GramRegulariser

SEED = 11
SETTINGS = [
    {"precision": precision, "layout": layout}
    for precision in ("fp32", "bf16", "auto")
    for layout in ("plain", "channels_last", "packed")
]


@pytest.fixture(autouse=True)
def _pack_small_weights_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixed_passes, "SMALLEST_PACKED", 1)


class Chain:
    """Five steps of six chains in float32."""

    def __init__(self, net: WideResNet, start: Tensor, target: Tensor, images: Tensor) -> None:
        self.net, self.start, self.target = net.float(), start.float(), target
        self.gram = GramRegulariser.from_images(self.net, to_unit(images[:6]))

    def run(self, on_step: Any = None, trace_every: int = 0, **settings: Any) -> ChainResult:
        return GRMALA(steps=5, **settings).run(
            self.net, self.start, self.target, seed=SEED, gram=self.gram, trace_every=trace_every, on_step=on_step
        )

    def distance(self, ours: Tensor, theirs: Tensor) -> float:
        """As a share of the way that `theirs` went."""
        return float((ours - theirs).norm() / (theirs - self.start).norm())


@pytest.fixture
def chain(net: WideResNet, start: Tensor, target: Tensor, images: Tensor) -> Chain:
    return Chain(net, start, target, images)


@pytest.mark.parametrize("settings", SETTINGS)
def test_near_the_plain_chain_and_the_same_again(chain: Chain, settings: dict[str, Any]) -> None:
    plain, ours = chain.run(trace_every=1), chain.run(trace_every=1, **settings)
    assert ours.x.dtype == torch.float32 and ours.x.is_contiguous()
    half = settings["precision"] == "bf16" or (
        settings["precision"] == "auto" and fixed_passes.multiplies_bf16(torch.device("cpu"))
    )
    distance = chain.distance(ours.x, plain.x)
    assert (0.0 < distance < 0.05) if half else distance < 1e-5
    for mine, theirs in zip(ours.trace, plain.trace, strict=True):
        assert mine.gram_loss == pytest.approx(theirs.gram_loss, rel=0.05 if half else 1e-5)
        assert mine.logp == pytest.approx(theirs.logp, rel=0.05 if half else 1e-5)
    assert torch.equal(chain.run(**settings).x, chain.run(**settings).x)


@pytest.mark.parametrize("settings", SETTINGS[4:6])
def test_tracing_changes_nothing_and_the_bound_holds(chain: Chain, settings: dict[str, Any]) -> None:
    assert torch.equal(chain.run(trace_every=2, **settings).x, chain.run(**settings).x)
    bounded = chain.run(max_gram_ratio=0.5, **settings).x
    assert chain.distance(bounded, chain.run(max_gram_ratio=0.5).x) < 0.05


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("dead", [False, True])
def test_the_network_is_as_before(chain: Chain, settings: dict[str, Any], dead: bool) -> None:
    net = chain.net.train()
    net.head.eval()
    net.stem.requires_grad_(False)

    def state() -> list[Any]:
        parameters = [
            (name, id(p), p.data_ptr(), p.dtype, p.stride(), p._version, p.requires_grad, p.grad)
            for name, p in net.named_parameters()
        ]
        return [parameters, [(module.training, vars(module).get("forward")) for module in net.modules()]]

    def stop(_: object) -> None:
        if dead:
            raise KeyboardInterrupt

    before = state()
    try:
        chain.run(on_step=stop, **settings)
        assert not dead
    except KeyboardInterrupt:
        assert dead
    assert state() == before
    # Nor does anything linger that would prepare the weights of later calls.
    output = nn.Conv2d(1, 2, 3)(torch.zeros(1, 1, 4, 4))
    assert output.requires_grad and output.dtype == torch.float32 and output.is_contiguous()


@pytest.mark.parametrize("settings", SETTINGS)
def test_steps_one_at_a_time(chain: Chain, settings: dict[str, Any]) -> None:
    sampler, x = GRMALA(steps=1, **settings), chain.start
    for step in range(5):
        x = sampler.run(chain.net, x, chain.target, seed=SEED, gram=chain.gram, first_step=step).x
    assert torch.equal(x, chain.run(**settings).x)


def test_an_empty_batch(chain: Chain) -> None:
    gram = GramRegulariser.from_images(chain.net, chain.start[:0])
    for settings in SETTINGS:
        result = GRMALA(steps=2, **settings).run(chain.net, chain.start[:0], chain.target[:0], seed=0, gram=gram)
        assert result.x.shape == (0, 1, 8, 8)
