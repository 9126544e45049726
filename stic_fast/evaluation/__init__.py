# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Judges and metrics: how good the drawn images and the classifier are."""

from stic_fast.evaluation.any_images import evaluate_images
from stic_fast.evaluation.any_texture import evaluate_texture
from stic_fast.evaluation.attacks import PAPER_EPSILONS, pgd
from stic_fast.evaluation.calibration import (
    Reliability,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
    temperature,
    tempered,
)
from stic_fast.evaluation.carlini_wagner import carlini_wagner
from stic_fast.evaluation.class_scores import accuracy, cls_g, cls_r
from stic_fast.evaluation.features import FeatureStatistics, JudgeNetwork, metric_name, read_images
from stic_fast.evaluation.frechet import frechet_distance, kernel_distance, kernel_distance_over_subsets
from stic_fast.evaluation.gradient_masking import check_gradient_masking
from stic_fast.evaluation.inception_score import inception_score, modified_inception_score
from stic_fast.evaluation.judge import Judge, train_judge
from stic_fast.evaluation.judges import JudgeRequest, judge_forms, load_judge, register_judge
from stic_fast.evaluation.manifold import manifold_scores
from stic_fast.evaluation.nearest import nearest_distances
from stic_fast.evaluation.network_judge import NetworkJudge, as_judge
from stic_fast.evaluation.out_of_distribution import auroc, ood_scores
from stic_fast.evaluation.outliers import fit_images, outlier_sets
from stic_fast.evaluation.patch_copies import nearest_patches, share_of_copies
from stic_fast.evaluation.patch_features import PatchFeatures
from stic_fast.evaluation.resnet20 import load_resnet20_judge
from stic_fast.evaluation.square_attack import square_attack
from stic_fast.evaluation.torchscript_judge import load_torchscript_judge

__all__ = [
    "PAPER_EPSILONS",
    "FeatureStatistics",
    "Judge",
    "JudgeNetwork",
    "JudgeRequest",
    "NetworkJudge",
    "PatchFeatures",
    "Reliability",
    "accuracy",
    "as_judge",
    "auroc",
    "carlini_wagner",
    "check_gradient_masking",
    "cls_g",
    "cls_r",
    "evaluate_images",
    "evaluate_texture",
    "expected_calibration_error",
    "fit_images",
    "frechet_distance",
    "inception_score",
    "judge_forms",
    "kernel_distance",
    "kernel_distance_over_subsets",
    "load_judge",
    "load_resnet20_judge",
    "load_torchscript_judge",
    "manifold_scores",
    "metric_name",
    "modified_inception_score",
    "nearest_distances",
    "nearest_patches",
    "negative_log_likelihood",
    "ood_scores",
    "outlier_sets",
    "pgd",
    "read_images",
    "register_judge",
    "reliability",
    "share_of_copies",
    "square_attack",
    "temperature",
    "tempered",
    "train_judge",
]
