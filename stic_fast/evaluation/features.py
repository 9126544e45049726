# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a judge reads of many images: its logits, its features, and their mean and covariance, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.errors import InputError
from stic_fast.evaluation.checks import check_equal_lengths, check_images, finite_rows
from stic_fast.models.frozen import frozen
from stic_fast.models.weights import device_of


@runtime_checkable
class JudgeNetwork(Protocol):
    """A network with features and logits. `Judge` and `NetworkJudge` are two; any object with these four will do.

    One that also has `features_and_logits`, which returns both from one forward pass, is read at half the work.

    >>> from stic_fast.evaluation.judge import Judge
    >>> judge = Judge((1, 8, 8), 10, generator=torch.Generator().manual_seed(0))
    >>> isinstance(judge, JudgeNetwork), judge.name
    (True, 'cnn')
    """

    name: str  # enters the metrics' names: "FD-resnet20@10k"
    num_classes: int  # K, the width of the logits

    def features(self, images: Tensor) -> Tensor:
        """Feature vectors, float32 (N, D), of images (N, C, H, W), uint8 or floating point in [-1, 1]."""

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, K) of such images."""


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Count, mean and scatter of feature vectors in float64: all that the Fréchet distance needs of many images.

    Two of them are combined exactly (Chan, Golub and LeVeque, 1983): with d = mean₂ − mean₁ the scatter of both sets
    together is S₁ + S₂ + d dᵀ·n₁n₂/(n₁ + n₂). The order and size of the batches change the last digits only.

    >>> features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [4.0, 6.0]])
    >>> statistics = FeatureStatistics.of(features[:1]).merged(FeatureStatistics.of(features[1:]))
    >>> statistics.count, statistics.mean.tolist()
    (3, [2.0, 2.0])
    >>> statistics.covariance.tolist()
    [[4.0, 6.0], [6.0, 12.0]]
    """

    count: int  # N
    mean: Tensor  # float64 (D,)
    scatter: Tensor  # float64 (D, D): the sum of (f − mean)(f − mean)ᵀ

    @classmethod
    def of(cls, features: Tensor) -> FeatureStatistics:
        """The statistics of features (N, D), N ≥ 1; InputError where they are no finite floating-point matrix."""
        features = finite_rows(features, what="features")
        mean = features.mean(0)
        centred = features - mean
        return cls(len(features), mean, centred.T @ centred)

    def merged(self, other: FeatureStatistics) -> FeatureStatistics:
        """The statistics of both sets together; InputError where the features have different lengths."""
        check_equal_lengths(self.mean, other.mean)
        count = self.count + other.count
        step = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(step, step) * (self.count * other.count / count)
        return FeatureStatistics(count, self.mean + step * (other.count / count), scatter)

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance, scatter/(N − 1), float64 (D, D); InputError where N is 1."""
        if self.count < 2:
            raise InputError(f"a covariance needs at least 2 images, got {self.count}; give more images")
        return self.scatter / (self.count - 1)


@dataclass(frozen=True, eq=False)
class Reading:
    """What a judge read of N images; `read_images` makes it."""

    logits: Tensor  # float32 (N, K), on the CPU
    statistics: FeatureStatistics  # of the features of all N images
    features: Tensor | None  # float32 (N, D), on the CPU; None unless they were asked for

    def at(self, rows: Tensor) -> Reading:
        """The reading of some of the images, by their numbers, int64 (n,) with n ≥ 1; the features must be there."""
        assert self.features is not None, "read_images was not asked to keep the features"
        some = self.features[rows]
        return Reading(self.logits[rows], FeatureStatistics.of(some), some)


def read_images(
    judge: JudgeNetwork,
    images: Tensor | Iterable[Tensor],
    *,
    batch_size: int = 256,
    keep_features: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Reading:
    """Show a judge many images, batch by batch, and keep logits, feature statistics and, where asked, features.

    Beside the images it holds one batch, N·K logits and a D×D matrix, and N·D features only with `keep_features`.
    Images may come in parts from a generator, so that they need never lie in memory together. The judge runs without
    gradients, on its own device, in evaluation mode, and gets its modes back.

    Args:
        judge: a network with `features` and logits; one forward pass per batch where it has `features_and_logits`.
        images: uint8 (N, C, H, W), or an iterable of such tensors, empty ones among them allowed.
        batch_size: images per forward pass; it changes rounding at most.
        keep_features: whether to return the features themselves: kernel distance and precision/recall need them.
        progress: called as progress(images read so far) after each batch.

    Raises:
        InputError: no images at all, images of another type or shape, or a judge whose output is not a finite matrix
            with one row per image.

    >>> from stic_fast.evaluation.judge import Judge
    >>> judge = Judge((1, 8, 8), 10, generator=torch.Generator().manual_seed(0)).eval()
    >>> reading = read_images(judge, torch.zeros(5, 1, 8, 8, dtype=torch.uint8), batch_size=2)
    >>> reading.logits.shape, reading.statistics.count, reading.statistics.mean.shape, reading.features
    (torch.Size([5, 10]), 5, torch.Size([64]), None)
    """
    check_count("batch_size", batch_size)
    logits: list[Tensor] = []
    kept: list[Tensor] = []
    statistics: FeatureStatistics | None = None
    with torch.no_grad(), frozen(judge):
        for batch in _batches(images, batch_size):
            batch_features, batch_logits = _read_batch(judge, batch.to(device_of(judge, batch)))
            logits.append(batch_logits)
            if keep_features:
                kept.append(batch_features)
            read = FeatureStatistics.of(batch_features)
            statistics = statistics.merged(read) if statistics else read
            if progress is not None:
                progress(statistics.count)
    if statistics is None:
        raise InputError("a judge was given no images; give at least one")
    return Reading(torch.cat(logits), statistics, torch.cat(kept) if keep_features else None)


def metric_name(metric: str, judge: str, count: int) -> str:
    """The name under which a judged metric is reported: never without its judge and the number of drawn images.

    >>> metric_name("FD", "resnet20", 10_000), metric_name("IS", "cnn", 2_500)
    ('FD-resnet20@10k', 'IS-cnn@2500')
    """
    return f"{metric}-{judge}@{f'{count // 1000}k' if count and count % 1000 == 0 else count}"


def _batches(images: Tensor | Iterable[Tensor], batch_size: int) -> Iterable[Tensor]:
    for part in (images,) if isinstance(images, Tensor) else images:
        check_images(part, least=0)
        if len(part):
            yield from torch.split(part, batch_size)


def _read_batch(judge: JudgeNetwork, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features and logits as float32 on the CPU, one finite row per image."""
    both = getattr(judge, "features_and_logits", None)
    features, logits = both(images) if both else (judge.features(images), judge(images))
    for what, values in (("features", features), ("logits", logits)):
        if values.ndim != 2 or len(values) != len(images):
            raise InputError(
                f"judge {judge.name!r} gave {what} of shape {tuple(values.shape)} for {len(images)} images; "
                "a judge gives one row per image"
            )
        if not values.isfinite().all():
            raise InputError(f"judge {judge.name!r} gave {what} with NaN or infinity; check its weights")
    return features.float().cpu(), logits.float().cpu()
