# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The training engine: passes of iterations, with logging, checkpoints, resume and a guard against divergence.

A method supplies its loss and its fakes; the engine knows nothing else of it. Everything random is a function of the
seed and the iteration, so a killed run that resumes from its newest checkpoint reaches the same weights, bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from stic_fast.errors import Diverged, InputError
from stic_fast.models import Classifier
from stic_fast.models.fixed_passes import uses_bf16
from stic_fast.stored import reason
from stic_fast.training.averaging import AveragedWeights
from stic_fast.training.checkpoint import WEIGHTS, Checkpoint
from stic_fast.training.config import RunConfig
from stic_fast.training.method import Loss, Method
from stic_fast.training.progress import Progress
from stic_fast.training.run_folder import RunFolder
from stic_fast.training.saved_state import check_adams, check_count_within

ROLLBACKS = 5
"""How often a run may diverge before it gives up."""


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
        self,
        model: Classifier,
        method: Method[Any],
        config: RunConfig,
        run: RunFolder,
        progress: Progress | None = None,
    ) -> None:
        self.model, self.method, self.config, self.run = model, method, config, run
        self.progress = progress or Progress()
        self.parts = {name: list(part) for name, part in method.parts().items()}
        self.optimisers = self._new_optimisers()
        self.average = None if config.average.profile == "off" else AveragedWeights(model, config.average)
        self._autocast = uses_bf16(config.optimiser.precision, next(model.parameters()).device)
        self.iteration = 0
        self.rollbacks = 0
        self.records: list[dict[str, Any]] = []

    def train(self) -> None:
        """Runs to the last pass, from the newest checkpoint if there is one; the model ends with what it is judged by.

        Raises:
            InputError: a checkpoint that is damaged or of another model, a full disk, a run that keeps diverging.
        """
        if self.run.checkpoints():
            self._restore()
        else:
            self._save(0, None)
        while not self._has_ended():
            try:
                self._train_pass(self.iteration // self.config.iterations + 1)
            except Diverged as divergence:
                self._roll_back(divergence)
        if self.average:
            self.average.take_over()

    def _train_pass(self, number: int) -> None:
        """From where the run stands to the end of this pass."""
        begin, end = (number - 1) * self.config.iterations, number * self.config.iterations
        if self.iteration == begin:
            with self._judged():
                self._log(self.method.start_pass(number, self.progress), number)
        started = time.perf_counter()
        with self.progress.task(f"pass {number} of {self.config.passes}", end - self.iteration) as advance:
            while self.iteration < end:
                loss = self._iterate()
                advance()
                last = self.iteration == end
                logs = last or self.iteration % self.config.log_every == 0
                saves = not last and (self.iteration - begin) % self.config.checkpoint_every == 0
                if logs or saves:
                    self._check(loss)
                if logs:
                    values = {name: term.item() for name, term in loss.terms.items()}
                    rate = self._rate(self.iteration - 1)
                    seconds = round(time.perf_counter() - started, 3)
                    self._log([{"kind": "train", **values, "lr": rate, "seconds": seconds}], number)
                if saves:
                    self._save(number, self.iteration)
        with self._judged():
            self._log(self.method.end_pass(number, self.run, self.progress), number)
        self._save(number, None)
        self.progress.pass_done(self.run, self.method.curves)

    def _iterate(self) -> Loss:
        options = self.config.optimiser
        self.model.train()
        device = next(self.model.parameters()).device.type
        with torch.autocast(device, torch.bfloat16) if self._autocast else nullcontext():
            loss = self.method.loss(self.iteration)
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = self._rate(self.iteration)
        totals = self._totals(loss)
        for number, (name, total) in enumerate(totals.items(), 1):  # all gradients before any weight moves
            total.backward(inputs=self.parts[name], retain_graph=number < len(totals))  # type: ignore[no-untyped-call]
        for name in totals:
            if options.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(self.parts[name], options.clip_norm)
            self.optimisers[name].step()
        self.iteration += 1
        if self.average:
            self.average.update(self.iteration)
        return loss

    def _judged(self) -> AbstractContextManager[None]:
        """Within it the model has the weights that it is judged by."""
        return self.average.in_use() if self.average else nullcontext()

    def _totals(self, loss: Loss) -> Mapping[str, Tensor]:
        """The number that each part descends in this iteration."""
        if isinstance(loss.total, Mapping):
            return loss.total
        (part,) = self.parts
        return {part: loss.total}

    def _rate(self, iteration: int) -> float:
        """The learning rate of an iteration."""
        return self.config.optimiser.rate(iteration) * 0.5**self.rollbacks

    def _new_optimisers(self) -> dict[str, torch.optim.Adam]:
        options = self.config.optimiser
        settings: dict[str, Any] = {"lr": options.lr, "betas": (0.9, options.beta2)}
        if options.fused == "on":
            settings["fused"] = True
        return {name: torch.optim.Adam(part, **settings) for name, part in self.parts.items()}

    def _has_ended(self) -> bool:
        """Whether all passes are done, or the method has said at the end of one that no more are needed."""
        if self.iteration == self.config.passes * self.config.iterations:
            return True
        return self.iteration > 0 and self.iteration % self.config.iterations == 0 and self.method.finished()

    def _check(self, loss: Loss) -> None:
        largest = self.config.optimiser.largest_loss
        for total in self._totals(loss).values():
            value = total.item()
            if not abs(value) <= largest:
                raise Diverged(f"the loss is {value:.3g}, beyond optimiser.largest_loss={largest:g}")
        if not self._is_finite():
            raise Diverged("the weights are not finite")

    def _is_finite(self) -> bool:
        return all(bool(parameter.isfinite().all()) for parameter in self.model.parameters())

    def _roll_back(self, divergence: Diverged) -> None:
        """After a divergence: back to the last good state, with half the step."""
        at, rollbacks = self.iteration, self.rollbacks + 1
        options = self.config.optimiser
        hint = f"lower optimiser.lr={options.lr:g} or set optimiser.clip_norm=1"
        if options.guard == "off":
            raise InputError(f"training diverged at iteration {at}: {divergence}; {hint}, or optimiser.guard=on")
        if rollbacks > ROLLBACKS:
            raise InputError(
                f"training diverged {rollbacks} times, last at iteration {at}: {divergence}; {hint}; the last good "
                f"state is in {self.run.newest_checkpoint().path}"
            )
        unsaved = [record for record in self.records if record["kind"] == "divergence"]
        self._drop_unproven_state()
        checkpoint = self._restore()
        self.rollbacks, self.records = rollbacks, unsaved
        record = {"kind": "divergence", "at": at, "rollbacks": rollbacks, "why": str(divergence)}
        self._log([record], checkpoint.pass_number)
        where = f"back to iteration {self.iteration} with half the learning rate"
        self.progress.say(f"diverged at iteration {at}, {divergence}: {where}")

    def _drop_unproven_state(self) -> None:
        """The newest checkpoint led to the divergence within one interval; the one before it has outlived one."""
        *older, newest = self.run.checkpoints()
        if older and older[-1].is_whole:
            self.run.drop(newest)

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
            "optimiser": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "method": self.method.state_dict(),
        }
        if self.average:
            state["weights"] = {name: weight.clone() for name, weight in self.average.state_dict().items()}
        with self._judged():
            self.run.save_checkpoint(pass_number, iteration, self.model.state_dict(), state)

    def _restore(self) -> Checkpoint:
        checkpoint = self.run.newest_checkpoint()
        state = checkpoint.load_state()
        load_weights(self.model, checkpoint.load_weights(), str(checkpoint.path))
        if not self._is_finite():  # no checkpoint was ever saved so
            raise checkpoint.misfit("its weights are not finite", WEIGHTS)
        try:
            self._load(state, checkpoint)
        except InputError:
            raise
        except Exception as error:  # of a state that is no run's: whatever putting it into optimiser and method raises
            raise checkpoint.misfit(reason(error)) from error
        self.records = []
        self.run.truncate_metrics(checkpoint.pass_number, self.iteration)
        return checkpoint

    def _load(self, state: dict[str, Any], checkpoint: Checkpoint) -> None:
        end_of_pass = checkpoint.pass_number * self.config.iterations
        iteration = end_of_pass if checkpoint.iteration is None else checkpoint.iteration
        check_count_within(state["iteration"], "iteration", iteration, iteration)
        check_count_within(state["rollbacks"], "rollbacks", 0, ROLLBACKS)
        check_adams(state["optimiser"], self.optimisers)
        self.method.load_state_dict(state["method"])
        if self.average:
            self.average.load_state_dict(state["weights"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimiser"][name])
        self.iteration, self.rollbacks = state["iteration"], state["rollbacks"]


def load_weights(model: Classifier, weights: dict[str, Tensor], where: str) -> None:
    """Puts weights into the model."""
    own = model.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        there, here = _shape(weights, name), _shape(own, name)
        if there != here:
            what, hint = f"has shape {there} there and {here}", "use the config.json that belongs to these weights"
        elif weights[name].dtype != own[name].dtype:
            what = f"is {weights[name].dtype} there and {own[name].dtype}"
            hint = "restore these weights as the run wrote them"
        else:
            continue
        raise InputError(f"{where} is of another model: {name} {what} in the configured network; {hint}")
    model.load_state_dict(weights)


def _shape(weights: dict[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(weights[name].shape) if name in weights else None
