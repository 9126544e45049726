# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Studies of a trained run: one question, one picture, and the numbers in it."""

from __future__ import annotations

from stic_fast.studies.boundaries import Boundaries
from stic_fast.studies.calibration import Calibration
from stic_fast.studies.chain_parts import ChainParts
from stic_fast.studies.classifiers import Classifiers
from stic_fast.studies.diversity import Diversity
from stic_fast.studies.evolution import Evolution
from stic_fast.studies.extremes import Extremes
from stic_fast.studies.features import Features
from stic_fast.studies.gram_layers import GramLayers
from stic_fast.studies.interpolation import Interpolation
from stic_fast.studies.judged import Judged
from stic_fast.studies.manifold import Manifold
from stic_fast.studies.passes import Passes
from stic_fast.studies.step_sizes import StepSizes
from stic_fast.studies.study import Study, StudyResult

STUDIES: dict[str, type[Study]] = {
    "evolution": Evolution,
    "passes": Passes,
    "diversity": Diversity,
    "interpolation": Interpolation,
    "manifold": Manifold,
    "step-sizes": StepSizes,
    "chain-parts": ChainParts,
    "boundaries": Boundaries,
    "gram-layers": GramLayers,
    "extremes": Extremes,
    "calibration": Calibration,
    "classifiers": Classifiers,
    "features": Features,
}
"""By the name that the command line knows them by."""

__all__ = ["STUDIES", "Judged", "Study", "StudyResult"]
