# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""STIC: a classifier trained on real, mixed, and its own drawn images (Algorithm 1, equation 5)."""

from __future__ import annotations

import copy
import zlib
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from stic_fast.data import Splits
from stic_fast.errors import InputError
from stic_fast.evaluation import accuracy
from stic_fast.models import Classifier
from stic_fast.ops import noise, vrm_batch
from stic_fast.plots import save_grid
from stic_fast.sampling import ChainPool, draw_hard, draw_images
from stic_fast.training.batch_order import BatchOrder
from stic_fast.training.config import SticConfig
from stic_fast.training.engine import Loss
from stic_fast.training.progress import Progress
from stic_fast.training.run_folder import RunFolder, writing

FRESH_CHAINS = 2**31
"""Ids of chains outside the pool begin here, so that they share no noise with it."""
BATCH_ROWS = 2**30
"""Ids of the rows of training batches begin here, so that mixup shares no noise with the conditions of the pool."""
GRID_COLUMNS = 10


class Stic:
    """The four terms of equation 5 and the fakes they need.

    Pass 1 takes blank images, all 255, as fakes. Pass τ + 1 takes chains drawn from the classifier of pass τ: half of
    them hard, asked for one class, half soft, asked for a mixup of two. That classifier is fixed, so one pool drawn
    as the pass begins stands for draws in every iteration; `pool.refresh` draws some in every iteration all the same,
    from a copy of it. Without VRM (STIC-ERM) there are no mixed images and no
    soft fakes.

    Args:
        model: the classifier in training, with a fake class.
        splits: real images on the model's device.
        config: the run's settings.
    """

    def __init__(self, model: Classifier, splits: Splits, config: SticConfig) -> None:
        self.model, self.splits, self.config = model, splits, config
        self.images, self.labels = splits.train.images, splits.train.labels
        self.checksum = _checksum(self.images, self.labels)
        self.vrm = config.vrm == "on"
        size, seed, device = config.batch_size, config.seed, self.images.device
        self.real_order = BatchOrder(count=len(self.labels), batch_size=size, seed=seed, lane=0, device=device)
        self.mixup_order = BatchOrder(count=len(self.labels), batch_size=size, seed=seed, lane=1, device=device)
        self.pool: ChainPool | None = None
        self.previous: Classifier | None = None

    def start_pass(self, pass_number: int, progress: Progress) -> list[dict[str, Any]]:
        """Draws this pass's fakes from the classifier as the last pass left it."""
        if pass_number == 1:
            return []
        options = self.config.pool
        if self.pool is None:
            self.pool = self._new_pool()
        else:
            self.pool.restart(options.restart_probability)
        if options.refresh:
            self.previous = copy.deepcopy(self.model)
        batches = -(-len(self.pool) // options.batch_size)
        with progress.task(f"fakes for pass {pass_number}", batches * options.sampler.steps) as advance:
            trace = self.pool.evolve(
                self.model,
                options.sampler,
                normalize=self.config.normalize,
                batch_size=options.batch_size,
                trace_every=max(1, options.sampler.steps // 20),
                on_step=advance,
            )
        return [{"kind": "chain", **record._asdict()} for record in trace]

    def loss(self, iteration: int) -> Loss:
        """Equation 5, each sum as a mean over its batch."""
        self._refresh(iteration)
        rows = self.real_order.rows(iteration)
        batches = {"real": self._batch(0, self.images[rows], self.labels[rows], iteration, real=True)}
        if self.vrm:
            rows = self.mixup_order.rows(iteration)
            batches["mixup"] = self._batch(1, self.images[rows], self.labels[rows], iteration, real=True, mix=True)
        batches["hard_fake"] = self._batch(2, *self._fakes(iteration, soft=False), iteration)
        if self.vrm:
            batches["soft_fake"] = self._batch(3, *self._fakes(iteration, soft=True), iteration)

        logits = self.model(torch.cat([x for x, _ in batches.values()])).float()
        parts = logits.split(self.config.batch_size)
        losses = {name: cross_entropy(part, y) for part, (name, (_, y)) in zip(parts, batches.items(), strict=True)}
        total = torch.stack(list(losses.values())).sum()
        hits = self.model.class_logits(parts[0]).argmax(1) == batches["real"][1].argmax(1)
        terms = {"loss": total, **{f"loss_{name}": value for name, value in losses.items()}}
        return Loss(total, {name: term.detach() for name, term in {**terms, "accuracy": hits.float().mean()}.items()})

    def end_pass(self, pass_number: int, run: RunFolder, progress: Progress) -> list[dict[str, Any]]:
        """Test accuracy, and a grid of fresh samples, one class a row."""
        test, classes = self.splits.test, self.model.num_classes
        with progress.task(f"samples after pass {pass_number}", self.config.sampler.steps) as advance:
            asked = torch.arange(classes, device=self.images.device).repeat_interleave(GRID_COLUMNS)
            ids = torch.arange(len(asked), device=self.images.device) + FRESH_CHAINS
            drawn = draw_images(
                self.model,
                self.config.sampler,
                draw_hard(self.labels, asked, ids, references=self.config.references, seed=self.config.seed),
                self.images,
                self.labels,
                seed=self.config.seed,
                chain_ids=ids,
                start=self.config.pool.start,
                normalize=self.config.normalize,
                batch_size=len(asked),
                on_step=advance,
            )
        path = run.picture("samples", f"pass_{pass_number:03d}.png")
        with writing(path):
            save_grid(path, drawn.cpu(), columns=GRID_COLUMNS, row_labels=self.splits.train.class_names)
        score = accuracy(self.model, test.images, test.labels, classes)
        progress.say(f"pass {pass_number}: test accuracy {score:.3f}, samples in {path}")
        return [{"kind": "evaluation", "test_accuracy": score}]

    def state_dict(self) -> dict[str, Any]:
        """The pool, once there is one, the classifier that refreshes it, and a checksum of the training images."""
        pool = None if self.pool is None else self.pool.state_dict()
        previous = None if self.previous is None else self.previous.state_dict()
        return {"pool": pool, "previous": previous, "checksum": self.checksum}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts the pool back.

        Raises:
            InputError: the training images are not those of the saved state.
        """
        if state["checksum"] != self.checksum:
            raise InputError(
                f"the training images of {self.config.data} changed since this run was saved; restore them, or train "
                "anew into another folder"
            )
        self.pool = None
        if state["pool"] is not None:
            self.pool = self._new_pool()
            self.pool.load_state_dict(state["pool"])
        self.previous = None
        if state["previous"] is not None:
            self.previous = copy.deepcopy(self.model)
            self.previous.load_state_dict(state["previous"])

    def _new_pool(self) -> ChainPool:
        soft = self.config.pool.chains // 2 if self.vrm else 0
        return ChainPool(
            self.images,
            self.labels,
            num_classes=self.model.num_classes,
            hard=self.config.pool.chains - soft,
            soft=soft,
            alpha=self.config.augmentation.mixup_alpha,
            references=self.config.references,
            seed=self.config.seed,
            start=self.config.pool.start,
        )

    def _refresh(self, iteration: int) -> None:
        """Draws the next chains of the pool anew, round and round."""
        count = self.config.pool.refresh
        if self.pool is not None and self.previous is not None and count:
            rows = (torch.arange(count, device=self.images.device) + iteration * count) % len(self.pool)
            self.pool.redraw(
                torch.unique(rows), self.previous, self.config.pool.sampler, normalize=self.config.normalize
            )

    def _fakes(self, iteration: int, *, soft: bool) -> tuple[Tensor, Tensor]:
        """A batch of one kind of fakes and their label, the fake class."""
        size, device = self.config.batch_size, self.images.device
        labels = torch.full((size,), self.model.num_classes, device=device)
        if self.pool is None:
            return torch.full((size, *self.images.shape[1:]), 255, dtype=torch.uint8, device=device), labels
        ids = torch.arange(size, device=device) + FRESH_CHAINS + size * soft
        stream = noise.Stream.BATCH_ORDER
        draws = noise.uniform(
            (size, 1), seed=self.config.seed, step=iteration, chain_ids=ids, stream=stream, device=device
        )
        kind = self.pool.states[self.pool.hard :] if soft else self.pool.states[: self.pool.hard]
        return kind[(draws[:, 0] * len(kind)).long().clamp_(max=len(kind) - 1)], labels

    def _batch(
        self, place: int, images: Tensor, labels: Tensor, iteration: int, *, real: bool = False, mix: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Network input and soft labels; `place` keeps the noise of the four batches apart."""
        options = self.config.augmentation
        return vrm_batch(
            images,
            labels,
            num_classes=self.model.num_logits,
            mixup_alpha=options.mixup_alpha if mix else None,
            noise_std=options.noise_std,
            flip_probability=options.flip_probability if real else 0.0,
            max_shift=options.max_shift if real else 0,
            seed=self.config.seed,
            step=iteration,
            chain_ids=torch.arange(len(images), device=images.device) + BATCH_ROWS + place * self.config.batch_size,
        )


def _checksum(images: Tensor, labels: Tensor) -> int:
    return zlib.crc32(labels.cpu().numpy().tobytes(), zlib.crc32(images.cpu().numpy().tobytes()))
