# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Whether a PGD accuracy can be believed: attacks that gradient masking cannot stop must not do better.

Athalye et al., ICML 2018, section 3.1, and Carlini et al., "On evaluating adversarial robustness", 2019: PGD that fails
may show a robust model or a useless gradient. It is a useless gradient where a longer search, a loss that cannot go
flat, or a search without gradients finds what PGD did not, or where PGD fails although it may change the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.errors import InputError, NoGradient
from stic_fast.evaluation.attacks import AttackResult, attack_images, in_pixels, pgd
from stic_fast.evaluation.checks import check_positive
from stic_fast.evaluation.fixed_classifier import Model
from stic_fast.evaluation.square_attack import square_attack

SIGNIFICANCE = 0.05  # the largest chance, were the attacks equally good, at which one is called better than the other


@dataclass(frozen=True)
class MaskingCheck:
    """The attack whose accuracy is quoted, beside those that judge it, all on the same images."""

    base: AttackResult
    stronger: AttackResult  # the same ball, more steps, several starts, the margin for a loss
    gradient_free: AttackResult  # the same ball, searched without gradients
    unbounded: AttackResult  # a ball as large as the pixel range, where every image can become any other
    signs: tuple[str, ...]  # what gives masking away, in words; empty where nothing does

    @property
    def masked(self) -> bool:
        """Whether the base attack's accuracy must not be read as robustness."""
        return bool(self.signs)

    @property
    def verdict(self) -> str:
        """All of it in one paragraph for a report."""
        judging = (self.stronger, self.gradient_free, self.unbounded)
        others = ", ".join(f"{result.accuracy:.1%} under {result.name}" for result in judging)
        stays = f"{self.base.accuracy:.1%} stay right under {self.base.name}"
        numbers = f"Of {len(self.base.survived)} images, {stays}; {others}."
        if not self.signs:
            return f"No sign of gradient masking. {numbers}"
        return (
            f"Gradient masking: the accuracy under {self.base.name} is no robustness: {'; '.join(self.signs)}. "
            f"{numbers} The accuracy to quote is at most {self.accuracy:.1%}."
        )

    @property
    def accuracy(self) -> float:
        """The share of images, from 0 to 1, that no attack in the ball broke: the number to quote."""
        together = self.base.survived & self.stronger.survived & self.gradient_free.survived
        return int(together.sum()) / len(together)


def check_gradient_masking(
    model: Model,
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    epsilon: float,
    seed: int,
    steps: int = 40,
    stronger_steps: int = 100,
    restarts: int = 5,
    queries: int = 500,
    tolerance: float = 0.01,
    base: AttackResult | None = None,
    image_ids: Tensor | None = None,
    batch_size: int = 256,
) -> MaskingCheck:
    """Attack the same images four ways and compare (see `MaskingCheck`).

    An attack does better if it breaks at least `tolerance` more of all images than the base attack, and by more than
    sampling error: of the images that only one of the two broke, too many were broken by it for a fair coin (exact
    one-sided sign test at 5 %, no correction for trying several). The unbounded attack must leave at most `tolerance`.

    An image that withstands everything costs about restarts·stronger_steps + 2·steps gradients and `queries` forward
    passes; some hundred images are enough for the comparison.

    Args:
        epsilon: the radius in pixel units of [0, 1], above 0.
        steps: of the base attack, PGD on the cross-entropy, and of the unbounded one.
        stronger_steps, restarts: of the stronger PGD.
        queries: of the Square attack.
        tolerance: the share of images that an attack may win by, for a longer search always finds a little more.
        base: the base attack's result at this radius on these images, where it has been run already.
        others: as for `stic_fast.evaluation.attacks.pgd`.

    Raises:
        InputError: as `pgd`, an attack called stronger that has fewer steps, or a base of something else.

    >>> images = torch.tensor([0, 100, 155, 255], dtype=torch.uint8).view(4, 1, 1, 1)
    >>> model = lambda x: torch.cat([-x, x], dim=1).flatten(1)
    >>> check = check_gradient_masking(model, images, torch.tensor([0, 0, 1, 1]), 2, epsilon=32 / 255, seed=0)
    >>> check.masked, check.accuracy
    (False, 0.5)
    """
    check_count("stronger_steps", stronger_steps, least=steps)
    check_count("restarts", restarts)
    check_positive("epsilon", epsilon, most=1)
    attacked = (model, images, labels, num_classes)
    shared: dict[str, Any] = {"seed": seed, "image_ids": image_ids, "batch_size": batch_size}
    if base is None:
        base = _pgd(*attacked, epsilon=epsilon, steps=steps, **shared)
    elif (base.epsilon, len(base.survived)) != (epsilon, len(images)):
        raise InputError(
            f"base is {base.name} on {len(base.survived)} images, but the check is of {len(images)} images at "
            f"{in_pixels(epsilon)}; pass the attack that is to be checked"
        )
    stronger = _pgd(*attacked, epsilon=epsilon, steps=stronger_steps, restarts=restarts, loss="margin", **shared)
    gradient_free = square_attack(*attacked, epsilon=epsilon, queries=queries, **shared)
    unbounded = _pgd(*attacked, epsilon=1.0, steps=steps, **shared)
    signs = [_sign_of(base, other, tolerance) for other in (stronger, gradient_free)]
    if unbounded.accuracy > tolerance:
        signs.append(
            f"{unbounded.name}, free to change every pixel, still leaves {unbounded.accuracy:.1%} of all images"
        )
    return MaskingCheck(base, stronger, gradient_free, unbounded, tuple(sign for sign in signs if sign))


def _pgd(
    model: Model, images: Tensor, labels: Tensor, num_classes: int, *, epsilon: float, **options: Any
) -> AttackResult:
    """PGD; where the model gives no gradient, the attack that stays where it is, for it has nowhere to go."""
    try:
        return pgd(model, images, labels, num_classes, epsilon=epsilon, **options)
    except NoGradient:
        options = {name: options[name] for name in ("image_ids", "batch_size")}
        name = f"PGD without a gradient at {in_pixels(epsilon)}"
        return attack_images(
            name, _standing, model, images, labels, num_classes, epsilon=epsilon, keep_images=False, **options
        )


def _standing(_: object, x: Tensor, y: Tensor, __: Tensor) -> tuple[Tensor, Tensor]:
    return torch.ones_like(y, dtype=torch.bool), x


def chance_of_fewer(base: Tensor, other: Tensor) -> float:
    """The chance that a fair coin would let the other attack win as often as it did, over the images one alone broke.

    The exact one-sided sign test (McNemar's) on paired results; 1 where none differs.

    Args:
        base, other: bool (N,), which images survived each attack.

    >>> chance_of_fewer(torch.tensor([True, True, True, False]), torch.tensor([False, False, False, False]))  # 1/2³
    0.125
    """
    from scipy.stats import binom

    won, lost = int((base & ~other).sum()), int((other & ~base).sum())
    return float(binom.sf(won - 1, won + lost, 0.5)) if won + lost else 1.0


def _sign_of(base: AttackResult, other: AttackResult, tolerance: float) -> str:
    gain, chance = base.accuracy - other.accuracy, chance_of_fewer(base.survived, other.survived)
    if gain < tolerance or chance > SIGNIFICANCE:
        return ""
    return f"{other.name} breaks {gain:.1%} more (chance of that, were it no better: {chance:.1g})"
