# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of the ops and of a chain's step against plain PyTorch: pytest-benchmark suites, and the report on them."""
