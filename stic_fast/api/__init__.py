# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The package from Python: `load` or `train` a run, and ask it for images and scores; `texture` and `stylize`."""

from __future__ import annotations

from stic_fast.api.counterfactual import Counterfactual
from stic_fast.api.images import Images
from stic_fast.api.run import Run, load
from stic_fast.api.textures import stylize, texture
from stic_fast.api.training import train

__all__ = ["Counterfactual", "Images", "Run", "load", "stylize", "texture", "train"]
