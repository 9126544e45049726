# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Freezing a network puts every flag back, whatever happens meanwhile and whoever else has frozen it."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from stic_fast.models.frozen import frozen


def mixed_net() -> nn.Sequential:
    """One layer that learns and trains, one that does not learn, one that does not train."""
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.BatchNorm1d(2))
    net[1].requires_grad_(False)
    net[2].eval()
    return net


def flags(net: nn.Module) -> tuple[list[bool], list[bool]]:
    return [p.requires_grad for p in net.parameters()], [module.training for module in net.modules()]


def test_flags_within_and_afterwards() -> None:
    net = mixed_net()
    before = flags(net)
    assert before == ([True, True, False, False, True, True], [True, True, True, False])
    with frozen(net):
        learning, training = flags(net)
        assert not any(learning) and not any(training)
    assert flags(net) == before


def test_flags_come_back_after_an_exception() -> None:
    net = mixed_net()
    before = flags(net)
    with pytest.raises(KeyError, match="within"), frozen(net):
        raise KeyError("within")
    assert flags(net) == before


def test_nested_freezing_thaws_with_the_outer_one() -> None:
    net = mixed_net()
    before = flags(net)
    with frozen(net):
        with frozen(net):
            pass
        assert not any(flags(net)[0]) and not any(flags(net)[1])
    assert flags(net) == before


def test_gradients_reach_the_input_alone() -> None:
    net = mixed_net()
    x = torch.ones(3, 2, requires_grad=True)
    with frozen(net):
        net(x).square().sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert all(p.grad is None for p in net.parameters())


def test_the_last_to_leave_thaws() -> None:
    net = mixed_net()
    before = flags(net)
    first, second = frozen(net), frozen(net)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not any(flags(net)[0]) and not any(flags(net)[1])
    second.__exit__(None, None, None)
    assert flags(net) == before


def test_models_that_share_parts_thaw_each_part_with_its_last_holder() -> None:
    net = mixed_net()
    before = flags(net)
    whole, part = frozen(nn.Sequential(net, nn.Dropout())), frozen(net[0])
    whole.__enter__()
    part.__enter__()
    whole.__exit__(None, None, None)
    assert flags(net) == ([False, False, False, False, True, True], [True, False, True, False])
    part.__exit__(None, None, None)
    assert flags(net) == before


def test_a_compiled_module_and_the_one_within_share_their_mode() -> None:
    torch.compiler.reset()
    net = mixed_net()
    before = flags(net)
    compiled, plain = frozen(torch.compile(net, backend="eager")), frozen(net)
    compiled.__enter__()
    plain.__enter__()
    compiled.__exit__(None, None, None)
    assert not any(flags(net)[0]) and not any(flags(net)[1])
    plain.__exit__(None, None, None)
    assert flags(net) == before


def test_an_error_in_one_place_does_not_thaw_another() -> None:
    net = mixed_net()
    before = flags(net)
    with frozen(net):
        with pytest.raises(KeyError, match="within"), frozen(net):
            raise KeyError("within")
        assert not any(flags(net)[0]) and not any(flags(net)[1])
    assert flags(net) == before


class MergesInEvaluation(nn.Linear):
    """As adapters do: `eval()` changes the weights, and `train()` changes them back."""

    def train(self, mode: bool = True) -> MergesInEvaluation:
        if mode != self.training:
            self.weight.data *= 0.5 if mode else 2.0
        return super().train(mode)


def test_weights_stay_as_they_are() -> None:
    net = nn.Sequential(MergesInEvaluation(2, 2), nn.Dropout())
    before = net[0].weight.detach().clone()
    with frozen(net):
        assert torch.equal(net[0].weight, before) and not net[1].training
    assert torch.equal(net[0].weight, before) and net.training


def test_modules_that_have_no_mode_to_set() -> None:
    net, x = mixed_net().eval(), torch.ones(3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit as a whole
        script = torch.jit.freeze(torch.jit.script(net))
    exported = torch.export.export(net, (x,)).module()
    with torch.no_grad():
        for module in (script, exported):
            before = [module(x), getattr(module, "training", None)]
            with frozen(module):
                torch.testing.assert_close(module(x), net(x))
            torch.testing.assert_close([module(x), getattr(module, "training", None)], before)


def test_threads_come_and_go() -> None:
    """Many short holds overlap as they happen to; a holder never finds a flag on, and in the end all are back."""
    net = mixed_net()
    before = flags(net)

    def hold(number: int) -> bool:
        held = True
        for _ in range(200):
            with frozen(net if number % 2 else nn.Sequential(net[0], net[2])):
                held &= not net[0].weight.requires_grad and not net[0].training
        return held

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(hold, range(6)))
    assert flags(net) == before
