# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of one whole step of a GRMALA chain, network and all, against the loop as JEM's public code writes it.

That loop (https://github.com/wgrathwohl/JEM, train_wrn.py, sample_q) keeps the graph, differentiates with the network's
parameters unfrozen and adds torch.randn_like to x.data. Equation 3 of STIC makes two gradients of it.

A row runs several steps and its clock divides by their number: a run that converts and packs weights, or captures a
CUDA graph, does so once, and its share of that is in the median.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.gram_cases import eager_gram, eager_gram_loss
from benchmarks.row_names import EAGER, OWN
from benchmarks.timing import Case, measure
from stic_fast.models import Classifier, WideResNet
from stic_fast.sampling import GRMALA, GramRegulariser
from stic_fast.training import Stic

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

SAMPLERS = {
    OWN: GRMALA(),
    f"{OWN} packed": GRMALA(layout="packed"),
    f"{OWN} bf16": GRMALA(precision="bf16", layout="packed"),
    f"{OWN} fp32": GRMALA(precision="fp32"),
    f"{OWN} not captured": GRMALA(capture=False),
}
"""The defaults; on a CPU the fastest layout in fp32, and the fastest setting; on a GPU the default less one thing."""


class Setting(NamedTuple):
    """A network of a preset, and how many steps each row runs."""

    preset: str
    case: Case
    steps: dict[str, int]


SMALL = {EAGER: 5, **dict.fromkeys((OWN, f"{OWN} packed", f"{OWN} bf16"), 10)}
WIDE = {EAGER: 1, OWN: 2, f"{OWN} packed": 4, f"{OWN} bf16": 10}
"""The presets' chains have 40 to 300 steps."""
ON_GPU = {EAGER: 10, OWN: 60, f"{OWN} fp32": 60, f"{OWN} not captured": 60}
SETTINGS = (
    Setting("digits", Case((100, 1, 8, 8), note="WRN-10-1, 2 Gram layers (digits preset)"), SMALL),
    Setting("fashion", Case((100, 1, 28, 28), note="WRN-10-1, 6 Gram layers (fashion preset)"), SMALL),
    Setting("cifar10-paper", Case((4, 3, 32, 32), note="WRN-28-10, 8 Gram layers", marker="paper"), WIDE),
    Setting("cifar10-paper", Case((8, 3, 32, 32), note="WRN-28-10, 8 Gram layers", marker="paper"), WIDE),
    Setting("cifar10-paper", Case((64, 3, 32, 32), note="WRN-28-10, 8 Gram layers", marker="cuda"), ON_GPU),
    Setting("digits", Case((100, 1, 8, 8), note="WRN-10-1 on a GPU", marker="cuda"), ON_GPU),
)


def jem_chain(model: Classifier, x: Tensor, label: Tensor, targets: list[Tensor], steps: int) -> Tensor:
    """Equation 3 with the defaults of GRMALA; the targets' Gram matrices were taken before the chain began."""
    eps1, eps2, eps3 = 0.95, 0.95, 0.015
    x_k = x.clone().requires_grad_(True)
    for _ in range(steps):
        logits, features = model.logits_and_features(x_k, model.gram_layers)
        logp = F.log_softmax(logits, dim=1).gather(1, label[:, None]).sum()
        gram_term = torch.stack([eager_gram_loss(f, a).sum() for f, a in zip(features, targets, strict=True)]).sum()
        uphill = torch.autograd.grad(logp, [x_k], retain_graph=True)[0]
        downhill = torch.autograd.grad(gram_term, [x_k], retain_graph=True)[0]
        x_k.data += eps1 * uphill - eps2 * downhill + eps3 * torch.randn_like(x_k)
        x_k.data.clamp_(-1, 1)
    return x_k.detach()


def rows() -> list[Any]:
    """Each setting in all implementations, rows to be compared in a row."""
    return [
        pytest.param(
            implementation,
            setting,
            id=f"{implementation}-{setting.case}",
            marks=marks_of(setting.case.marker),
        )
        for setting in SETTINGS
        for implementation in setting.steps
    ]


def marks_of(marker: str) -> list[pytest.MarkDecorator]:
    """A setting is either for a GPU or for a CPU."""
    marks = [getattr(pytest.mark, marker)] if marker else []
    return marks if marker == "cuda" else [pytest.mark.cpu, *marks]


@pytest.mark.parametrize(("implementation", "setting"), rows())
def test_grmala_chain(benchmark: BenchmarkFixture, implementation: str, setting: Setting) -> None:
    config, shape, steps = Stic.presets[setting.preset], setting.case.shape, setting.steps[implementation]
    network = config.network
    model = WideResNet(
        depth=network.depth,
        width=network.width,
        strides=network.strides,
        num_classes=10,
        in_channels=shape[1],
        gram_layers=network.gram_layers or None,
    ).eval()
    references = torch.rand(shape[0], config.references, *shape[1:]) * 2 - 1
    if implementation == EAGER:
        with torch.no_grad():
            features = model.logits_and_features(references.flatten(0, 1), model.gram_layers)[1]
            targets = [eager_gram(f).unflatten(0, references.shape[:2]).mean(1) for f in features]

        def chain(x: Tensor, label: Tensor) -> Tensor:
            return jem_chain(model, x, label, targets, steps)
    else:
        regulariser = GramRegulariser.from_images(model, references)
        sampler = replace(SAMPLERS[implementation], steps=steps)

        def chain(x: Tensor, label: Tensor) -> Tensor:
            return sampler.run(model, x, label, seed=0, gram=regulariser).x

    measure(
        benchmark,
        op="one step of GRMALA",
        case=setting.case,
        implementation=implementation,
        function=chain,
        draw=lambda: (torch.rand(shape) * 2 - 1, torch.randint(10, shape[:1])),
        steps=steps,
    )
