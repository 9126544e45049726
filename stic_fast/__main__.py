# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`python -m stic_fast` is `stic-fast`, and without arguments `stic-fast info`."""

from __future__ import annotations

import sys

from stic_fast.entry import main

if __name__ == "__main__":
    sys.argv[1:] = sys.argv[1:] or ["info"]
    sys.exit(main())
