# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Models of several parts, each with an optimiser of its own; optimisers that begin anew; runs that end early."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import Classifier
from stic_fast.training import Loss


def halves(model: Classifier) -> dict[str, list[Tensor]]:
    """Of the toy model's two layers."""
    first, second, *rest = model.parameters()
    return {"follower": [first, second], "fugitive": rest}


@pytest.fixture
def duel(toy: Any) -> Any:
    """One part seeks a number, the other flees from it; the second one rests in every third iteration."""

    class Duel(toy.method):  # type: ignore[misc]
        def parts(self) -> dict[str, list[Tensor]]:
            return halves(self.model)

        def loss(self, iteration: int) -> Loss:
            parts = halves(self.model)
            apart = torch.stack([(p - iteration / 10).square().sum() for part in parts.values() for p in part]).sum()
            totals = {"follower": apart, "fugitive": -apart}
            if iteration % 3 == 2:
                del totals["fugitive"]
            return Loss(totals, {"loss": apart.detach()})

    toy.method = Duel
    return toy


def test_each_part_descends_its_own_number(duel: Any) -> None:
    trained, _, _ = duel.train()
    model = duel.model()
    parts = halves(model)
    optimisers = {name: torch.optim.Adam(part, lr=0.1) for name, part in parts.items()}
    for iteration in range(20):
        for part in parts.values():
            for parameter in part:
                parameter.grad = 2 * (parameter.detach() - iteration / 10)
        for parameter in parts["fugitive"]:
            parameter.grad = -parameter.grad
        optimisers["follower"].step()
        if iteration % 3 != 2:
            optimisers["fugitive"].step()
    for ours, theirs in zip(trained.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_run_of_several_parts_resumes_to_the_same_bits(duel: Any) -> None:
    whole, _, _ = duel.train()
    duel = duel.another()

    def stop(iteration: int) -> None:
        if iteration == 15:
            raise KeyboardInterrupt

    original = duel.method.loss
    duel.method.loss = lambda self, iteration: stop(iteration) or original(self, iteration)
    with pytest.raises(KeyboardInterrupt):
        duel.train()
    duel.method.loss = original
    resumed, _, _ = duel.train()
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_a_state_of_other_parts_is_told(duel: Any) -> None:
    duel.train()
    checkpoint = duel.run.newest_checkpoint()
    state = checkpoint.load_state()
    state["optimiser"]["third"] = state["optimiser"].pop("fugitive")
    torch.save(state, checkpoint.path / "state.pt")
    (checkpoint.path / "SHA256SUMS").unlink()
    with pytest.raises(InputError, match=r"optimisers.*fugitive.*third"):
        duel.train()


def test_a_state_of_before_there_were_parts_goes_on(toy: Any) -> None:
    whole, _, _ = toy.train()
    checkpoint = toy.run.newest_checkpoint()
    state = checkpoint.load_state()
    del state["format"], state["version"]
    state["optimiser"] = state["optimiser"]["model"]
    torch.save(state, checkpoint.path / "state.pt")
    (checkpoint.path / "SHA256SUMS").unlink()
    again, method, _ = toy.train()
    assert method.calls == [] and all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True)
    )


def test_a_method_may_end_the_run_at_the_end_of_a_pass(toy: Any) -> None:
    toy.method = type("Content", (toy.method,), {"finished": lambda self: self.started == 1})
    for _ in range(2):  # trained, and asked to go on
        _, method, records = toy.train()
        assert [record["kind"] for record in records].count("ended") == 1
        assert toy.run.newest_checkpoint().pass_number == 1
    assert method.calls == []
