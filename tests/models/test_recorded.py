# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Recorded outputs are those of one thread's passes, and the hooks go when they are read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import Tensor, nn

from stic_fast.models.recorded import recorded


def test_outputs_are_listed_as_they_were_before_what_follows() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True))
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    with recorded(net, ["0", "1"]) as outputs, torch.no_grad():
        logits = net(x)
        net(2 * x)
    assert [len(each) for each in outputs.values()] == [2, 2]
    torch.testing.assert_close(outputs["0"][0], net[0](x).detach())
    assert torch.equal(outputs["1"][0], logits)
    net(x)
    assert len(outputs["0"]) == 2 and not net[0]._forward_hooks


def test_hooks_are_gone_after_an_error() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    with pytest.raises(AttributeError, match="absent"), recorded(net, ["0", "absent"]):
        pass
    with pytest.raises(KeyError, match="within"), recorded(net, ["0", "1"]):
        raise KeyError("within")
    assert not net[0]._forward_hooks and not net[1]._forward_hooks


def test_each_thread_lists_its_own_passes() -> None:
    """All record, all run the module, and only then do the first ones leave."""
    net, threads = nn.Sequential(nn.Flatten(), nn.ReLU(inplace=True)), 8
    kept = []
    net[0].register_forward_hook(lambda module, arguments, output: kept.append(output.clone()))
    barrier = Barrier(threads)

    def passes(number: int) -> list[Tensor]:
        barrier.wait(60)
        with recorded(net, ["0"]) as outputs:
            barrier.wait(60)
            for repeat in range(20):
                net(torch.full((1, 4), -float(20 * number + repeat)))
            barrier.wait(60)
        return outputs["0"]

    with ThreadPoolExecutor(threads) as pool:
        listed = list(pool.map(passes, range(threads)))
    for number, own in enumerate(listed):
        assert [float(output[0, 0]) for output in own] == [-float(20 * number + repeat) for repeat in range(20)]
    assert len(net[0]._forward_hooks) == 1, "the caller's own hook stays"
    assert sorted(float(output[0, 0]) for output in kept) == sorted(-float(each) for each in range(20 * threads))
