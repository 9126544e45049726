# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores that tell images of the training distribution from others, and the AUROC that judges a score.

GMMC, section 4.3: three scores s(x), each higher for images more like the training images. STIC adds a fourth for free:
its own probability of the fake class "−1". Score-STIC adds a fifth: the norm of the score that it learns. All scores
are float64 (N,) on the CPU.

What each does with the extra logit of a STIC classifier (C + 1 logits, the last is "fake"):
`log_density`, `class_confidence` and the gradient score leave it out and see a classifier of the C real classes;
`real_log_odds` is the one that reads it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.errors import InputError
from stic_fast.evaluation.checks import check_images, real_logits
from stic_fast.evaluation.fixed_classifier import Model, fixed_classifier
from stic_fast.models import ScoreClassifier
from stic_fast.models.frozen import frozen
from stic_fast.models.gradients import gradient_of, outside_inference
from stic_fast.models.weights import device_of
from stic_fast.pixels import as_unit

SIGMA = 0.5
"""The noise level of `score_norm`, in units of [−1, 1]: about the deviation of images.

Of the levels from 0.1 to 2, with noise added to the image and without, it parts digits best from other images: an AUROC
of 0.998 or more for noise, constant images, shuffled pixels and negatives. It hardly tells the mean of two images from
one (0.54 where training went on for 1,200 iterations): the mean is smoother than either."""

# Keys of `ood_scores`, with how the axis of a picture should call each score, and what it is called in short.
SCORE_LABELS = {
    "log_density": "log p(x) + constant (nats)",
    "class_confidence": "log-odds of the likeliest class, in the order of max p(y|x) (nats)",
    "gradient": "−‖∂ log p(x)/∂x‖ (nats per unit of x in [−1, 1])",
    "real_log_odds": "log-odds of real against fake (nats)",
    "score_norm": "−‖s(x, σ)‖ (nats per unit of x in [−1, 1])",
}
SCORE_NAMES = {
    "log_density": "log p(x)",
    "class_confidence": "max p(y|x)",
    "gradient": "−‖∂ log p(x)/∂x‖",
    "real_log_odds": "1 − p(fake|x)",
    "score_norm": "−‖s(x, σ)‖",
}


def log_density(logits: Tensor, num_classes: int) -> Tensor:
    """log p(x) up to a constant: logsumexp of the C real-class logits (GMMC, section 4.3 (1); JEM's reading).

    The logits are floating point (N, >= C), and those beyond the first C = num_classes are left out.

    >>> log_density(torch.tensor([[0.0, 0.0, 50.0]]), 2)  # log 2; the fake logit does not count
    tensor([0.6931], dtype=torch.float64)
    """
    return real_logits(logits, num_classes).logsumexp(dim=1)


def class_confidence(logits: Tensor, num_classes: int) -> Tensor:
    """log p/(1 − p) of p = max_y p(y|x) over the C real classes (GMMC, section 4.3 (3)); 0 for a single class.

    It orders images exactly as p does, so the AUROC is the same, but where p rounds to 1, as it does for nearly all
    images where a GMMC's logits lie hundreds of nats apart, it still tells them apart.

    >>> class_confidence(torch.tensor([[0.0, 0.0, 50.0], [300.0, 0.0, 0.0]]), 2)  # p = 1/2, and 1 − 1e-130
    tensor([  0., 300.], dtype=torch.float64)
    """
    real = real_logits(logits, num_classes)
    if num_classes == 1:
        return torch.zeros(len(real), dtype=real.dtype)
    ordered = real.sort(dim=1, descending=True).values
    return ordered[:, 0] - ordered[:, 1:].logsumexp(dim=1)


def real_log_odds(logits: Tensor, num_classes: int) -> Tensor:
    """log (1 − p(fake|x)) / p(fake|x): logsumexp of the C real-class logits minus the fake class's logit.

    It orders images exactly as −p(fake|x) does, so the AUROC is the same, but where p(fake|x) rounds to 0 or 1 it still
    tells them apart. The logits are (N, C + 1), the last the fake class's; InputError where there is none.

    >>> real_log_odds(torch.tensor([[0.0, 0.0, 0.0]]), 2)  # p(fake|x) = 1/3
    tensor([0.6931], dtype=torch.float64)
    """
    density = log_density(logits, num_classes)
    if logits.shape[1] != num_classes + 1:
        raise InputError(
            f"the fake class's score needs {num_classes + 1} logits, num_classes={num_classes} and the fake class, got "
            f"{logits.shape[1]}; leave this score out for a classifier without a fake class"
        )
    return density - real_logits(logits, num_classes + 1)[:, num_classes]


