# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the training tests share: a run that takes a third of a second."""

from __future__ import annotations

import pytest

from stic_fast.sampling import GRMALA
from stic_fast.training import NetworkConfig, PoolConfig, SticConfig


@pytest.fixture
def tiny() -> SticConfig:
    """Two passes of six iterations on the digits, a checkpoint after every second one, a pool of eight chains."""
    return SticConfig(
        passes=2,
        iterations=6,
        batch_size=8,
        network=NetworkConfig(depth=10, width=1),
        pool=PoolConfig(chains=8, batch_size=8, sampler=GRMALA(steps=2)),
        sampler=GRMALA(steps=1),
        log_every=2,
        checkpoint_every=2,
    )
