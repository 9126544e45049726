# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the rows of a comparison are called: the suites write these names, the report reads them."""

from __future__ import annotations

OWN = "stic_fast"
"""The public function, its argument checks included. "stic_fast bf16" and the like are its variants."""
EAGER = "eager"
"""Idiomatic PyTorch, batched."""
COMPILED = "torch.compile"
"""The eager function, compiled."""
TORCHEBM = "torchebm"
"""The update of torchebm's Langevin sampler."""
REFERENCE = "reference"
"""The op's own reference in plain PyTorch, which draws the very noise of the kernel."""
NOISE_FREE = "without noise"
"""stic_fast with ε3 = 0: what is left of the time when nothing is drawn."""
COPY = "copy"
"""torch.Tensor.copy_ that moves as many bytes as the op has to: what memory allows."""
PRODUCTS = "matrix products"
"""The matrix products of the op alone, by torch.bmm into kept outputs: what the arithmetic allows without symmetry."""
PRIMAL, DUAL = "primal", "dual"
"""The two forms of the Gram loss, each forced."""
MEASURED = "measured"
"""A ceiling of the machine, which has no rival."""

SCALING = "grmala_step_ by size"
COST_MODEL = "gram_loss by form"
CEILING = "ceiling"
"""Ops of the suites that have their own table in the report."""

FIRST_RUN = "first_run"
"""A row's own fact: seconds by the step of the first run of several steps."""

GPU = 0
"""Stands in place of the number of threads in rows that were measured on a GPU."""
