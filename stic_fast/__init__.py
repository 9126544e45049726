# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Image classifiers that draw: STIC and its relatives, on native Gram and Langevin ops for PyTorch.

The ops at the top level (`grmala_step`, `gram_loss`, `noise.normal`, …) drop into any loop; `models`, `sampling`,
`training`, `data` and `evaluation` build the whole method on them.
"""

from stic_fast.entry import stopping_at_once

with stopping_at_once():
    from stic_fast.ops import (
        gram,
        gram_loss,
        grmala_step,
        grmala_step_,
        metropolis_accept,
        noise,
        vrm_batch,
    )

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "gram",
    "gram_loss",
    "grmala_step",
    "grmala_step_",
    "metropolis_accept",
    "noise",
    "vrm_batch",
]
