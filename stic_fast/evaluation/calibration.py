# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How far a classifier's confidence can be believed: negative log-likelihood, calibration error, reliability diagram.

GMMC, section 4.2 and appendix D. Everything is computed in float64 from logits over the C real classes: a logit beyond
them, STIC's fake class "−1", is dropped and the softmax taken over the first C, as predictions are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from stic_fast.counts import check_count
from stic_fast.evaluation.checks import check_labels, finite_rows, real_logits

PAPER_BINS = 20  # GMMC, appendix D: M = 20


@dataclass(frozen=True)
class Reliability:
    """The bins of a reliability diagram, all tensors on the CPU.

    Attributes:
        edges: float64 (M + 1,), equally spaced from 0 to 1.
        counts: int64 (M,), |B_m|.
        accuracy: float64 (M,), acc(B_m); NaN in an empty bin.
        confidence: float64 (M,), conf(B_m); NaN in an empty bin.
    """

    edges: Tensor
    counts: Tensor
    accuracy: Tensor
    confidence: Tensor

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
    confidence = log_confidence.exp()
    hits = (predicted == labels).double()
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    index = torch.bucketize(confidence, edges[1:-1], right=False)  # right=False: edges[i-1] < value <= edges[i]
    counts = torch.bincount(index, minlength=bins)
    sums = torch.zeros(2, bins, dtype=torch.float64).index_add_(1, index, torch.stack([hits, confidence]))
    accuracy, mean_confidence = sums / counts  # 0/0 is NaN in an empty bin
    return Reliability(edges, counts, accuracy, mean_confidence)


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


def check_labelled(logits: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Logits float64 (N, C) of the real classes and labels int64 (N,), both on the CPU.

    Raises:
        InputError: logits that are empty, of another shape or not finite, or labels out of range or of another count.
    """
    logits = finite_rows(real_logits(logits, num_classes), what="logits")
    check_labels(labels, len(logits), num_classes)
    return logits, labels.to("cpu", torch.int64)
