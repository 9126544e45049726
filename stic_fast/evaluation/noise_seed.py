# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Seeds that keep the uses of evaluation's noise apart: one user seed, one independent 64-bit key per purpose."""

from __future__ import annotations

import hashlib

from stic_fast.counts import check_count
from stic_fast.ops.checks import MAX_SEED


def noise_seed(seed: int, purpose: str) -> int:
    """The Philox key for one purpose: the first eight bytes, little-endian, of SHA-256 of "purpose seed".

    Evaluation draws on the chain-init stream. With the user's own seed there, outliers of uniform noise would be the
    very canvases that chains start from, and an attack's random start would repeat them; a hashed key shares nothing
    with it, and, unlike seed + 1, nothing with the user's other seeds. A seed is from 0 to 2⁶⁴ − 1, else an InputError.

    >>> noise_seed(0, "pgd") == noise_seed(0, "pgd"), noise_seed(0, "pgd") == noise_seed(0, "square")
    (True, False)
    """
    check_count("seed", seed, least=0, most=MAX_SEED - 1)
    return int.from_bytes(hashlib.sha256(f"{purpose} {seed}".encode()).digest()[:8], "little")
