# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How far a classifier's confidence can be believed: negative log-likelihood, calibration error, reliability diagram.

GMMC, section 4.2 and appendix D. Everything is computed in float64 from logits over the C real classes: a logit beyond
them, STIC's fake class "−1", is dropped and the softmax taken over the first C, as predictions are.

Temperature scaling (Guo et al., On Calibration of Modern Neural Networks, ICML 2017) divides logits by one fitted
number and changes no prediction. For a GMMC, whose logits are −‖φ(x) − μ_y‖²/2γ², it is a factor on γ².
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from stic_fast.counts import check_count
from stic_fast.evaluation.checks import check_labels, finite_rows, real_logits

PAPER_BINS = 20  # GMMC, appendix D: M = 20
FOLDS = 5
LARGEST = 1e6
"""Of a temperature, and of its inverse: where logits say nothing, or are never wrong."""


@dataclass(frozen=True)
class Reliability:
    """The bins of a reliability diagram, all tensors on the CPU."""

    edges: Tensor  # float64 (M + 1,), equally spaced from 0 to 1
    counts: Tensor  # int64 (M,), |B_m|
    accuracy: Tensor  # float64 (M,), acc(B_m); NaN in an empty bin
    confidence: Tensor  # float64 (M,), conf(B_m); NaN in an empty bin

    @property
    def ece(self) -> float:
        """The expected calibration error, from 0 to 1: Σ_m |B_m|/n · |acc(B_m) − conf(B_m)| (GMMC, equation 12)."""
        gaps = (self.accuracy - self.confidence).abs().nan_to_num(0.0)
        return float((self.counts * gaps).sum() / self.counts.sum())


def reliability(logits: Tensor, labels: Tensor, num_classes: int, *, bins: int = PAPER_BINS) -> Reliability:
    """Group predictions by confidence, max_y p(y|x), into M equally wide bins (GMMC, appendix D; Guo et al., 2017).

    Bin m holds the confidences in ((m − 1)/M, m/M]. torchmetrics is not used: its bins are closed below instead, and a
    confidence of exactly 1, common in trained networks, falls in a further bin of its own, which changes the error.

    Args:
        logits: floating point (N, >= C); columns from C on (the fake class) are left out of the softmax.
        labels: integers (N,), 0 .. C − 1.
        num_classes: C.
        bins: M, the number of bins.

    Raises:
        InputError: logits that are empty, of another shape or not finite, labels out of range or of another count, or
            bins < 1.

    >>> sure, unsure = [9.0, 0.0, 9.9], [0.1, 0.0, -5.0]  # two classes and the fake one
    >>> bins = reliability(torch.tensor([sure, sure, unsure, unsure]), torch.tensor([0, 0, 0, 1]), 2, bins=2)
    >>> bins.counts, bins.accuracy
    (tensor([0, 4]), tensor([ nan, 0.7500], dtype=torch.float64))
    """
    logits, labels = check_labelled(logits, labels, num_classes)
    check_count("bins", bins)
    log_confidence, predicted = F.log_softmax(logits, dim=1).max(dim=1)
    hits_and_confidence = torch.stack([(predicted == labels).double(), log_confidence.exp()])
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    index = torch.bucketize(hits_and_confidence[1], edges[1:-1])  # edges[i-1] < value <= edges[i]
    counts = torch.bincount(index, minlength=bins)
    sums = torch.zeros(2, bins, dtype=torch.float64).index_add_(1, index, hits_and_confidence)
    accuracy, confidence = sums / counts  # 0/0 is NaN in an empty bin
    return Reliability(edges, counts, accuracy, confidence)


def expected_calibration_error(logits: Tensor, labels: Tensor, num_classes: int, *, bins: int = PAPER_BINS) -> float:
    """The expected calibration error, from 0 to 1 (GMMC, equation 12, which prints it in per cent); see `reliability`.

    >>> logits = torch.tensor([[0.0, 0.0], [0.0, 0.0]])  # always one half sure, and right half of the time
    >>> expected_calibration_error(logits, torch.tensor([0, 1]), 2)
    0.0
    """
    return reliability(logits, labels, num_classes, bins=bins).ece


