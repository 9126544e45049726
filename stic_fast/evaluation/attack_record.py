# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What an evaluation writes down of a classifier under attack: L∞ PGD, whether it can be believed, and L2 C&W."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.evaluation.attacks import PAPER_EPSILONS, in_pixels, pgd
from stic_fast.evaluation.carlini_wagner import carlini_wagner, load_foolbox
from stic_fast.evaluation.fixed_classifier import Model
from stic_fast.evaluation.gradient_masking import check_gradient_masking
from stic_fast.evaluation.judge import predict_logits
from stic_fast.evaluation.record_form import AttackRow, AttackScores, CarliniWagner, Masking, Unmeasured, number
from stic_fast.evaluation.records import divergence_note, subset

CHECKED_EPSILON = 8 / 255
"""Radius at which PGD is held against attacks that gradient masking cannot stop."""
L2_RADIUS = 0.5
"""Radius at which the L2 accuracy is taken, the usual one for small images with pixels in [0, 1]."""
LEFT_OUT = "L2 C&W left out: pip install stic_fast[attacks]"


def attack_record(
    model: Model, images: Tensor, labels: Tensor, num_classes: int, *, seed: int, batch_size: int, cw: int
) -> AttackScores | Unmeasured:
    """Accuracy under L∞ PGD-40 at the papers' radii, whether gradient masking makes it, and how far C&W must go.

    Images whose logits are not finite count as lost, and a note says so; where all are, there is nothing to attack.

    Args:
        cw: how many of the images the L2 attack of Carlini & Wagner is tried on, at most; 0 leaves it out.
    """
    logits = predict_logits(model, images, batch_size=batch_size)[:, :num_classes]
    note = divergence_note(logits, "images to attack")
    if not logits.isfinite().all(dim=1).any():
        return Unmeasured(n=len(images), note=note)
    settings: dict[str, Any] = {"seed": seed, "batch_size": batch_size}
    results = {
        epsilon: pgd(model, images, labels, num_classes, epsilon=epsilon, **settings) for epsilon in PAPER_EPSILONS
    }
    check = check_gradient_masking(
        model, images, labels, num_classes, epsilon=CHECKED_EPSILON, base=results[CHECKED_EPSILON], **settings
    )
    rows = [
        _row(
            f"PGD-{255 * epsilon:g}",
            result.name,
            result.accuracy,
            len(images),
            f"share of the images that stay rightly read where every pixel may change by {in_pixels(epsilon)}",
        )
        for epsilon, result in results.items()
    ]
    rows.append(
        _row(
            f"all-{255 * CHECKED_EPSILON:g}",
            f"all attacks at {in_pixels(CHECKED_EPSILON)}",
            check.accuracy,
            len(images),
            "share that neither PGD, nor PGD on the margin, longer and from more starts, nor Square broke",
        )
    )
    whole: CarliniWagner | None = None
    if cw:
        some, some_labels = subset(images, labels, cw, seed)
        whole, more = _carlini_wagner(model, some, some_labels, num_classes, batch_size)
        rows += more
    masking = Masking(masked=check.masked, verdict=check.verdict, accuracy=check.accuracy)
    return AttackScores(n=len(images), note=note, rows=tuple(rows), masking=masking, cw=whole)


def _carlini_wagner(
    model: Model, images: Tensor, labels: Tensor, num_classes: int, batch_size: int
) -> tuple[CarliniWagner, list[AttackRow]]:
    """What is known of the whole attack, and its scores."""
    try:
        load_foolbox()
    except InputError:
        return CarliniWagner(note=LEFT_OUT), []
    result = carlini_wagner(model, images, labels, num_classes, batch_size=batch_size)
    count = len(images)
    rows = [
        _row(
            "CW-median",
            "L2 C&W, median distance",
            result.median_distance,
            count,
            "least ‖x' − x‖₂ that turns an image, pixels in [0, 1]; 0 for images read wrongly as they are",
        ),
        _row(
            "CW-mean",
            "L2 C&W, mean distance",
            result.mean_distance,
            count,
            "the same over the images that were read rightly and turned, as in GMMC's Table 7",
        ),
        _row(
            f"CW-{L2_RADIUS:g}",
            f"L2 C&W at {L2_RADIUS:g}",
            result.accuracy_at(L2_RADIUS),
            count,
            f"share of the images that stay rightly read within ‖x' − x‖₂ ≤ {L2_RADIUS:g}",
        ),
    ]
    standing = int(result.distances.isinf().sum())
    note = f"C&W could not turn {standing} of {count} images: they count as infinitely far" if standing else ""
    return CarliniWagner(n=count, note=note), rows


def _row(key: str, name: str, value: float, count: int, what: str) -> AttackRow:
    return AttackRow(key=key, name=name, value=number(value), n=count, better="higher", what=what)
