# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Image sets from disk, all as uint8 in memory: `load("digits")`, `load("folder:PATH")` and their like."""

from __future__ import annotations

from stic_fast.data.image_set import ImageSet, Splits
from stic_fast.data.sources import SOURCES, load

__all__ = ["SOURCES", "ImageSet", "Splits", "load"]
