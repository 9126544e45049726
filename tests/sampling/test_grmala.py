# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""One GRMALA step is the equation written out, and many are one after the other, whatever batch they run in."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from stic_fast.models import Classifier, WideResNet, wrap
from stic_fast.ops import noise
from stic_fast.pixels import to_unit
from stic_fast.sampling import GRMALA, GramRegulariser, LogMarginal

SEED = 11
EXACT = {"rtol": 0, "atol": 1e-11}  # float64, a few hundred roundings


@pytest.fixture
def references(images: Tensor) -> Tensor:
    return to_unit(images[:6]).double()


@pytest.fixture
def gram(net: WideResNet, references: Tensor) -> GramRegulariser:
    return GramRegulariser.from_images(net, references)


def uphill(net: Classifier, x: Tensor, target: Tensor) -> Tensor:
    x = x.clone().requires_grad_(True)
    logits = net(x)
    scores = logits[torch.arange(len(x)), target] - logits.logsumexp(1)
    return torch.autograd.grad(scores.sum(), x)[0]


def gram_term(net: Classifier, x: Tensor, references: Tensor) -> Tensor:
    """Σ_L log(1 + ‖G − A‖²/‖A‖²) of the network's Gram layers, written out."""
    layers = zip(*(net.logits_and_features(batch, net.gram_layers)[1] for batch in (x, references)), strict=True)
    total = torch.zeros(len(x), dtype=x.dtype)
    for own, reference in layers:
        ours, theirs = (torch.einsum("bchw,bdhw->bcd", f, f) / f[0, 0].numel() for f in (own, reference))
        relative = (ours - theirs).square().sum((1, 2)) / theirs.square().sum((1, 2))
        total = total + torch.log(1 + relative)
    return total


def downhill(net: Classifier, x: Tensor, references: Tensor) -> Tensor:
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad(gram_term(net, x, references).sum(), x)[0]


def kick(x: Tensor, step: int, chain_ids: Tensor | None = None) -> Tensor:
    return noise.normal(x.shape, seed=SEED, step=step, chain_ids=chain_ids, dtype=x.dtype)


def test_a_step_without_gram(net: WideResNet, start: Tensor, target: Tensor) -> None:
    ids = torch.tensor([5, 0, 77, 2, 1, 9])
    result = GRMALA(steps=1, eps1=0.9, eps3=0.02).run(net, start, target, seed=SEED, first_step=4, chain_ids=ids)
    expected = start + 0.9 * uphill(net, start, target) + 0.02 * kick(start, 4, ids)
    assert not torch.equal(expected, expected.clamp(-1, 1)), "the box must matter"
    torch.testing.assert_close(result.x, expected.clamp(-1, 1), **EXACT)


def test_a_step_with_gram(
    net: WideResNet, gram: GramRegulariser, references: Tensor, start: Tensor, target: Tensor
) -> None:
    result = GRMALA(steps=1, eps1=0.9, eps2=0.7, eps3=0.02, clamp=None).run(net, start, target, seed=SEED, gram=gram)
    pull, push = uphill(net, start, target), downhill(net, start, references)
    torch.testing.assert_close(result.x, start + 0.9 * pull - 0.7 * push + 0.02 * kick(start, 0), **EXACT)


def test_the_bound_on_the_gram_gradient_holds_per_chain(
    net: WideResNet, gram: GramRegulariser, references: Tensor, start: Tensor, target: Tensor
) -> None:
    pull, push = uphill(net, start, target), downhill(net, start, references)
    ratios = (0.7 * push.flatten(1).norm(dim=1)) / (0.9 * pull.flatten(1).norm(dim=1))
    bound = float(ratios.median())
    factor = (bound / ratios).clamp(max=1)
    assert 0 < int((factor < 1).sum()) < 6, "some chains must be bound and some free"
    sampler = GRMALA(steps=1, eps1=0.9, eps2=0.7, eps3=0.02, clamp=None, max_gram_ratio=bound)
    result = sampler.run(net, start, target, seed=SEED, gram=gram)
    expected = start + 0.9 * pull - 0.7 * factor.view(-1, 1, 1, 1) * push + 0.02 * kick(start, 0)
    torch.testing.assert_close(result.x, expected, **EXACT)


