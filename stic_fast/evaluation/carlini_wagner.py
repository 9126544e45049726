# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How little must change: the L2 attack of Carlini & Wagner, through foolbox, an optional dependency.

GMMC, section 4.4 (2) and Table 7: nearly every image can be turned, so the length of the perturbation is the measure.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.evaluation.attacks import attack_images
from stic_fast.evaluation.fixed_classifier import FixedClassifier, Model


@dataclass(frozen=True)
class CarliniWagnerResult:
    """What the attack found.

    Attributes:
        distances: float64 (N,) on the CPU, ‖x' − x‖₂ with pixels in [0, 1]; 0 for an image classified wrongly as it is,
            infinite where no wrongly classified image was found.
        images: float (N, C, H, W) on the CPU in [−1, 1], the x', if they were to be kept.
    """

    distances: Tensor
    images: Tensor | None = None

    @property
    def mean_distance(self) -> float:
        """The mean length over images classified rightly and turned (GMMC, Table 7); NaN if there is none."""
        return float(self.distances[(self.distances > 0) & self.distances.isfinite()].mean())

    @property
    def median_distance(self) -> float:
        """The median over all images, wrong ones (0) and unturned ones (infinite) included: no selection."""
        return float(self.distances.median())

    @property
    def accuracy(self) -> float:
        """The share, from 0 to 1, of all images that could not be turned."""
        return int(self.distances.isinf().sum()) / len(self.distances)


def carlini_wagner(
    model: Model,
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    steps: int = 100,
    binary_search_steps: int = 9,
    step_size: float = 0.01,
    batch_size: int = 256,
    keep_images: bool = False,
) -> CarliniWagnerResult:
    """Untargeted L2 attack: the least ‖x' − x‖² + c·max(f_y − max_{j≠y} f_j, 0), c by binary search for each image.

    Nothing in it is random. The fake class's logit is left out, as in `stic_fast.evaluation.attacks.pgd`. foolbox's
    stop when a whole batch makes no progress is off: with it, images would depend on their neighbours.

    Args:
        model, images, labels, num_classes, batch_size, keep_images: as for `pgd`.
        steps: Adam's steps for each c (GMMC, Table 7: 100 untargeted).
        binary_search_steps: values of c tried.
        step_size: Adam's, in the space of atanh. Its first step moves every value by half of this, so a boundary much
            nearer than step_size/2·√(values of an image) asks for a smaller one and more steps.

    Raises:
        InputError: foolbox is missing, or as `pgd`.
    """
    foolbox = load_foolbox()
    if steps < 1 or binary_search_steps < 1 or not step_size > 0:
        raise InputError(
            f"steps, binary_search_steps and step_size must be above 0, got {steps}, {binary_search_steps} and "
            f"{step_size}; the defaults are 100, 9 and 0.01"
        )
    distances = torch.zeros(len(images), dtype=torch.float64)

    def attack(classifier: FixedClassifier, x: Tensor, y: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        network = _UnitPixels(classifier).eval()
        search = foolbox.attacks.L2CarliniWagnerAttack(
            binary_search_steps=binary_search_steps, steps=steps, stepsize=step_size, abort_early=False
        )
        pixels = ((x + 1) / 2).clamp(0, 1)
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy and PyTorch, about foolbox's own calls
            fooled = foolbox.PyTorchModel(network, bounds=(0, 1), device=x.device)
            _, found, turned = search(fooled, pixels, y, epsilons=None)
        lengths = (found.double() - pixels.double()).flatten(1).norm(dim=1)
        distances[ids.cpu()] = torch.where(turned, lengths, torch.inf).cpu()
        return ~turned, torch.where(turned.view(-1, 1, 1, 1), found * 2 - 1, x).to(x.dtype)

    result = attack_images(
        "C&W",
        attack,
        model,
        images,
        labels,
        num_classes,
        epsilon=1.0,
        image_ids=None,
        batch_size=batch_size,
        keep_images=keep_images,
    )
    return CarliniWagnerResult(distances, result.images)


def load_foolbox() -> Any:
    """The foolbox module.

    Raises:
        InputError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # foolbox imports from SciPy's old namespaces
            return importlib.import_module("foolbox")
    except ImportError as error:
        raise InputError(
            f"the Carlini & Wagner attack needs foolbox, which cannot be imported ({error}); "
            'pip install "stic_fast[attacks]"'
        ) from error


class _UnitPixels(nn.Module):
    """Logits of the real classes for pixels in [0, 1], as foolbox reckons them and the papers measure them."""

    def __init__(self, classifier: FixedClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, pixels: Tensor) -> Tensor:
        return self.classifier.class_logits(2 * pixels - 1)
