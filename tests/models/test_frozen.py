# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Freezing a network puts every flag back, whatever happens meanwhile."""

from __future__ import annotations

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
