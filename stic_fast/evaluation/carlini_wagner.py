# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How little must change: the L2 attack of Carlini & Wagner, through foolbox, an optional dependency.

GMMC, section 4.4 (2) and Table 7: nearly every image can be turned, so the length of the perturbation is the measure.

Carlini & Wagner search in w with x' = tanh(w) scaled to the box of pixel values, where a pixel at the box's edge, black
or white, lies at infinity and does not move. Here the box is wider than the pixels' by MARGIN and the classifier sees
x' clamped: on digits, half of whose pixels are black, distances come out 40 % shorter. What is found is then drawn in
along the line to the image until it is as near as it can be and still read wrongly.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stic_fast.counts import check_count
from stic_fast.errors import InputError
from stic_fast.evaluation.attacks import attack_images
from stic_fast.evaluation.checks import check_positive
from stic_fast.evaluation.fixed_classifier import FixedClassifier, Model
from stic_fast.models.gradients import outside_inference

MARGIN = 0.05
"""By which the box of the search is wider than the pixels', at either end, in pixel units of [0, 1]."""
FIRST_WEIGHT = 0.1
"""c at first. foolbox's 1e-3 spends half of the search on getting up to those that turn an image at all."""
INSTALL_FOOLBOX = 'pip install ".[attacks]"'
"""What to do where foolbox is missing, in the checkout of this package, which is on no index."""
HALVINGS = 10
"""Of the line between an image and what was found for it: the distance is at most a thousandth too long."""


@dataclass(frozen=True)
class CarliniWagnerResult:
    """What the attack found."""

    distances: Tensor
    """float64 (N,) on the CPU, ‖x' − x‖₂ with pixels in [0, 1]; 0 for an image classified wrongly as it is, infinite
    where no wrongly classified image was found."""
    images: Tensor | None = None
    """float (N, C, H, W) on the CPU in [−1, 1], the x', if they were to be kept."""

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

    def accuracy_at(self, radius: float) -> float:
        """The share of all images that are classified rightly everywhere the attack looked within ‖x' − x‖₂ ≤ radius.

        >>> CarliniWagnerResult(torch.tensor([0.0, 0.4, 0.6, torch.inf])).accuracy_at(0.5)
        0.5
        """
        return int((self.distances > radius).sum()) / len(self.distances)


@outside_inference
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
        step_size: Adam's, in the space of atanh. 0.01 comes within 3 % of the shortest change that any of foolbox's L2
            attacks found, in the mean of digits (8×8, distances 0.3 to 1) and of the CIFAR-10 images nearest to a
            boundary (0.02 to 0.05). 0.003 leaves digits unturned within 100 steps, 0.03 goes 50 % too far on CIFAR-10.

    Raises:
        InputError: foolbox is missing, or as `pgd`.
    """
    foolbox = load_foolbox()
    check_count("steps", steps)
    check_count("binary_search_steps", binary_search_steps)
    check_positive("step_size", step_size)
    settings = {"steps": steps, "binary_search_steps": binary_search_steps, "stepsize": step_size}
    distances = torch.zeros(len(images), dtype=torch.float64)

    def attack(classifier: FixedClassifier, x: Tensor, y: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        search = foolbox.attacks.L2CarliniWagnerAttack(**settings, initial_const=FIRST_WEIGHT, abort_early=False)
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy and PyTorch, about foolbox's own calls
            bounds = (-MARGIN, 1 + MARGIN)
            fooled = foolbox.PyTorchModel(_UnitPixels(classifier).eval(), bounds=bounds, device=x.device)
            _, found, _ = search(fooled, ((x + 1) / 2).clamp(0, 1), y, epsilons=None)
        nearest, turned = _drawn_in(classifier, x, (2 * found - 1).clamp(-1, 1).to(x.dtype), y)
        lengths = (nearest.double() - x.double()).flatten(1).norm(dim=1) / 2
        distances[ids.cpu()] = torch.where(turned, lengths, torch.inf).cpu()
        return ~turned, nearest

    batches: dict[str, Any] = {"image_ids": None, "batch_size": batch_size, "keep_images": keep_images}
    result = attack_images("C&W", attack, model, images, labels, num_classes, epsilon=1.0, **batches)
    return CarliniWagnerResult(distances, result.images)


def load_foolbox() -> Any:
    """The foolbox module; InputError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # foolbox imports from SciPy's old namespaces
            return importlib.import_module("foolbox")
    except ImportError as error:
        raise InputError(
            f"the Carlini & Wagner attack needs foolbox, which cannot be imported ({error}); {INSTALL_FOOLBOX}"
        ) from error


@torch.no_grad()
def _drawn_in(classifier: FixedClassifier, x: Tensor, found: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest image on the line from x to `found` that is read wrongly, x where none is; and which are."""
    turned = ~classifier.is_right(classifier.class_logits(found), labels)
    outer = turned.to(x.dtype).view(-1, 1, 1, 1)  # shares of the way from x to what was found
    inner = torch.zeros_like(outer)
    for _ in range(HALVINGS):
        middle = (outer + inner) / 2
        wrong = ~classifier.is_right(classifier.class_logits(x + middle * (found - x)), labels).view_as(outer)
        outer, inner = torch.where(wrong, middle, outer), torch.where(wrong, inner, middle)
    return x + outer * (found - x), turned


class _UnitPixels(nn.Module):
    """Logits of the real classes for pixels in [0, 1], as foolbox reckons them; what lies beyond is clamped."""

    def __init__(self, classifier: FixedClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, pixels: Tensor) -> Tensor:
        return self.classifier.class_logits((2 * pixels - 1).clamp(-1, 1))