@pytest.mark.parametrize(
    ("schedule", "scales"),
    [
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25]),
        ("cosine", [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125)]),
    ],
)
def test_schedules(
    net: WideResNet,
    gram: GramRegulariser,
    references: Tensor,
    start: Tensor,
    target: Tensor,
    schedule: str,
    scales: list[float],
) -> None:
    sampler = GRMALA(steps=4, eps1=0.9, eps2=0.7, eps3=0.02, schedule=schedule)  # type: ignore[arg-type]
    x = start
    for step, scale in enumerate(scales):
        move = 0.9 * uphill(net, x, target) - 0.7 * downhill(net, x, references) + 0.02 * kick(x, step)
        x = (x + scale * move).clamp(-1, 1)
    torch.testing.assert_close(sampler.run(net, start, target, seed=SEED, gram=gram).x, x, **EXACT)


def test_soft_targets_drive_the_chain(net: WideResNet, start: Tensor) -> None:
    soft = torch.tensor([0.3, 0.7, 0.0], dtype=torch.float64).expand(6, 3)
    first, second = (uphill(net, start, torch.full((6,), label)) for label in (0, 1))
    result = GRMALA(steps=1, eps3=0.0, clamp=None).run(net, start, soft, seed=SEED)
    torch.testing.assert_close(result.x, start + 0.95 * (0.3 * first + 0.7 * second), **EXACT)


def test_another_objective(net: WideResNet, start: Tensor, target: Tensor) -> None:
    x = start.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(net(x).logsumexp(1).sum(), x)
    result = GRMALA(steps=1, eps3=0.0, clamp=None).run(net, start, target, seed=SEED, objective=LogMarginal())
    torch.testing.assert_close(result.x, start + 0.95 * gradient, **EXACT)


@pytest.mark.parametrize("bound", [None, 0.5])
def test_chains_do_not_know_their_batch(
    net: WideResNet, references: Tensor, start: Tensor, target: Tensor, bound: float | None
) -> None:
    sampler, ids = GRMALA(steps=5, max_gram_ratio=bound), torch.tensor([3, 1, 4, 15, 9, 2])

    def run(rows: list[int]) -> Tensor:
        gram = GramRegulariser.from_images(net, references[rows])
        return sampler.run(net, start[rows], target[rows], seed=SEED, gram=gram, chain_ids=ids[rows]).x

    whole = run([0, 1, 2, 3, 4, 5])
    order = [4, 0, 5, 2, 1, 3]
    torch.testing.assert_close(run(order), whole[order], **EXACT)
    torch.testing.assert_close(torch.cat([run([0]), run([1, 2]), run([3, 4, 5])]), whole, **EXACT)
    assert not torch.allclose(whole, sampler.run(net, start, target, seed=SEED).x, **EXACT), "the Gram term must matter"


@pytest.mark.parametrize("with_gram", [False, True])
@pytest.mark.parametrize("bound", [None, 0.5])
def test_tracing_changes_nothing(
    net: WideResNet, start: Tensor, target: Tensor, with_gram: bool, bound: float | None
) -> None:
    net, start = net.float(), start.float()
    gram = GramRegulariser.from_images(net, start.flip(0))
    sampler = GRMALA(steps=7, max_gram_ratio=bound)
    silent, *traced = (
        sampler.run(net, start, target, seed=SEED, gram=gram if with_gram else None, trace_every=every)
        for every in (0, 1, 3, 100)
    )
    assert silent.trace == []
    assert all(torch.equal(result.x, silent.x) for result in traced)
    assert [[record.step for record in result.trace] for result in traced] == [list(range(7)), [0, 3, 6], [0, 6]]


def test_going_on_equals_one_longer_run(net: WideResNet, start: Tensor, target: Tensor) -> None:
    net, start = net.float(), start.float()
    gram = GramRegulariser.from_images(net, start.flip(0))
    whole = GRMALA(steps=7).run(net, start, target, seed=SEED, gram=gram)
    first = GRMALA(steps=3).run(net, start, target, seed=SEED, gram=gram)
    rest = GRMALA(steps=4).run(net, first.x, target, seed=SEED, gram=gram, first_step=3)
    assert torch.equal(rest.x, whole.x)
    again = GRMALA(steps=4).run(net, first.x, target, seed=SEED, gram=gram)
    assert not torch.equal(again.x, whole.x), "step numbers must reach the noise"


