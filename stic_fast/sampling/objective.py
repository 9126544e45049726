# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a chain climbs: a score per chain, from the classifier's logits and what the chain is asked to become."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Objective(Protocol):
    """The log-density, up to a constant, whose gradient drives the chain. A new method is a new Objective."""

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Scores (chains,) from logits (chains, K) and one target per chain."""
        ...


class LogPosterior:
    r"""log p(y|x), the softmax over all logits, the fake class "−1" among them (STIC, equations 2 and 3).

    Hard labels, int64 (chains,), give :math:`\log p(y|x)`; soft ones, float (chains, C), the mixup reading
    :math:`\sum_c y_c \log p(c|x)` with C at most the number of logits. Because the fake class shares the
    normalisation, a chain that climbs also moves away from "fake".

    >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
    >>> LogPosterior()(logits, torch.tensor([0]))
    tensor([-0.2395])
    """

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        log_probability = torch.log_softmax(logits.float() if logits.dtype != torch.float64 else logits, dim=1)
        if target.dtype == torch.int64:
            return log_probability.gather(1, target[:, None])[:, 0]
        return (log_probability[:, : target.shape[1]] * target).sum(1)
