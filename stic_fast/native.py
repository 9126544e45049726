# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The native module, or one clear sentence when it is missing."""

from __future__ import annotations

try:
    from stic_fast import _native as kernels
except ImportError as error:
    if "STIC_FAST_ISA" in str(error):  # says itself what to do
        raise
    raise ImportError(
        "stic_fast's native module stic_fast._native cannot be loaded "
        f"({error}); build and install the package with `pip install .` in its checkout, and run from outside "
        "the checkout's root if you use `python -m`"
    ) from error

__all__ = ["kernels"]