def test_the_trace_tells_where_the_chains_are_and_what_pulls_them(
    net: WideResNet, gram: GramRegulariser, references: Tensor, start: Tensor, target: Tensor
) -> None:
    (record,) = GRMALA(steps=1).run(net, start, target, seed=SEED, gram=gram, first_step=8, trace_every=1).trace
    logits = net(start)
    logp = (logits[torch.arange(6), target] - logits.logsumexp(1)).mean()
    pull, push = uphill(net, start, target), downhill(net, start, references)
    assert record.step == 8
    assert record.logp == pytest.approx(logp.item())
    assert record.gram_loss == pytest.approx(gram_term(net, start, references).mean().item())
    assert record.grad_logp_norm == pytest.approx(pull.flatten(1).norm(dim=1).mean().item())
    assert record.grad_gram_norm == pytest.approx(push.flatten(1).norm(dim=1).mean().item())


def test_the_trace_has_both_norms_without_a_gram_step_and_with_a_bound(
    net: WideResNet, gram: GramRegulariser, references: Tensor, start: Tensor, target: Tensor
) -> None:
    norm = downhill(net, start, references).flatten(1).norm(dim=1).mean().item()
    for sampler in (GRMALA(steps=1, eps2=0.0), GRMALA(steps=1, max_gram_ratio=1e-3)):
        (record,) = sampler.run(net, start, target, seed=SEED, gram=gram, trace_every=1).trace
        assert record.grad_gram_norm == pytest.approx(norm)
    (record,) = GRMALA(steps=1).run(net, start, target, seed=SEED, trace_every=1).trace
    assert record.grad_gram_norm == 0 and record.gram_loss == 0 and record.grad_logp_norm > 0


def test_chains_climb(net: WideResNet, gram: GramRegulariser, start: Tensor, target: Tensor) -> None:
    trace = GRMALA(steps=40, eps1=2.0).run(net, start, target, seed=SEED, gram=gram, trace_every=39).trace
    assert trace[-1].logp > trace[0].logp + 0.05 and trace[-1].gram_loss < trace[0].gram_loss / 2


def test_the_log_scale_keeps_chains_bounded_where_the_relative_one_does_not(
    start: Tensor, target: Tensor, references: Tensor
) -> None:
    torch.manual_seed(0)
    steep = WideResNet(depth=10, width=1, num_classes=3, in_channels=1)
    with torch.no_grad():
        for parameter in steep.blocks.parameters():
            parameter *= 3
    sampler, x, references = GRMALA(steps=60, clamp=None), start.float(), references.float()
    log = GramRegulariser.from_images(steep, references, normalize="log")
    result = sampler.run(steep, x, target, seed=SEED, gram=log, trace_every=10)
    assert result.x.abs().max() < 10
    assert max(record.grad_gram_norm for record in result.trace) < 5
    relative = GramRegulariser.from_images(steep, references, normalize="relative")
    with pytest.raises(ValueError, match=r"6 of 6 chains diverged.*normalise the Gram loss with 'log'"):
        sampler.run(steep, x, target, seed=SEED, gram=relative)


def test_a_network_of_ones_own(start: Tensor, target: Tensor, references: Tensor) -> None:
    torch.manual_seed(3)
    own = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 3)
    ).double()
    own(start)  # so that the batch norm has statistics
    model = wrap(own, gram_layers=["0"], num_classes=3)

    def run(rows: slice) -> Tensor:
        gram = GramRegulariser.from_images(model, references[rows])
        ids = torch.arange(6)[rows]
        return GRMALA(steps=3).run(model, start[rows], target[rows], seed=SEED, gram=gram, chain_ids=ids).x

    assert own.training
    whole = run(slice(0, 6))
    assert not torch.allclose(whole, start)
    torch.testing.assert_close(torch.cat([run(slice(0, 1)), run(slice(1, 6))]), whole, **EXACT)
    assert own.training and own[1].training
