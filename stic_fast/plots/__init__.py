# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Pictures of a run: grids of images and training curves."""

from stic_fast.plots.curves import training_curves, training_figure
from stic_fast.plots.grid import image_grid, save_grid

__all__ = ["image_grid", "save_grid", "training_curves", "training_figure"]
