# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Adversarial accuracy: projected gradient ascent on the loss inside an L∞ ball around each image (PGD).

GMMC, section 4.4 (1) and Table 5: PGD-40 at ε = 4/255 .. 32/255. The radius ε is in pixel units of [0, 1]; in the
model's [−1, 1] that is 2ε. Attacks see the C real-class logits alone, for those decide the prediction: with STIC's fake
class in the loss, an attack could spend its ball on looking fake and leave the prediction as it was.

Every image is attacked by itself, with noise addressed by its id, so a set may be attacked in batches of any size, or
in slices one after another, with the same result up to the rounding of the model's own sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from stic_fast.counts import MOST, Range, check_count
from stic_fast.errors import InputError
from stic_fast.evaluation.checks import check_labelled_images, described
from stic_fast.evaluation.fixed_classifier import FixedClassifier, Model, fixed_classifier
from stic_fast.evaluation.noise_seed import noise_seed
from stic_fast.models.gradients import gradient_of, outside_inference
from stic_fast.ops import noise

PAPER_EPSILONS = (4 / 255, 8 / 255, 16 / 255, 32 / 255)  # GMMC, Table 5
AttackLoss = Literal["cross-entropy", "margin"]
# An attack on one batch: images, labels and ids in, all classified rightly; out: which survive, and the images found.
BatchAttack = Callable[[FixedClassifier, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class AttackResult:
    """What an attack left of a set of images."""

    name: str  # the attack and its radius, as "PGD-40 at 8/255"
    epsilon: float  # the radius in pixel units of [0, 1]
    survived: Tensor  # bool (N,) on the CPU: classified rightly both as it is and wherever the attack looked
    images: Tensor | None = None
    """float (N, C, H, W) on the CPU in [−1, 1], if they were to be kept: the image that is classified wrongly, where
    one was found; the last one tried, where none was; the image itself, where no attack was needed."""

    @property
    def accuracy(self) -> float:
        """The share, from 0 to 1, of all images that survived; those classified wrongly unattacked count as lost."""
        return int(self.survived.sum()) / len(self.survived)


@outside_inference
def pgd(
    model: Model,
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    epsilon: float,
    seed: int,
    steps: int = 40,
    step_size: float | None = None,
    restarts: int = 1,
    random_start: bool = True,
    loss: AttackLoss = "cross-entropy",
    image_ids: Tensor | None = None,
    batch_size: int = 256,
    keep_images: bool = False,
) -> AttackResult:
    """L∞ PGD (Madry et al., 2018): x ← Π(x + α·sign ∇ₓ loss(x, y)), Π onto the ball and onto [−1, 1].

    Only images classified rightly are attacked, and each only until it is classified wrongly anywhere on its way; the
    accuracy is over all images. The papers' loss is the cross-entropy. It goes flat, and the attack blind, where a
    logit leads so far that the loss rounds to 0; "margin", max_{j≠y} f_j − f_y, does not (Carlini & Wagner, 2017).

    Args:
        model: an nn.Module, or a function, from float images (B, C, H, W) in [−1, 1] to logits (B, >= num_classes).
            Its parameters are frozen and its modules in evaluation mode meanwhile, and put back.
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        num_classes: C, at least 2; further logits are left out of both loss and prediction.
        epsilon: the radius in pixel units of [0, 1], at least 0.
        seed: fixes the random starts.
        steps: steps from each start.
        step_size: α in pixel units of [0, 1]; 2.5·ε/steps if None (Madry et al.), so that every corner of the ball can
            be reached from every start.
        restarts: starts for each image.
        random_start: start evenly distributed in the ball, or, if False, at the image (then one start is all).
        loss: what is ascended.
        image_ids: int64 (N,) by which each image's start is drawn; the row numbers if None.
        batch_size: images attacked at a time.
        keep_images: whether the result holds the attacked images; they take four times the memory of `images`.

    Raises:
        InputError: images or labels of another kind, or numbers out of range.

    >>> model = lambda x: torch.cat([-x, x], dim=1).flatten(1)  # black or white, by the sign
    >>> images = torch.tensor([0, 117, 138, 255], dtype=torch.uint8).view(4, 1, 1, 1)
    >>> attacked = pgd(model, images, torch.tensor([0, 0, 1, 1]), 2, epsilon=16 / 255, seed=0)
    >>> attacked.name, attacked.survived.tolist(), attacked.accuracy
    ('PGD-40 at 16/255', [True, False, False, True], 0.5)
    """
    check_count("steps", steps)
    check_count("restarts", restarts)
    if restarts > 1 and not random_start:
        raise InputError(f"{restarts} restarts need random_start: without it all are the same; let restarts be 1")
    if loss not in get_args(AttackLoss):
        raise InputError(f"unknown loss {loss!r}; choose one of {', '.join(get_args(AttackLoss))}")
    if step_size is not None:
        Range(0, MOST).check("step_size", step_size)
    radius, step = 2 * epsilon, 2 * (2.5 * epsilon / steps if step_size is None else step_size)  # for [−1, 1]
    heights = margins if loss == "margin" else partial(F.cross_entropy, reduction="none")
    at: dict[str, Any] = {"seed": noise_seed(seed, "pgd"), "stream": noise.Stream.CHAIN_INIT}

    def attack(classifier: FixedClassifier, x: Tensor, y: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        found, stands = x.clone(), torch.ones_like(y, dtype=torch.bool)
        lower, upper = (x - radius).clamp(min=-1), (x + radius).clamp(max=1)
        for restart in range(restarts):
            rows = stands.nonzero()[:, 0]
            if not len(rows):
                break
            tried = x[rows]
            if random_start:
                u = noise.uniform(tuple(tried.shape), step=restart, chain_ids=ids[rows], dtype=x.dtype, **at)
                tried = (tried + radius * (2 * u - 1)).clamp(-1, 1)
            for done in range(steps + 1):
                leaf = tried.detach().requires_grad_(done < steps)
                with torch.enable_grad():
                    logits = classifier.class_logits(leaf)
                    height = heights(logits, y[rows]).sum()
                right = classifier.is_right(logits.detach(), y[rows])
                found[rows], stands[rows] = tried, right
                if done == steps or not right.any():
                    break
                slope = gradient_of(height, leaf)
                rows, tried = rows[right], (tried + step * slope.sign())[right]
                tried = torch.minimum(torch.maximum(tried, lower[rows]), upper[rows])
        return stands, found

    extra = (f"x{restarts}" if restarts > 1 else "") + (" on the margin" if loss == "margin" else "")
    name = f"PGD-{steps}{extra} at {in_pixels(epsilon)}"
    batches: dict[str, Any] = {"image_ids": image_ids, "batch_size": batch_size, "keep_images": keep_images}
    return attack_images(name, attack, model, images, labels, num_classes, epsilon=epsilon, **batches)


def attack_images(
    name: str,
    attack: BatchAttack,
    model: Model,
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    epsilon: float,
    image_ids: Tensor | None,
    batch_size: int,
    keep_images: bool,
) -> AttackResult:
    """Run an attack on those images that are classified rightly, batch by batch; args and errors as for `pgd`.

    >>> giving_up = lambda classifier, x, y, ids: (torch.ones_like(y, dtype=torch.bool), x)
    >>> images, labels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1), torch.tensor([0, 0])
    >>> options = {"epsilon": 0.1, "image_ids": None, "batch_size": 8, "keep_images": False}
    >>> model = lambda x: torch.cat([-x, x], dim=1).flatten(1)
    >>> attack_images("nothing", giving_up, model, images, labels, 2, **options).survived
    tensor([ True, False])
    """
    check_labelled_images(images, labels, num_classes)
    check_count("batch_size", batch_size)
    check_count("num_classes", num_classes, least=2)
    Range(0, 1).check("epsilon", epsilon, why="in pixel units of [0, 1], so that 8 of 255 is 8 / 255")
    ids = torch.arange(len(images)) if image_ids is None else image_ids
    if ids.dtype != torch.int64 or ids.shape != labels.shape:
        raise InputError(f"image_ids must be int64 ({len(images)},), got {described(ids)}; give each image one id")
    survived, kept = torch.zeros(len(images), dtype=torch.bool), []
    with fixed_classifier(model, num_classes, images) as classifier:
        for rows in torch.split(torch.arange(len(images)), batch_size):
            x, y = classifier.place(images[rows]), labels[rows].to(classifier.device, torch.int64)
            with torch.no_grad():
                right = classifier.is_right(classifier.class_logits(x), y)
            if right.any():
                own_ids = ids[rows.to(ids.device)].to(classifier.device)
                standing, x[right] = attack(classifier, x[right], y[right], own_ids[right])
                survived[rows[right.cpu()]] = standing.cpu()
            if keep_images:
                kept.append(x.cpu())
    return AttackResult(name, epsilon, survived, torch.cat(kept) if keep_images else None)


def margins(class_logits: Tensor, labels: Tensor) -> Tensor:
    """max_{j≠y} f_j − f_y, (B,): below 0 where the label wins.

    >>> margins(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0]))
    tensor([-1.])
    """
    own = F.one_hot(labels, class_logits.shape[1]).bool()
    return class_logits.masked_fill(own, -torch.inf).amax(dim=1) - class_logits[own]


def in_pixels(epsilon: float) -> str:
    """The radius as the papers write it.

    >>> in_pixels(8 / 255), in_pixels(0.5)
    ('8/255', '127.5/255')
    """
    return f"{epsilon * 255:g}/255"
