# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Judges and metrics: how good the drawn images and the classifier are."""

from stic_fast.evaluation.class_scores import accuracy, cls_g, cls_r
from stic_fast.evaluation.judge import Judge, train_judge
from stic_fast.evaluation.nearest import nearest_distances

__all__ = ["Judge", "accuracy", "cls_g", "cls_r", "nearest_distances", "train_judge"]
