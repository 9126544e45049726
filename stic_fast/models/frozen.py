# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A model as a fixed function: parameters frozen and modules in evaluation mode while somebody differentiates by x."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock

from torch import nn


@contextmanager
def frozen(model: object) -> Iterator[None]:
    """Within it no parameter of `model` requires grad and no module trains; both are put back, after an error too.

    Autograd then builds the graph from the image to the score alone. A plain function has nothing to freeze.

    Threads may freeze one model, or models that share parts, at the same time: a flag is put back as the last of them
    leaves. Whoever trains the model meanwhile, in another thread, trains a frozen one; give that thread a copy.

    >>> net = nn.Linear(2, 2)
    >>> with frozen(net):
    ...     net.weight.requires_grad, net.training
    (False, False)
    >>> net.weight.requires_grad, net.training
    (True, True)
    """
    held: list[tuple[int, str]] = []
    try:
        with _LOCK:
            for owner, flag in _flags(model):
                _hold(owner, flag)
                held.append((id(owner), flag))
        yield
    finally:
        with _LOCK:
            for key in held:
                _release(*key)


@dataclass
class _Switch:
    """A flag of an object that is off for as long as anybody holds it."""

    owner: object
    was_on: bool
    holders: int = 0


_SWITCHES: dict[tuple[int, str], _Switch] = {}
"""By the object's id and the flag's name; the objects stay alive in them."""
_LOCK = RLock()
"""Reentrant, for the garbage collector may close a generator that had frozen something, whatever the thread is at."""


def _flags(model: object) -> Iterator[tuple[object, str]]:
    """Each flag is set by itself: `eval()` may do more, such as merging weights, which nothing here would undo."""
    if isinstance(model, nn.Module):
        for parameter in model.parameters():
            yield parameter, "requires_grad"
        for module in model.modules():
            if "_orig_mod" not in module._modules:  # that of torch.compile answers for the module it holds
                yield module, "training"


def _hold(owner: object, flag: str) -> None:
    is_on = getattr(owner, flag, False)  # a frozen script module has no mode
    if is_on:
        setattr(owner, flag, False)
    _SWITCHES.setdefault((id(owner), flag), _Switch(owner, is_on)).holders += 1


def _release(owner_id: int, flag: str) -> None:
    switch = _SWITCHES[owner_id, flag]
    switch.holders -= 1
    if not switch.holders:
        del _SWITCHES[owner_id, flag]
        if switch.was_on:
            setattr(switch.owner, flag, True)
