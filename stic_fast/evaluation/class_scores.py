# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores of how well drawn images show the classes asked for: Cls_R, Cls_G, and a classifier's own test accuracy.

STIC, section 4, "Quantitative Evaluation" and Table 1. The paper gives top-5 in per cent, judged by a ResNet-50; here a
score is a share from 0 to 1, top-1 unless k says otherwise, judged by a `Judge`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.evaluation.checks import check_labelled_images, check_logits, check_one_size
from stic_fast.evaluation.features import JudgeNetwork
from stic_fast.evaluation.judge import predict_logits, top_k_accuracy, train_judge


def cls_r(
    judge: JudgeNetwork, drawn_images: Tensor, asked_labels: Tensor, k: int = 1, *, batch_size: int = 512
) -> float:
    """Cls_R: the share of drawn images that a judge trained on real images reads as the class asked for.

    High where each image shows its class; a generator that draws one perfect image per class still scores 1, so read it
    beside `cls_g`.

    Args:
        judge: a network that knows the classes, trained on real labelled images; never the model that drew.
        drawn_images: uint8 (N, C, H, W), of the judge's image shape.
        asked_labels: int64 (N,), the class each image was asked to show.
        k: an image counts when the class asked for is among the judge's k most likely ones.
        batch_size: images judged at a time.

    Raises:
        InputError: for an empty set, floating-point images, labels out of range, counts that differ, another image
            shape, or a k outside 1 to the number of classes.

    >>> real = torch.tensor([0, 255, 0, 255], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 4, 4)
    >>> judge = train_judge(real, torch.tensor([0, 1, 0, 1]), 2, iterations=30, batch_size=8, seed=0)
    >>> drawn = torch.tensor([3, 250, 245, 4], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 4, 4)
    >>> cls_r(judge, drawn, torch.tensor([0, 1, 1, 1]))
    0.75
    """
    check_labelled_images(drawn_images, asked_labels, judge.num_classes, what="drawn_images")
    return top_k_accuracy(predict_logits(judge, drawn_images, batch_size=batch_size), asked_labels, k=k)


def cls_g(
    drawn_images: Tensor,
    asked_labels: Tensor,
    real_test_images: Tensor,
    real_test_labels: Tensor,
    *,
    num_classes: int,
    seed: int,
    k: int = 1,
    iterations: int = 600,
    batch_size: int = 128,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> float:
    """Cls_G: the accuracy on real test images of a judge trained on the drawn images alone.

    The literature calls it the classification accuracy score, CAS (Ravuri and Vinyals, 2019).

    High only where the drawn images are both right and diverse enough to learn from. With a fixed `iterations` the
    score can be compared between generators that drew different numbers of images.

    Args:
        drawn_images: uint8 (N, C, H, W).
        asked_labels: int64 (N,), the class each image was asked to show; the labels the judge learns.
        real_test_images: uint8 (M, C, H, W), held out from the generator's training.
        real_test_labels: int64 (M,).
        num_classes: the number of real classes.
        seed: fixes the judge (see `train_judge`).
        k: a test image counts when its class is among the judge's k most likely ones.
        iterations, batch_size, device, progress: as for `train_judge`.

    Raises:
        InputError: as `cls_r`, or drawn and real images of different shapes.

    >>> drawn = torch.tensor([3, 250, 9, 245], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 4, 4)
    >>> real = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    >>> asked = torch.tensor([0, 1, 0, 1])
    >>> cls_g(drawn, asked, real, torch.tensor([0, 1]), num_classes=2, seed=0, iterations=30, batch_size=8)
    1.0
    """
    # Everything is checked before the training, so that no mistake is told only after it.
    check_labelled_images(drawn_images, asked_labels, num_classes, what="drawn_images")
    check_labelled_images(real_test_images, real_test_labels, num_classes, what="real_test_images")
    check_one_size(drawn_images, real_test_images, what=("drawn_images", "real_test_images"))
    check_count("k", k, most=num_classes, why="num_classes")
    training: dict[str, Any] = {"iterations": iterations, "batch_size": batch_size, "seed": seed}
    judge = train_judge(drawn_images, asked_labels, num_classes, **training, device=device, progress=progress)
    return cls_r(judge, real_test_images, real_test_labels, k)


def accuracy(
    model: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, num_classes: int, *, batch_size: int = 256
) -> float:
    """The share, from 0 to 1, of images whose largest logit among the first num_classes is their label.

    Logits beyond num_classes, such as STIC's fake class "-1", are left out of the comparison. The model sees float32 in
    [-1, 1], in evaluation mode and without gradients; its submodules get their modes back. An image whose real-class
    logits are not all finite counts as wrong, so a diverged model scores 0 and not the share of class 0.

    Args:
        model: a `Classifier`, any nn.Module, or a function, from images (B, C, H, W) to logits (B, >= num_classes).
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        num_classes: the number of real classes.
        batch_size: images per forward pass.

    Raises:
        InputError: for an empty set, floating-point images, labels out of range, counts that differ, or a model with
            fewer logits than num_classes.

    >>> images = torch.tensor([0, 255, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    >>> model = lambda x: torch.cat([-x, x, x + 9], dim=1).flatten(1)  # the third logit is the fake class
    >>> accuracy(model, images, torch.tensor([0, 1, 1]), 2)
    1.0
    """
    check_labelled_images(images, labels, num_classes)
    logits = predict_logits(model, images, batch_size=batch_size)
    check_logits(logits, num_classes)
    return top_k_accuracy(logits[:, :num_classes], labels, k=1)
