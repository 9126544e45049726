# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The training engine: passes of iterations, with logging, checkpoints, resume and a guard against divergence.

A method supplies its loss and its fakes; the engine knows nothing else of it. Everything random is a function of the
seed and the iteration, so a killed run that resumes from its newest checkpoint reaches the same weights, bit for bit.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import Classifier
from stic_fast.training.config import OptimiserConfig
from stic_fast.training.progress import Progress
from stic_fast.training.run_folder import Checkpoint, RunFolder

ROLLBACKS = 5
"""How often a run may diverge before it gives up."""


class RunConfig(Protocol):
    """The settings that the engine reads of a method's configuration."""

    @property
    def passes(self) -> int: ...
    @property
    def iterations(self) -> int: ...
    @property
    def optimiser(self) -> OptimiserConfig: ...
    @property
    def log_every(self) -> int: ...
    @property
    def checkpoint_every(self) -> int: ...


class Loss(NamedTuple):
    """What a method returns for one iteration: the number to descend, and terms to log."""

    total: Tensor
    terms: dict[str, Tensor]


class Method(Protocol):
    """A way of training: its fakes and its loss."""

    def start_pass(self, pass_number: int, progress: Progress) -> list[dict[str, Any]]:
        """Prepares the pass, counted from 1; returns records to log."""
        ...

    def loss(self, iteration: int) -> Loss:
        """The loss of one iteration, counted over the whole run from 0."""
        ...

    def end_pass(self, pass_number: int, run: RunFolder, progress: Progress) -> list[dict[str, Any]]:
        """Evaluates and draws after a pass; returns records to log."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What the method carries from pass to pass, as tensors and plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts it back."""
        ...


class Engine:
    """Trains `model` by `method` into a run folder.

    Args:
        model: the classifier, updated in place.
        method: supplies loss and fakes.
        config: how long, how fast, how often to save.
        run: where everything is written.
        progress: who watches.
    """

    def __init__(
        self, model: Classifier, method: Method, config: RunConfig, run: RunFolder, progress: Progress | None = None
    ) -> None:
        self.model, self.method, self.config, self.run = model, method, config, run
        self.progress = progress or Progress()
        self.optimiser = torch.optim.Adam(model.parameters(), lr=config.optimiser.lr)
        self.iteration = 0
        self.rollbacks = 0
        self.records: list[dict[str, Any]] = []

    def train(self) -> None:
        """Runs to the last pass, from the newest checkpoint if there is one.

        Raises:
            InputError: a checkpoint that is damaged or of another model, a full disk, a run that keeps diverging.
        """
        if self.run.checkpoints():
            self._restore()
        else:
            self._save(0, None)
        while self.iteration < self.config.passes * self.config.iterations:
            if not self._train_pass(self.iteration // self.config.iterations + 1):
                self._roll_back()

    def _train_pass(self, number: int) -> bool:
        """From where the run stands to the end of this pass; False if it diverged."""
        begin, end = (number - 1) * self.config.iterations, number * self.config.iterations
        if self.iteration == begin:
            self._log(self.method.start_pass(number, self.progress), number)
        started = time.perf_counter()
        with self.progress.task(f"pass {number} of {self.config.passes}", end - self.iteration) as advance:
            while self.iteration < end:
                loss = self._iterate()
                advance()
                last = self.iteration == end
                logs = last or self.iteration % self.config.log_every == 0
                saves = not last and (self.iteration - begin) % self.config.checkpoint_every == 0
                if (logs or saves) and not self._is_finite(loss):
                    return False
                if logs:
                    values = {name: term.item() for name, term in loss.terms.items()}
                    rate = self.optimiser.param_groups[0]["lr"]
                    seconds = round(time.perf_counter() - started, 3)
                    self._log([{"kind": "train", **values, "lr": rate, "seconds": seconds}], number)
                if saves:
                    self._save(number, self.iteration)
        self._log(self.method.end_pass(number, self.run, self.progress), number)
        self._save(number, None)
        self.progress.pass_done(self.run)
        return True

    def _iterate(self) -> Loss:
        options = self.config.optimiser
        for group in self.optimiser.param_groups:
            group["lr"] = options.lr * options.decay ** (self.iteration // options.decay_every) / 2**self.rollbacks
        self.model.train()
        device = next(self.model.parameters()).device.type
        with torch.autocast(device, torch.bfloat16) if options.precision == "bf16" else nullcontext():
            loss = self.method.loss(self.iteration)
        self.optimiser.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        if options.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), options.clip_norm)
        self.optimiser.step()
        self.iteration += 1
        return loss

    def _is_finite(self, loss: Loss) -> bool:
        return bool(torch.isfinite(loss.total)) and all(bool(p.isfinite().all()) for p in self.model.parameters())

    def _roll_back(self) -> None:
        """After a divergence: back to the last good state, with half the step."""
        at, rollbacks = self.iteration, self.rollbacks + 1
        if rollbacks > ROLLBACKS:
            raise InputError(
                f"training diverged {rollbacks} times, last at iteration {at}; lower optimiser.lr or set "
                f"optimiser.clip_norm=1; the last good state is in {self.run.newest_checkpoint().path}"
            )
        unsaved = [record for record in self.records if record["kind"] == "divergence"]
        checkpoint = self._restore()
        self.rollbacks, self.records = rollbacks, unsaved
        self._log([{"kind": "divergence", "at": at, "rollbacks": rollbacks}], checkpoint.pass_number)
        self.progress.say(f"diverged at iteration {at}: back to iteration {self.iteration} with half the learning rate")

    def _log(self, records: list[dict[str, Any]], pass_number: int) -> None:
        for record in records:
            self.records.append({"pass": pass_number, "iteration": self.iteration, **record})

    def _save(self, pass_number: int, iteration: int | None) -> None:
        """Metrics first: whatever a checkpoint covers has been logged."""
        self.run.append_metrics(self.records)
        self.records = []
        state = {
            "iteration": self.iteration,
            "rollbacks": self.rollbacks,
            "optimiser": self.optimiser.state_dict(),
            "method": self.method.state_dict(),
        }
        self.run.save_checkpoint(pass_number, iteration, self.model.state_dict(), state)

    def _restore(self) -> Checkpoint:
        checkpoint = self.run.newest_checkpoint()
        state = checkpoint.load_state()
        load_weights(self.model, checkpoint.load_weights(), str(checkpoint.path))
        self.optimiser.load_state_dict(state["optimiser"])
        self.method.load_state_dict(state["method"])
        self.iteration, self.rollbacks = state["iteration"], state["rollbacks"]
        self.records = []
        self.run.truncate_metrics(checkpoint.pass_number, self.iteration)
        return checkpoint


def load_weights(model: Classifier, weights: dict[str, Tensor], where: str) -> None:
    """Puts weights into the model.

    Raises:
        InputError: they are of another model.
    """
    own = model.state_dict()
    differing = [name for name in own.keys() | weights.keys() if _shape(own, name) != _shape(weights, name)]
    if differing:
        name = min(differing)
        raise InputError(
            f"{where} is of another model: {name} has shape {_shape(weights, name)} there and {_shape(own, name)} in "
            "the configured network; use the config.json that belongs to these weights"
        )
    model.load_state_dict(weights)


def _shape(weights: dict[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(weights[name].shape) if name in weights else None
