# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What named submodules return, or are given, in a forward pass, read by forward hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import RLock, get_ident
from typing import Any

from torch import Tensor, nn

from stic_fast.errors import InputError

_REGISTERING = RLock()
"""PyTorch numbers hooks without a lock, so two threads at once may be given one number."""


@contextmanager
def recorded(module: nn.Module, names: Iterable[str], *, inputs: bool = False) -> Iterator[dict[str, list[Any]]]:
    """Within it the outputs of the named submodules are listed by name, one for each call that this thread makes.

    A tensor is listed as it is before any in-place operation that follows. Other threads may run the module, and
    record it, at the same time.

    Args:
        inputs: whether to list what the submodules are given, their first argument, in place of what they return.

    >>> import torch
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> with recorded(net, ["0"]) as outputs:
    ...     logits = net(torch.ones(1, 2, 2))
    >>> outputs
    {'0': [tensor([[1., 1., 1., 1.]])]}
    """
    outputs: dict[str, list[Any]] = {name: [] for name in names}
    handles = []
    try:
        with _REGISTERING:
            for name, own in outputs.items():
                submodule = module.get_submodule(name)
                if inputs:
                    handles.append(submodule.register_forward_pre_hook(_input_recorder(own, get_ident())))
                else:
                    handles.append(submodule.register_forward_hook(_recorder(own, get_ident())))
        yield outputs
    finally:
        with _REGISTERING:
            for handle in handles:
                handle.remove()


def the_output(layer: str, outputs: Sequence[Any], *, of: str = "") -> Any:
    """The one output that a layer, `of` somebody, gave in a forward pass; InputError where it gave none or more."""
    if len(outputs) != 1:
        times = f"called {len(outputs)} times" if outputs else "not called"
        hint = "the layer around it" if outputs else "one that is called, in the module and not its compiled form"
        raise InputError(f"layer {layer!r}{of} was {times} in the forward pass, so it has no one feature; name {hint}")
    return outputs[0]


def _recorder(outputs: list[Any], thread: int) -> Callable[[nn.Module, Any, Any], Tensor | None]:
    """A forward hook that lists a thread's outputs, and hands on a copy that later layers may overwrite in place."""

    def record(module: nn.Module, arguments: Any, output: Any) -> Tensor | None:
        if get_ident() != thread:
            return None
        outputs.append(output)
        return output.clone() if isinstance(output, Tensor) else None

    return record


def _input_recorder(inputs: list[Any], thread: int) -> Callable[[nn.Module, Any], None]:
    """A hook before the forward pass that lists a thread's inputs, as they are then."""

    def record(module: nn.Module, arguments: Any) -> None:
        if get_ident() == thread:
            inputs.append(arguments[0].clone() if isinstance(arguments[0], Tensor) else arguments[0])

    return record