def negative_log_likelihood(logits: Tensor, labels: Tensor, num_classes: int) -> float:
    """The mean of −log p(label|x), in nats, with the softmax over the C real classes.

    Args and errors as for `reliability`.

    >>> round(negative_log_likelihood(torch.tensor([[0.0, 0.0, 7.0]]), torch.tensor([1]), 2), 4)  # log 2
    0.6931
    """
    return float(F.cross_entropy(*check_labelled(logits, labels, num_classes)))


def temperature(logits: Tensor, labels: Tensor, num_classes: int) -> float:
    """The temperature T that minimises the mean of −log softmax(logits/T)_label, a convex problem in 1/T.

    A classifier that errs on none of N images would ask for T = 0, and be infinitely wrong about the first image that
    it does err on. So the right class is given Platt's (N + 1)/(N + 2) instead of 1 (Platt, 1999), and the others the
    rest, evenly.

    Args:
        logits: floating point (N, >= C); columns from C on (the fake class) are left out.
        labels: integers (N,), 0 .. C − 1.
        num_classes: C.

    Raises:
        InputError: as for `reliability`.

    >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])  # 88% sure, and right in two of three cases
    >>> T = temperature(logits, torch.tensor([0, 0, 1]), 2)
    >>> round(T, 2), round(float((logits / T).softmax(1)[0, 0]), 3)  # nearly the share that is right
    (4.93, 0.6)
    """
    z, labels = check_labelled(logits, labels, num_classes)
    rest = 1 / (len(z) + 2) / max(1, num_classes - 1)
    target = torch.full_like(z, rest).scatter_(1, labels[:, None], 1 - 1 / (len(z) + 2))
    wanted = (target * z).sum(1).mean()

    def too_sure(inverse: float) -> bool:
        return bool(((inverse * z).softmax(1) * z).sum(1).mean() > wanted)

    low, high = -math.log(LARGEST), math.log(LARGEST)
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (low, middle) if too_sure(math.exp(middle)) else (middle, high)
    return math.exp(-low)


@dataclass(frozen=True)
class Tempered:
    """Logits as they are once calibrated."""

    logits: Tensor  # float64 (N, C), each row over the temperature of the fold that it is in
    temperatures: tuple[float, ...]  # of the folds


def tempered(logits: Tensor, labels: Tensor, num_classes: int, *, seed: int = 0, folds: int = FOLDS) -> Tempered:
    """Logits over temperatures, none of which was fitted to the image it is used on.

    The images are dealt into folds by the seed; those of a fold take the temperature of all other folds.

    Args:
        logits, labels, num_classes: as for `temperature`.
        folds: no more than images; 2 at least.

    Raises:
        InputError: as for `reliability`, or fewer images than folds.

    >>> logits = torch.tensor([[5.0, 0.0], [0.0, 5.0]]).repeat(50, 1)
    >>> found = tempered(logits, torch.tensor([0, 1] * 40 + [1, 0] * 10), 2)  # 99% sure, 80% right
    >>> float(found.logits.softmax(1).amax(1).mean().round(decimals=2)), len(found.temperatures)
    (0.79, 5)
    """
    z, labels = check_labelled(logits, labels, num_classes)
    check_count("folds", folds, least=2, most=len(z), why="the number of images")
    parts = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed)).tensor_split(folds)
    scaled, temperatures = torch.empty_like(z), []
    for number, fold in enumerate(parts):
        others = torch.cat(parts[:number] + parts[number + 1 :])
        temperatures.append(temperature(z[others], labels[others], num_classes))
        scaled[fold] = z[fold] / temperatures[-1]
    return Tempered(scaled, tuple(temperatures))


def check_labelled(logits: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Logits float64 (N, C) of the real classes and labels int64 (N,), both on the CPU; errors as `reliability`."""
    logits = finite_rows(real_logits(logits, num_classes), what="logits")
    check_labels(labels, len(logits), num_classes)
    return logits, labels.to("cpu", torch.int64)
