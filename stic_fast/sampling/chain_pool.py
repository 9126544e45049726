# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""ChainPool: persistent chains, each asked for one class or for a mixture of two, restarted now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import Classifier
from stic_fast.noise_addresses import POOL
from stic_fast.ops import noise
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.sampling.canvas import canvas
from stic_fast.sampling.condition import Condition, draw_hard, draw_soft
from stic_fast.sampling.draw import continue_chains
from stic_fast.sampling.grmala import ChainRecord
from stic_fast.sampling.recipe import Recipe


class ChainPool:
    """Chains 0 .. hard − 1 are asked for one class, the rest for a mixture of two.

    The fakes of STIC's passes (Algorithm 1), and the replay buffer of energy-based models (JEM; GMMC, Algorithm 1).
    Chain k's id is k for ever; what distinguishes its restarts is the round they happen in.

    Args:
        images, labels: the real images that conditions refer to, uint8 (images, channels, height, width) and int64.
        recipe: how chains run and where they start.
        num_classes: classes of `labels`; hard chain k is asked for class k mod num_classes.
        hard, soft: numbers of chains.
        alpha: of the soft chains' λ ~ Beta(α, α).
        seed: of all noise.
        keep: "floats", states exactly as the chains left them; or "bytes", rounded to the 256 levels of images in a
            quarter of the memory, which undoes every move below 1/255 between two runs of a chain.

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
        keep: Literal["floats", "bytes"] = "floats",
    ) -> None:
        if hard < 0 or soft < 0 or hard + soft == 0:
            raise InputError(f"a pool needs chains, got hard={hard} and soft={soft}; give at least one")
        self.real_images, self.real_labels, self.recipe = images, labels, recipe
        self.num_classes, self.hard, self.alpha, self.seed, self.keep = num_classes, hard, alpha, seed, keep
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

    def unit_states(self, rows: Tensor) -> Tensor:
        """Where these chains are, float32 (rows, channels, height, width) in [−1, 1]."""
        states = self.states[rows]
        return to_unit(states) if self.keep == "bytes" else states

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
        on_step: Callable[[], None] | None = None,
    ) -> list[ChainRecord]:
        """Runs chains on by the sampler's steps, all or those of `rows`; returns the trace of the first batch."""
        rows = self.ids if rows is None else rows
        x, trace = continue_chains(
            model,
            self.recipe,
            self.unit_states(rows),
            self.condition[rows],
            self.real_images,
            self.real_labels,
            seed=self.seed,
            chain_ids=rows,
            first_step=self.steps_done,
            batch_size=batch_size,
            trace_every=trace_every,
            on_step=on_step,
        )
        self.states.index_copy_(0, rows, self._kept(x))
        self.steps_done += self.recipe.sampler.steps
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
        return self._kept(canvas(self.recipe.start, self.real_images.shape[1:], rows, seed=self.seed, step=self.round))

    def _kept(self, x: Tensor) -> Tensor:
        return to_bytes(x) if self.keep == "bytes" else x


def _described(state: dict[str, Tensor]) -> str:
    hard, soft = state["split"].tolist()
    shape, references = tuple(state["states"].shape[1:]), state["first"].shape[1]
    return f"{hard} hard and {soft} soft chains of shape {shape} with {references} reference(s) each"