def score_norm(model: ScoreClassifier, images: Tensor, *, batch_size: int = 256) -> Tensor:
    r"""‖s(x, σ)‖₂ at σ = `SIGMA`, the lower, the more like the training images: how steep their density is at x.

    Of a network that knows one noise level, at that one.

    .. math:: ‖s(x, σ)‖_2 = ‖∇_x \log p(x; σ)‖_2 = ‖D(x; σ) - x‖_2/σ²

    without a label. No noise is added to x, so that an image has one value.

    Args:
        images: (N, channels, H, W), uint8 or floats in [−1, 1], N > 0.

    >>> from stic_fast.models import ScoreUNet
    >>> model = ScoreUNet(channels=(8,), num_classes=2, in_channels=1)  # untrained: s(x, σ) = −x/(σ² + 0.25)
    >>> score_norm(model, torch.full((1, 1, 4, 4), 0.5))
    tensor([4.], dtype=torch.float64)
    """
    check_count("batch_size", batch_size)
    device, sigma = device_of(model, images), SIGMA if model.knows_every_level else model.sigma_read
    with torch.no_grad(), frozen(model):
        scores = [model.score(as_unit(part.to(device)).float(), sigma) for part in torch.split(images, batch_size)]
        return torch.cat([score.flatten(1).double().norm(dim=1).cpu() for score in scores])


@outside_inference
def ood_scores(model: Model, images: Tensor, num_classes: int, *, batch_size: int = 256) -> dict[str, Tensor]:
    """All scores of every image, higher for images more like the training images; one forward and backward pass each.

    "gradient" is the approximate mass, −‖∂ log p(x)/∂x‖₂ with x in [−1, 1] (GMMC, section 4.3 (2)). The model's
    parameters are frozen and its modules in evaluation mode meanwhile, and put back.

    Args:
        model: an nn.Module, or a function, from float images (B, C, H, W) in [−1, 1] to logits (B, C) or wider.
        images: uint8 (N, channels, H, W), N > 0.
        num_classes: C, the number of real classes.
        batch_size: images per pass; the scores do not depend on it.

    Returns:
        float64 (N,) on the CPU by the keys of SCORE_LABELS; "real_log_odds" only where there are C + 1 logits,
        "score_norm", negative, only of a `ScoreClassifier`.

    Raises:
        InputError: images of another type or none, logits of another shape, or a batch size below 1.

    >>> images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    >>> scores = ood_scores(lambda x: torch.cat([3 * x, 3 * x], 1).flatten(1), images, 2)
    >>> list(scores), scores["gradient"].tolist()
    (['log_density', 'class_confidence', 'gradient'], [-3.0, -3.0])
    """
    check_images(images)
    check_count("batch_size", batch_size)
    all_logits, gradients = [], []
    with fixed_classifier(model, num_classes, images) as classifier, torch.enable_grad():
        for part in torch.split(images, batch_size):
            x = classifier.place(part).requires_grad_(True)
            logits = classifier.logits(x)
            slope = gradient_of(logits[:, :num_classes].logsumexp(dim=1).sum(), x)
            all_logits.append(logits.detach().cpu())
            gradients.append(-slope.flatten(1).double().norm(dim=1).cpu())
    logits = torch.cat(all_logits)
    scores = {
        "log_density": log_density(logits, num_classes),
        "class_confidence": class_confidence(logits, num_classes),
        "gradient": torch.cat(gradients),
    }
    if logits.shape[1] == num_classes + 1:
        scores["real_log_odds"] = real_log_odds(logits, num_classes)
    if isinstance(model, ScoreClassifier):
        scores["score_norm"] = -score_norm(model, images, batch_size=batch_size)
    return scores


def auroc(inside: Tensor, outside: Tensor) -> float:
    """The chance that an image from inside the distribution scores higher than one from outside, ties counted half.

    1 parts the two sets wholly, 0.5 not at all; below 0.5 the score prefers the outliers (GMMC, Table 3).

    Args:
        inside: scores (N,) of in-distribution images.
        outside: scores (M,) of outliers.

    Raises:
        InputError: a set without scores, or scores that are not finite.

    >>> auroc(torch.tensor([3.0, 2.0]), torch.tensor([1.0, 2.0]))  # 3 pairs won, 1 tied, of 4
    0.875
    """
    # Here and not above: scikit-learn takes most of a second to import.
    from sklearn.metrics import roc_auc_score

    for name, scores in (("inside", inside), ("outside", outside)):
        broken = int((~scores.isfinite()).sum())
        if scores.ndim != 1 or not len(scores) or broken:
            raise InputError(
                f"{name} must be finite scores (N,), N > 0, got shape {tuple(scores.shape)} with {broken} not finite; "
                "leave out the score, or the model that gives such"
            )
    together = torch.cat([scores.detach().double().cpu() for scores in (inside, outside)]).numpy()
    return float(roc_auc_score([True] * len(inside) + [False] * len(outside), together))
