# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Classifiers that can be asked for logits and for named features."""

from __future__ import annotations

from stic_fast.models.classifier import Classifier
from stic_fast.models.convnet import ConvNet
from stic_fast.models.filter_bank import FilterBank
from stic_fast.models.fixed_passes import FixedPasses, Layout, Precision
from stic_fast.models.max_mahalanobis import MaxMahalanobisClassifier, max_mahalanobis_centres
from stic_fast.models.score_classifier import AtNoise, ScoreClassifier
from stic_fast.models.score_unet import ScoreUNet
from stic_fast.models.score_wide_resnet import ScoreWideResNet
from stic_fast.models.wide_resnet import WideResNet
from stic_fast.models.wrap import Normalize, WrappedClassifier, wrap

__all__ = [
    "AtNoise",
    "Classifier",
    "ConvNet",
    "FilterBank",
    "FixedPasses",
    "Layout",
    "MaxMahalanobisClassifier",
    "Normalize",
    "Precision",
    "ScoreClassifier",
    "ScoreUNet",
    "ScoreWideResNet",
    "WideResNet",
    "WrappedClassifier",
    "max_mahalanobis_centres",
    "wrap",
]
