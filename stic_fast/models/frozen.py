# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A model as a fixed function: parameters frozen and modules in evaluation mode while somebody differentiates by x."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
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
                held.append((id(owner), flag))
                _HOLDERS[held[-1]] += 1
                is_on = getattr(owner, flag, False)  # a frozen script module has no mode
                _BEFORE.setdefault(held[-1], (owner, is_on))
                if is_on:
                    setattr(owner, flag, False)
        yield
    finally:
        with _LOCK:
            for key in held:
                _HOLDERS[key] -= 1
                if not _HOLDERS[key]:
                    del _HOLDERS[key]
                    owner, was_on = _BEFORE.pop(key)
                    if was_on:
                        setattr(owner, key[1], True)


_BEFORE: dict[tuple[int, str], tuple[object, bool]] = {}
"""By an object's id and the flag's name: the object, which stays alive here, and whether the flag was on."""
_HOLDERS: Counter[tuple[int, str]] = Counter()
"""How many hold the flag off."""
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
