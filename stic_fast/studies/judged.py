# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A judge beside a run, and what it says of drawn images, of real ones and of noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.data import Splits
from stic_fast.errors import InputError
from stic_fast.evaluation import JudgeNetwork, cls_g, load_judge, metric_name, read_images
from stic_fast.evaluation.class_scores import cls_g_of_real
from stic_fast.evaluation.features import Reading
from stic_fast.evaluation.image_scores import ReferenceImages, Score, scores_of_reading
from stic_fast.evaluation.outliers import uniform_noise
from stic_fast.evaluation.records import subset
from stic_fast.training import Progress, TrainedRun


@dataclass(frozen=True)
class Judged:
    """A network that never drew, trained on the run's real images or loaded; `Judged.of` makes it.

    The scores are those of `stic-fast evaluate` at the same judge, seed and count.
    """

    judge: JudgeNetwork
    splits: Splits
    num_classes: int
    n: int
    """Images of a set; distances are compared between sets of like size only."""
    seed: int
    judge_iterations: int
    batch_size: int
    say: Callable[[str], None]
    """Told what happens to the cache."""

    @classmethod
    def of(
        cls,
        run: TrainedRun,
        *,
        judge: str = "cnn",
        n: int,
        seed: int,
        judge_iterations: int = 600,
        batch_size: int = 250,
        progress: Progress,
    ) -> Judged:
        """Trains or loads the judge.

        Args:
            judge: cnn, trained on the run's real data; resnet20:PATH; torchscript:PATH?OPTIONS.
            n: images of each set that is to be judged.
            seed: of the judge's training, and of what is chosen of the real images.
            judge_iterations: of the cnn judge's training.
            batch_size: images read at a time.

        Raises:
            InputError: a judge that cannot be had, or numbers out of their range.
        """
        check_count("n", n)
        check_count("judge_iterations", judge_iterations)
        train, classes = run.splits.train, run.model.num_classes
        with progress.task("training a judge on real images", judge_iterations) as advance:
            network = load_judge(
                judge,
                train.images,
                train.labels,
                classes,
                seed=seed,
                iterations=judge_iterations,
                progress=lambda *_: advance(),
                say=progress.say,
            )
        return cls(network, run.splits, classes, n, seed, judge_iterations, batch_size, progress.say)

    @cached_property
    def reference(self) -> ReferenceImages:
        """What it reads of the real training images, once a score is asked for."""
        return ReferenceImages.cached(
            self.judge,
            self.splits.train.images,
            most=self.n,
            seed=self.seed,
            batch_size=self.batch_size,
            say=self.say,
        )

    def read(self, images: Tensor) -> Reading:
        """What it sees in uint8 images (N, C, H, W), features and all."""
        return read_images(self.judge, images, batch_size=self.batch_size, keep_features=True)

    def scores(self, images: Tensor | Reading, labels: Tensor) -> dict[str, Score]:
        """All scores of uint8 images (N, C, H, W), or of what was read of them, by the names in `MEANINGS`.

        Args:
            labels: the classes asked for, int64 (N,).
        """
        reading = images if isinstance(images, Reading) else self.read(images)
        settings = {"num_classes": self.num_classes, "seed": self.seed}
        return scores_of_reading(reading, self.reference, labels, **settings)[0]

    def cls_g(self, images: Tensor, labels: Tensor, progress: Progress) -> float:
        """Cls_G of drawn images, uint8 (N, C, H, W): a network that learns from them alone reads the real test set."""
        with progress.task("training a judge on drawn images", self.judge_iterations) as advance:
            return cls_g(
                images,
                labels,
                self.splits.test.images,
                self.splits.test.labels,
                num_classes=self.num_classes,
                seed=self.seed,
                iterations=self.judge_iterations,
                progress=lambda *_: advance(),
            )

    def cls_g_of_real(self, progress: Progress) -> float:
        """Cls_G of n real training images; the network that learns from them is kept for the next run on them."""
        train, test = self.splits.train, self.splits.test
        with progress.task("training a judge on as many real images", self.judge_iterations) as advance:
            return cls_g_of_real(
                (train.images, train.labels),
                (test.images, test.labels),
                num_classes=self.num_classes,
                n=self.n,
                seed=self.seed,
                iterations=self.judge_iterations,
                progress=lambda *_: advance(),
                say=self.say,
            )

    def real(self) -> dict[str, Score]:
        """The same of n real test images, or of all where there are fewer: what a perfect sampler would reach."""
        test = self.splits.test
        return self.scores(*subset(test.images, test.labels, self.n, self.seed))

    def noise(self) -> dict[str, Score]:
        """The same of n images of uniform noise, which show no class at all."""
        images = uniform_noise(self.n, self.splits.train.image_shape, seed=self.seed)
        return self.scores(images, torch.arange(self.n) % self.num_classes)

    def probabilities(self, images: Tensor) -> Tensor:
        """p(y|x) as the judge reads uint8 images (N, C, H, W); float32 (N, classes).

        Raises:
            InputError: the judge knows other classes than the run.
        """
        if self.judge.num_classes != self.num_classes:
            raise InputError(
                f"judge {self.judge.name!r} knows {self.judge.num_classes} classes and the run {self.num_classes}; "
                "take one that was trained on the run's classes, such as cnn"
            )
        return read_images(self.judge, images, batch_size=self.batch_size).logits.softmax(dim=1)

    def name(self, score: str) -> str:
        """The score's name with judge and count, such as FD-cnn@1k."""
        return metric_name(score, self.judge.name, self.n)
