# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of one whole step of a GRMALA chain, network and all, against the loop as JEM's public code writes it.

That loop (https://github.com/wgrathwohl/JEM, train_wrn.py, sample_q) keeps the graph, differentiates with the network's
parameters unfrozen and adds torch.randn_like to x.data. Equation 3 of STIC makes two gradients of it.
"""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from torch.nn import functional as F

from benchmarks.gram_cases import eager_gram, eager_gram_loss
from benchmarks.timing import Case, measure, rows
from stic_fast.models import Classifier, WideResNet
from stic_fast.sampling import GRMALA, GramRegulariser

CASES = (
    Case((100, 1, 8, 8), note="WRN-10-1, 2 Gram layers (digits preset)"),
    Case((16, 3, 32, 32), note="WRN-10-2, 2 Gram layers"),
    Case((4, 3, 32, 32), note="WRN-28-10, 8 Gram layers", marker="paper"),
)
NETWORKS = {CASES[0]: (10, 1), CASES[1]: (10, 2), CASES[2]: (28, 10)}
SAMPLER = GRMALA(steps=1)


def jem_step(model: Classifier, x: Tensor, label: Tensor, targets: list[Tensor]) -> Tensor:
    """One transition; the targets' Gram matrices were taken before the chain began."""
    x_k = x.clone().requires_grad_(True)
    logits, features = model.logits_and_features(x_k, model.gram_layers)
    logp = F.log_softmax(logits, dim=1).gather(1, label[:, None]).sum()
    gram_term = torch.stack([eager_gram_loss(f, a).sum() for f, a in zip(features, targets, strict=True)]).sum()
    uphill = torch.autograd.grad(logp, [x_k], retain_graph=True)[0]
    downhill = torch.autograd.grad(gram_term, [x_k], retain_graph=True)[0]
    x_k.data += SAMPLER.eps1 * uphill - SAMPLER.eps2 * downhill + SAMPLER.eps3 * torch.randn_like(x_k)
    x_k.data.clamp_(-1, 1)
    return x_k.detach()


@pytest.mark.parametrize(("implementation", "case"), rows(("stic_fast", "eager"), CASES))
def test_grmala_chain(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    depth, width = NETWORKS[case]
    model = WideResNet(depth=depth, width=width, num_classes=10, in_channels=case.shape[1]).eval()
    references = torch.rand(case.shape) * 2 - 1
    with torch.no_grad():
        targets = [eager_gram(f) for f in model.logits_and_features(references, model.gram_layers)[1]]
    regulariser = GramRegulariser.from_images(model, references)

    def own_step(x: Tensor, label: Tensor) -> Tensor:
        return SAMPLER.run(model, x, label, seed=0, gram=regulariser).x

    def eager_step(x: Tensor, label: Tensor) -> Tensor:
        return jem_step(model, x, label, targets)

    measure(
        benchmark,
        op="one step of GRMALA",
        case=case,
        implementation=implementation,
        function=own_step if implementation == "stic_fast" else eager_step,
        draw=lambda: (torch.rand(case.shape) * 2 - 1, torch.randint(10, case.shape[:1])),
    )
