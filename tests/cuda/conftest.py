# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the tests on a GPU share: the device, and libraries that give the same bits twice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch


@pytest.fixture
def cuda() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device())


@pytest.fixture(autouse=True)
def _repeatable() -> Iterator[None]:
    """Convolutions in float32 and by algorithms that add in a fixed order."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


@pytest.fixture
def waits_fail() -> Callable[[], AbstractContextManager[None]]:
    """A context in which an operation that makes the CPU wait for the GPU raises."""

    @contextmanager
    def context() -> Iterator[None]:
        with warnings.catch_warnings():
            # Once in a process, whichever test comes first, PyTorch warns of this mode itself.
            warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
            torch.cuda.set_sync_debug_mode("error")
            try:
                yield
            finally:
                torch.cuda.set_sync_debug_mode("default")

    return context
