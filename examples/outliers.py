# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Outliers: a run's log p(x) and p(fake|x) of digits, of noise, of negatives, and of two digits in one.

Prints the AUROC: the chance that a digit scores as more real than an outlier. 1 parts them wholly, 0.5 not at all.
STIC learns from mixed images as real ones, so p(fake|x) does not tell two digits in one from a digit.
"""

from pathlib import Path

import torch

import stic_fast
from stic_fast.evaluation import auroc
from stic_fast.evaluation.outliers import interpolated

FOLDER = Path("runs/example")
SETTINGS = {"passes": 2, "iterations": 60, "pool": {"chains": 100, "sampler.steps": 20}, "sampler.steps": 40}
run = stic_fast.load(FOLDER) if FOLDER.exists() else stic_fast.train("stic", out=FOLDER, **SETTINGS)

digits = run.splits.test.images
noise = (256 * stic_fast.noise.uniform(digits.shape, seed=0)).to(torch.uint8)
sets = {"uniform noise": noise, "negatives": 255 - digits, "means of two digits": interpolated(digits, seed=0)}
for name, outliers in sets.items():
    density = auroc(run.log_density(digits), run.log_density(outliers))
    fake = auroc(-run.fake_probability(digits), -run.fake_probability(outliers))
    print(f"{name}: AUROC {density:.3f} by log p(x), {fake:.3f} by p(fake|x)")
