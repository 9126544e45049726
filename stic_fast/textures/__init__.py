# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Textures and styles of one image, drawn by Gatys' synthesis with the native Gram loss."""

from __future__ import annotations

from stic_fast.textures.features import FilterFeatures, ModuleFeatures, TextureFeatures, features_of
from stic_fast.textures.gram_synthesis import GramSynthesis, Watch

__all__ = ["FilterFeatures", "GramSynthesis", "ModuleFeatures", "TextureFeatures", "Watch", "features_of"]
