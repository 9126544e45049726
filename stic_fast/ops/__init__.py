# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The native ops: one module per op, with its checks, its plain PyTorch reference, its fake and its derivative."""

from stic_fast.ops import noise
from stic_fast.ops.gram import gram
from stic_fast.ops.gram_loss import gram_loss
from stic_fast.ops.grmala_step import grmala_step, grmala_step_
from stic_fast.ops.metropolis_accept import Acceptance, metropolis_accept
from stic_fast.ops.scaled_silu import scaled_silu
from stic_fast.ops.vrm_batch import VrmBatch, vrm_batch

__all__ = [
    "Acceptance",
    "VrmBatch",
    "gram",
    "gram_loss",
    "grmala_step",
    "grmala_step_",
    "metropolis_accept",
    "noise",
    "scaled_silu",
    "vrm_batch",
]
