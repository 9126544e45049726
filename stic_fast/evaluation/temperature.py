# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Temperature scaling: how well calibrated a classifier is once its logits are divided by one fitted number.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017. No prediction changes. For a GMMC, whose logits are
−‖φ(x) − μ_y‖²/2γ², the temperature is a factor on γ².
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.evaluation.calibration import check_labelled

FOLDS = 5
LARGEST = 1e6
"""Of a temperature, and of its inverse: where logits say nothing, or are never wrong."""


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
    """Logits as they are once calibrated.

    Attributes:
        logits: float64 (N, C), each row over the temperature of the fold that it is in.
        temperatures: of the folds.
    """

    logits: Tensor
    temperatures: tuple[float, ...]


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
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed))
    parts = order.tensor_split(folds)
    scaled, temperatures = torch.empty_like(z), []
    for number, fold in enumerate(parts):
        others = torch.cat(parts[:number] + parts[number + 1 :])
        temperatures.append(temperature(z[others], labels[others], num_classes))
        scaled[fold] = z[fold] / temperatures[-1]
    return Tempered(scaled, tuple(temperatures))
