# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`python -m stic_fast` is `stic-fast`, and without arguments `stic-fast info`."""

from __future__ import annotations

import sys

from stic_fast.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["info"]))
