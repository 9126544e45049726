# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Pictures of a run: grids of images, training curves, and what an evaluation found, each alone or on one page."""

from stic_fast.plots.curves import training_curves, training_figure
from stic_fast.plots.grid import image_grid, save_grid
from stic_fast.plots.histograms import score_histograms
from stic_fast.plots.manifold import sweep_figure
from stic_fast.plots.page import Page
from stic_fast.plots.reliability import reliability_figure

__all__ = [
    "Page",
    "image_grid",
    "reliability_figure",
    "save_grid",
    "score_histograms",
    "sweep_figure",
    "training_curves",
    "training_figure",
]
