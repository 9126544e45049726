# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Sizes of steps: schedules, one size for each, noise levels, on the host and on the device."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import WideResNet
from stic_fast.sampling import GRMALA, Steps


def test_each_size_has_a_schedule_of_its_own() -> None:
    steps = Steps(4, [4.0, 3.0, 2.0, 1.0], lambda share: 1 - share, 0.5, sigma=[8, 4, 2, 1])
    found = [steps.at(index) for index in range(4)]
    assert [size.eps1 for size in found] == [4, 3, 2, 1] and [size.eps2 for size in found] == [1, 0.75, 0.5, 0.25]
    assert [size.sigma for size in found] == [8, 4, 2, 1] and {size.eps3 for size in found} == {0.5}
    assert {size.scale for size in found} == {1.0} and len(steps) == 4 and steps.with_gram
    assert steps.at(9) == steps.at(3), "a loop of one's own may go on"


def test_a_device_sees_what_the_host_sees() -> None:
    steps = Steps(5, 0.3, [1, 2, 3, 4, 5], sigma=lambda share: math.exp(-share), schedule="cosine")
    steps.prepare(torch.device("cpu"))
    for index in range(7):
        host, device = steps.at(index), steps.at(torch.tensor([index]))
        for ours, theirs in zip(host, device, strict=True):
            assert ours == (theirs if not isinstance(theirs, Tensor) else float(theirs))
        assert isinstance(device.eps1, float) and isinstance(device.sigma, Tensor) and device.sigma.dim() == 0


def test_annealed_langevin_dynamics() -> None:
    steps = Steps.annealed([1.0, 0.5, 0.1], each=2, step_size=1e-4)
    assert [steps.at(index).sigma for index in range(6)] == [1, 1, 0.5, 0.5, 0.1, 0.1]
    for index in range(6):
        sizes = steps.at(index)
        assert isinstance(sizes.sigma, float) and isinstance(sizes.eps3, float)
        alpha = 1e-4 * (sizes.sigma / 0.1) ** 2
        assert sizes.eps1 == pytest.approx(alpha / 2) and sizes.eps3 == pytest.approx(math.sqrt(alpha))
    assert not steps.with_gram


def test_a_chain_takes_steps_of_ones_own(net: WideResNet, start: Tensor, target: Tensor) -> None:
    """Two steps of sizes that change are two runs of one step each."""
    steps = Steps(2, [0.9, 0.1], eps3=[0.02, 0.3])
    together = GRMALA().run(net, start, target, seed=1, steps=steps).x
    first = GRMALA(steps=1, eps1=0.9, eps3=0.02).run(net, start, target, seed=1).x
    second = GRMALA(steps=1, eps1=0.1, eps3=0.3).run(net, first, target, seed=1, first_step=1).x
    torch.testing.assert_close(together, second, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("sizes", "argument"),
    [
        ({"eps1": -1.0}, "eps1"),
        ({"eps1": 1.0, "eps3": [0.1, math.nan]}, "eps3"),
        ({"eps1": 1.0, "eps2": [1.0]}, "eps2"),
        ({"eps1": 1.0, "sigma": lambda share: -share - 1}, "sigma"),
        ({"eps1": 1.0, "schedule": "square"}, "schedule"),
    ],
)
def test_sizes_that_are_none(sizes: dict[str, Any], argument: str) -> None:
    with pytest.raises(InputError, match=argument):
        Steps(2, **sizes)
