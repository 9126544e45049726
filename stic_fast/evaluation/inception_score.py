# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores read off a judge's class probabilities alone: the Inception Score and DeLiGAN's modified one (MIS)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.evaluation.checks import check_labels, check_positive, finite_rows

LOG_FLOOR = 1e-8  # the smallest probability whose logarithm MIS takes, unless told otherwise


def inception_score(logits: Tensor, *, splits: int = 10, generator: torch.Generator) -> tuple[float, float]:
    """IS = exp(mean over images of KL(p(y|x) ‖ p(y))), as mean and spread over random splits (Salimans et al., 2016).

    From 1, where every image reads alike, to the number of classes, where each is read surely and all are equally
    frequent. The images are dealt to the splits at random, because drawn images often come sorted by class; the
    spread is the standard deviation over splits (divided by their number, 0 for one split). The score depends on the
    number of images in a split, so compare equal counts. Own code, because torchmetrics deals from the global
    generator and divides the spread by splits − 1.

    Args:
        logits: (N, K) of a judge on drawn images, N ≥ splits.
        splits: how many parts.
        generator: a CPU generator, which deals the images.

    Raises:
        InputError: logits that are no finite matrix, or a number of splits outside 1 to N.

    >>> sure = 100 * torch.eye(4).repeat(5, 1)  # four classes, each read surely five times
    >>> mean, spread = inception_score(sure, splits=1, generator=torch.Generator().manual_seed(0))
    >>> round(mean, 6), spread
    (4.0, 0.0)
    """
    logits = finite_rows(logits, what="logits")
    check_count("splits", splits, most=len(logits), why="the number of images")
    dealt = logits[torch.randperm(len(logits), generator=generator)]
    return mean_and_spread([_score_of_split(part) for part in torch.tensor_split(dealt, splits)])


@dataclass(frozen=True)
class ModifiedInceptionScore:
    """MIS over classes: DeLiGAN reports the mean; the spread and every class's own score say what it hides."""

    mean: float
    spread: float  # the standard deviation over classes (divided by their number)
    per_class: tuple[float, ...]  # in order; NaN for a class without images, which is left out of mean and spread


def modified_inception_score(
    logits: Tensor, asked_labels: Tensor, *, num_classes: int, log_floor: float = LOG_FLOOR
) -> ModifiedInceptionScore:
    """MIS: for each class exp(mean over pairs of its images of KL(p(y|xᵢ) ‖ p(y|xⱼ))), then the mean over classes.

    DeLiGAN (Gurumurthy et al., 2017), section 4; STIC's Table 1. It is 1 where all images of a class read alike, and
    large where they read differently, each surely; it grows with wrongly drawn images as with diverse ones, so read
    it beside `cls_r`. The pairs need no pairs: with mean vectors over a class's images,
        mean over i, j of KL(pᵢ ‖ pⱼ) = mean Σ_y pᵢ log pᵢ − Σ_y (mean p)(mean log p),
    which costs O(N·K). As in DeLiGAN's program the pairs i = j, whose KL is 0, count.

    The logarithm is of max(p, log_floor). It decides the size of the score of a sure judge: two images read as
    different classes are apart by −log(log_floor), 18.4 for 1e-8. So a MIS is comparable only with one of the same
    judge and floor, and ours with no number in the papers, which tell neither.

    Args:
        logits: (N, K) of a judge on drawn images.
        asked_labels: integers (N,), the class each image was asked to show; the groups. DeLiGAN, whose images
            have no labels, groups by the class read: pass `logits.argmax(1)` for that.
        num_classes: the number of classes.
        log_floor: the smallest probability whose logarithm is taken, above 0 and at most 1.

    Raises:
        InputError: logits that are no finite matrix, labels that do not fit them or lie outside 0 to num_classes − 1,
            or a floor outside (0, 1].

    >>> logits = torch.tensor([[50.0, 0.0], [0.0, 50.0], [0.0, 50.0], [0.0, 50.0]])
    >>> score = modified_inception_score(logits, torch.tensor([0, 0, 1, 1]), num_classes=2, log_floor=0.01)
    >>> [round(value, 6) for value in score.per_class], round(score.mean, 6)  # half of class 0's pairs: log 100 apart
    ([10.0, 1.0], 5.5)
    """
    logits = finite_rows(logits, what="logits")
    check_positive("log_floor", log_floor, most=1)
    check_labels(asked_labels, len(logits), num_classes, what="asked_labels")
    groups = [logits[asked_labels.cpu() == number] for number in range(num_classes)]
    per_class = tuple(_score_of_class(group, log_floor) if len(group) else math.nan for group in groups)
    mean, spread = mean_and_spread([score for score in per_class if not math.isnan(score)])
    return ModifiedInceptionScore(mean, spread, per_class)


def _score_of_split(logits: Tensor) -> float:
    log_p = logits.log_softmax(1)
    p = log_p.exp()
    marginal = p.mean(0)
    # A class that no image of the split can be read as (p underflows) adds 0 to the divergence.
    divergence = torch.where(p > 0, p * (log_p - marginal.log()), 0.0).sum(1)
    return float(divergence.mean().exp())


def _score_of_class(logits: Tensor, log_floor: float) -> float:
    p = logits.softmax(1)
    log_p = p.clamp_min(log_floor).log()
    own = (p * log_p).sum(1).mean()
    crossed = (p.mean(0) * log_p.mean(0)).sum()
    return float((own - crossed).exp())


def mean_and_spread(scores: list[float]) -> tuple[float, float]:
    """The mean of scores and their standard deviation, divided by their number."""
    mean = math.fsum(scores) / len(scores)
    return mean, math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
