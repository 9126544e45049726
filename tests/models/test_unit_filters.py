# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Filters of unit length: what is used of them, how they learn, and when they are made ready anew."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from stic_fast.models.unit_filters import UnitFilter, UnitFilters


@pytest.fixture
def net() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(UnitFilter(4, 9, gain=2.0), UnitFilter(3, 2, 3, 3))
    for filter in net:
        filter.reset_parameters()
    return net


def used(weight: Tensor, gain: float) -> Tensor:
    """By the formula."""
    return gain * weight / weight.flatten(1).norm(dim=1).view(-1, *[1] * (weight.dim() - 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_rows_have_the_length_of_the_gain(net: nn.Sequential, dtype: torch.dtype) -> None:
    for ready in (UnitFilters(net).ready(dtype), UnitFilters(net.requires_grad_(False)).ready(dtype)):
        for filter, weight in ready.items():
            assert weight.dtype == dtype
            torch.testing.assert_close(weight, used(filter.weight, filter.gain).to(dtype))
            lengths = weight.float().flatten(1).norm(dim=1)
            torch.testing.assert_close(lengths, torch.full_like(lengths, filter.gain), rtol=4e-3, atol=0)


def test_gradients_are_those_of_the_formula_and_leave_out_the_length(net: nn.Sequential) -> None:
    net.double().eval()
    generator = torch.Generator().manual_seed(1)
    for filter, weight in UnitFilters(net).ready(torch.float64).items():
        towards = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        (ours,) = torch.autograd.grad(weight, filter.weight, towards)
        (theirs,) = torch.autograd.grad(used(filter.weight, filter.gain), filter.weight, towards)
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close((ours * filter.weight).flatten(1).sum(1), ours.new_zeros(len(ours)))


def test_while_it_trains_a_row_is_brought_back_to_its_length(net: nn.Sequential) -> None:
    filters, before = UnitFilters(net), copy.deepcopy(net.state_dict())
    with torch.no_grad():
        filters.ready(torch.float32)
    net.eval()
    filters.ready(torch.float32)
    assert all(torch.equal(before[name], weight) for name, weight in net.state_dict().items())
    net.train()
    ready = filters.ready(torch.float32)
    for filter in filters:
        lengths = filter.weight.detach().flatten(1).norm(dim=1)
        torch.testing.assert_close(lengths, torch.full_like(lengths, filter.weight[0].numel() ** 0.5))
        torch.testing.assert_close(ready[filter], used(filter.weight, filter.gain))
    assert all(not torch.equal(before[name], weight) for name, weight in net.state_dict().items())


def test_a_row_of_zeros_stays_finite(net: nn.Sequential) -> None:
    with torch.no_grad():
        net[0].weight[1] = 0
    weight = UnitFilters(net).ready(torch.float32)[net[0]]
    assert weight.isfinite().all() and weight[1].count_nonzero() == 0


def test_frozen_weights_are_made_ready_once_for_each_type(net: nn.Sequential) -> None:
    filters = UnitFilters(net.requires_grad_(False))
    ready, half = filters.ready(torch.float32), filters.ready(torch.bfloat16)
    assert filters.ready(torch.float32) is ready and filters.ready(torch.bfloat16) is half
    with torch.no_grad():
        net[1].weight.mul_(-1)
    again = filters.ready(torch.float32)
    torch.testing.assert_close(again[net[1]], -ready[net[1]])
    net.load_state_dict({name: -weight for name, weight in net.state_dict().items()})
    torch.testing.assert_close(filters.ready(torch.float32)[net[0]], -ready[net[0]])
    net.double()
    assert filters.ready(torch.float64)[net[0]].dtype == torch.float64


def test_what_inference_mode_makes_is_not_kept(net: nn.Sequential) -> None:
    filters = UnitFilters(net.requires_grad_(False))
    with torch.inference_mode():
        assert filters.ready(torch.float32)[net[0]].is_inference()
    assert not filters.ready(torch.float32)[net[0]].is_inference()


def test_convolutions_keep_their_channels_last() -> None:
    filter = UnitFilter(8, 4, 3, 3)
    assert filter.weight.is_contiguous(memory_format=torch.channels_last)
    filter.reset_parameters()
    ready = UnitFilters(filter).ready(torch.bfloat16)[filter]
    assert ready.is_contiguous(memory_format=torch.channels_last)
