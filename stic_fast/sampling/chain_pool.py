# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""ChainPool: persistent chains, each asked for one class or for a mixture of two, restarted now and then."""

from __future__ import annotations

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import Classifier
from stic_fast.noise_addresses import POOL
from stic_fast.ops import noise
from stic_fast.sampling.condition import Condition, draw_hard, draw_soft
from stic_fast.sampling.draw import continue_chains
from stic_fast.sampling.recipe import Recipe
from stic_fast.sampling.sampler import ChainRecord, OnStep


class ChainPool:
    """Chains 0 .. hard − 1 are asked for one class, the rest for a mixture of two.

    The fakes of STIC's passes (Algorithm 1), and the replay buffer of energy-based models (JEM; GMMC, Algorithm 1).
    Chain k's id is k for ever; what distinguishes its restarts is the round they happen in.

    Args:
        images, labels: the real images that conditions refer to, uint8 (images, channels, height, width) and int64.
        recipe: how chains run, where they start, and how their states are kept between rounds.
        num_classes: classes of `labels`; hard chain k is asked for class k mod num_classes.
        hard, soft: numbers of chains.
        alpha: of the soft chains' λ ~ Beta(α, α).
        seed: of all noise.

    >>> from stic_fast.sampling import GRMALA
    >>> images, labels = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 1, 1])
    >>> pool = ChainPool(images, labels, Recipe(GRMALA(steps=9)), num_classes=2, hard=4, soft=2, seed=0)
    >>> len(pool), pool.rows_of_class(1)
    (6, tensor([1, 3]))
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        recipe: Recipe,
        *,
        num_classes: int,
        hard: int,
        soft: int = 0,
        alpha: float = 1.0,
        seed: int,
    ) -> None:
        if hard < 0 or soft < 0 or hard + soft == 0:
            raise InputError(f"a pool needs chains, got hard={hard} and soft={soft}; give at least one")
        self.real_images, self.real_labels, self.recipe = images, labels, recipe.of_images(images.shape[1:])
        self.num_classes, self.hard, self.alpha, self.seed = num_classes, hard, alpha, seed
        self.ids = POOL.ids(hard + soft, device=images.device)
        self.round = 0
        self.steps_done = 0
        self.condition = self._fresh_conditions(self.ids)
        self.states = self._fresh_states(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def rows_of_class(self, label: int) -> Tensor:
        """The hard chains that are asked for one class."""
        return self.ids[: self.hard][self.ids[: self.hard] % self.num_classes == label]

    def states_of(self, rows: Tensor) -> Tensor:
        """Where these chains are, float32 (rows, *shape)."""
        return self.recipe.space.unpack(self.states[rows])

    def restart(self, probability: float, rows: Tensor | None = None) -> int:
        """Begins a new round: each chain, or each of `rows`, restarts with this probability.

        A chain that restarts gets a fresh canvas and a fresh condition.

        Returns:
            How many did.
        """
        self.round += 1
        rows = self.ids if rows is None else rows
        coins = noise.uniform(
            (len(rows), 1),
            seed=self.seed,
            step=self.round,
            chain_ids=rows,
            stream=noise.Stream.REINIT_COIN,
            device=rows.device,
        )
        rows = rows[coins[:, 0] < probability]
        self.condition = self.condition.replaced(rows, self._fresh_conditions(rows))
        self.states.index_copy_(0, rows, self._fresh_states(rows))
        return len(rows)

    def evolve(
        self,
        model: Classifier,
        *,
        rows: Tensor | None = None,
        batch_size: int = 250,
        trace_every: int = 0,
        on_step: OnStep | None = None,
    ) -> list[ChainRecord]:
        """Runs chains on by the recipe's steps, all or those of `rows`; returns the trace of the first batch."""
        trace: list[ChainRecord] = []
        for batch in torch.split(self.ids if rows is None else rows, batch_size):
            x, traced = continue_chains(
                model,
                self.recipe,
                self.states_of(batch),
                self.condition[batch],
                self.real_images,
                self.real_labels,
                seed=self.seed,
                chain_ids=batch,
                first_step=self.steps_done,
                trace_every=0 if trace else trace_every,
                on_step=on_step,
            )
            self.states.index_copy_(0, batch, self.recipe.space.pack(x))
            trace = trace or traced
        self.steps_done += self.recipe.steps
        return trace

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that `load_state_dict` needs to go on, as tensors."""
        return {
            "states": self.states.clone(),
            "first": self.condition.first,
            "second": self.condition.second,
            "weight": self.condition.weight,
            "clock": torch.tensor([self.round, self.steps_done]),
            "split": torch.tensor([self.hard, len(self) - self.hard]),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Puts the pool back to a saved state.

        Raises:
            InputError: the state is of a pool of other numbers of chains or references, or of another image shape.
        """
        saved, own = _described(state), _described(self.state_dict())
        if saved != own:
            raise InputError(
                f"the saved pool holds {saved}, this one {own}; resume with the run's own configuration and data"
            )
        device = self.ids.device
        self.states = state["states"].to(device, copy=True)  # chains run in place
        self.condition = Condition(*(state[name].to(device) for name in ("first", "second", "weight")))
        self.round, self.steps_done = (int(value) for value in state["clock"])

    def _fresh_conditions(self, rows: Tensor) -> Condition:
        is_hard = rows < self.hard
        where = {"references": self.recipe.references, "seed": self.seed, "step": self.round}
        mixed = draw_soft(self.real_labels, rows, alpha=self.alpha, **where)
        one = draw_hard(self.real_labels, rows[is_hard] % self.num_classes, rows[is_hard], **where)
        return mixed.replaced(is_hard.nonzero()[:, 0], one)

    def _fresh_states(self, rows: Tensor) -> Tensor:
        space = self.recipe.space
        return space.pack(space.start(rows, seed=self.seed, step=self.round))


def _described(state: dict[str, Tensor]) -> str:
    hard, soft = state["split"].tolist()
    shape, references = tuple(state["states"].shape[1:]), state["first"].shape[1]
    return f"{hard} hard and {soft} soft chains of shape {shape} with {references} reference(s) each"
