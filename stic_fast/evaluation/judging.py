# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A judge beside real images, and what it says of drawn images, of real ones and of noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.data import Splits
from stic_fast.errors import InputError
from stic_fast.evaluation.class_scores import cls_g, cls_r
from stic_fast.evaluation.features import JudgeNetwork, Reading, metric_name, read_images
from stic_fast.evaluation.image_scores import ReferenceImages, Score, scores_of_reading
from stic_fast.evaluation.judges import cached_judge, load_judge
from stic_fast.evaluation.manifold import ManifoldScores
from stic_fast.evaluation.network_judge import as_judge
from stic_fast.evaluation.outliers import uniform_noise
from stic_fast.evaluation.records import subset

Kind = TypeVar("Kind", bound="Judging")


class Display(Protocol):
    """Whoever is told how far the work is; `stic_fast.training.Progress` is one."""

    def task(self, description: str, total: int) -> AbstractContextManager[Callable[..., None]]:
        """A piece of work of `total` steps; what it gives is called after each."""

    def say(self, message: str) -> None:
        """A line of news."""


@dataclass(frozen=True)
class Judging:
    """A network that never drew, trained on real images or loaded; `Judging.by` makes it.

    The scores are those of `stic-fast evaluate` at the same judge, seed and count.
    """

    judge: JudgeNetwork
    splits: Splits
    num_classes: int
    labelled: bool  # whether the labels of the real images mean anything
    n: int  # images of a set; distances are compared between sets of like size only
    seed: int
    judge_iterations: int
    batch_size: int
    say: Callable[[str], None] | None  # told what happens to the cache

    @classmethod
    def by(
        cls: type[Kind],
        judge: object,
        splits: Splits,
        *,
        labelled: bool = True,
        n: int,
        seed: int,
        judge_iterations: int,
        batch_size: int,
        progress: Display | None = None,
    ) -> Kind:
        """Trains or loads the judge; InputError where it cannot be had, or numbers are out of their range.

        Args:
            judge: a name (see `load_judge`), or a network (see `as_judge`).
            splits: real images to compare with, and to hold out.
            seed: of the judge's training, and of what is chosen of the real images.
            judge_iterations: of the cnn judge's training.
            The others: as the attributes.
        """
        for what, count in (("n", n), ("judge_iterations", judge_iterations), ("batch_size", batch_size)):
            check_count(what, count)
        train, say = splits.train, progress.say if progress else None
        if not isinstance(judge, str):
            network = as_judge(judge, train.image_shape)
        elif judge == "cnn" and not labelled:
            raise InputError("the judge cnn learns from labels, which these real images lack; give some with labels")
        else:
            data = (train.images, train.labels, train.num_classes)
            with _training(progress, "real images", seed, judge_iterations) as training:
                network = load_judge(judge, *data, **training, say=say)
        classes = train.num_classes if labelled else network.num_classes
        return cls(network, splits, classes, labelled, n, seed, judge_iterations, batch_size, say)

    @cached_property
    def reference(self) -> ReferenceImages:
        """What it reads of the real training images, once a score is asked for."""
        settings: dict[str, Any] = {"most": self.n, "seed": self.seed, "batch_size": self.batch_size}
        return ReferenceImages.cached(self.judge, self.splits.train.images, say=self.say, **settings)

    def read(self, images: Tensor) -> Reading:
        """What it sees in uint8 images (N, C, H, W), features and all."""
        return read_images(self.judge, images, batch_size=self.batch_size, keep_features=True)

    def measured(
        self, images: Tensor | Reading, labels: Tensor | None
    ) -> tuple[dict[str, Score], tuple[ManifoldScores, ...]]:
        """All scores of uint8 images, or of what was read of them, and the manifold scores over k."""
        reading = images if isinstance(images, Reading) else self.read(images)
        return scores_of_reading(reading, self.reference, labels, num_classes=self.num_classes, seed=self.seed)

    def scores(self, images: Tensor | Reading, labels: Tensor | None) -> dict[str, Score]:
        """The same without the manifold scores over k, by the names in `MEANINGS`."""
        return self.measured(images, labels)[0]

    def cls_g(self, images: Tensor, labels: Tensor, progress: Display | None) -> float:
        """Cls_G of drawn images, uint8 (N, C, H, W): a network that learns from them alone reads the real test set."""
        test = self.splits.test
        with _training(progress, "drawn images", self.seed, self.judge_iterations) as training:
            return cls_g(images, labels, test.images, test.labels, num_classes=self.num_classes, **training)

    def cls_g_of_real(self, progress: Display | None) -> float:
        """Cls_G of n real training images; the network that learns from them is kept for the next run on them."""
        images, labels = subset(self.splits.train.images, self.splits.train.labels, self.n, self.seed)
        with _training(progress, "as many real images", self.seed, self.judge_iterations) as training:
            learnt = cached_judge(images, labels, self.num_classes, **training, say=self.say)
        return cls_r(learnt, self.splits.test.images, self.splits.test.labels)

    def real_images(self) -> tuple[Tensor, Tensor | None]:
        """n real test images, or all where there are fewer, and their labels where they have some."""
        images, labels = subset(self.splits.test.images, self.splits.test.labels, self.n, self.seed)
        return images, labels if self.labelled else None

    def noise_images(self) -> Tensor:
        """n images of uniform noise."""
        return uniform_noise(self.n, self.splits.train.image_shape, seed=self.seed)

    def real(self) -> dict[str, Score]:
        """The scores of real test images: what a perfect sampler would reach."""
        return self.scores(*self.real_images())

    def noise(self) -> dict[str, Score]:
        """The scores of noise, which shows no class at all."""
        return self.scores(self.noise_images(), torch.arange(self.n) % self.num_classes)

    def probabilities(self, images: Tensor) -> Tensor:
        """p(y|x), float32 (N, classes), of uint8 images (N, C, H, W); InputError where it knows other classes."""
        if self.judge.num_classes != self.num_classes:
            raise InputError(
                f"judge {self.judge.name!r} knows {self.judge.num_classes} classes and the run {self.num_classes}; "
                "take one that was trained on the run's classes, such as cnn"
            )
        return read_images(self.judge, images, batch_size=self.batch_size).logits.softmax(dim=1)

    def name(self, score: str) -> str:
        """The score's name with judge and count, such as FD-cnn@1k."""
        return metric_name(score, self.judge.name, self.n)


@contextmanager
def _training(progress: Display | None, what: str, seed: int, iterations: int) -> Iterator[dict[str, Any]]:
    """The settings of a judge's training, the display told of each iteration."""
    settings: dict[str, Any] = {"seed": seed, "iterations": iterations}
    if progress is None:
        yield settings
    else:
        with progress.task(f"training a judge on {what}", iterations) as advance:
            yield {**settings, "progress": lambda *_: advance()}
