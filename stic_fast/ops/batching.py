# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""torch.func.vmap over the ops: what the loop over the slices gives, in one call where the op counts chains.

The dimension that vmap adds joins that of the chains. Chain ids that are left out count from 0 in every slice, as in
the loop, so slices share their noise unless they have ids of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor

Rule: TypeAlias = Callable[..., tuple[Any, Any]]
"""(info, dims, *arguments) to outputs and their dimensions, as `torch.library.register_vmap` has it."""
FIRST: Mapping[str, int] = MappingProxyType({})


def slice_of(value: Any, dim: Any, index: int) -> Any:
    """An argument of one slice; lists of tensors have a list of dimensions."""
    if isinstance(value, list | tuple) and isinstance(dim, list | tuple):
        return [slice_of(each, place, index) for each, place in zip(value, dim, strict=True)]
    return value if dim is None else value.select(dim, index)


def is_mapped(dim: Any) -> bool:
    """Whether vmap goes over an argument, or over a tensor of a list."""
    return any(map(is_mapped, dim)) if isinstance(dim, list | tuple) else dim is not None


def loop(op: Any) -> Rule:
    """The rule of an op whose slices need a call each."""

    def rule(info: Any, dims: Any, *arguments: Any) -> tuple[Any, Any]:
        slices = [
            op(*(slice_of(value, dim, index) for value, dim in zip(arguments, dims, strict=True)))
            for index in range(info.batch_size)
        ]
        if isinstance(slices[0], Tensor):
            return torch.stack(slices), 0
        return type(slices[0])(map(torch.stack, zip(*slices, strict=True))), 0

    return rule


def joined_chains(
    op: Any,
    check: Callable[..., Any],
    *,
    axes: Mapping[str, int] = FIRST,
    outputs: tuple[int, ...] = (0,),
    one_for_all: Collection[str] = (),
) -> Rule:
    """The rule of an op that computes each chain by itself.

    Args:
        op: whose first argument has the chains in front.
        check: of the op's arguments; it is asked about the first slice, so that a message tells what the caller gave.
        axes: by argument, the dimension of the chains where it is not the first.
        outputs: the dimension of the chains of each output, or of all.
        one_for_all: arguments that may be of one chain and serve all.
    """
    names = [argument.name for argument in op._schema.arguments]
    one_by_one = loop(op)

    def rule(info: Any, dims: Any, *arguments: Any) -> tuple[Any, Any]:
        size = info.batch_size
        given = dict(zip(names, zip(arguments, dims, strict=True), strict=True))
        if is_mapped(given.get("step_tensor", (None, None))[1]):  # one step for all chains of a call
            return one_by_one(info, dims, *arguments)
        first = [slice_of(value, dim, 0) for value, dim in given.values()]
        check(*first)
        chains = (first[0] if isinstance(first[0], Tensor) else first[0][0]).shape[0]

        def join(name: str, value: Any, dim: Any) -> Any:
            if isinstance(value, list | tuple) and isinstance(dim, list | tuple):
                return [join(name, each, place) for each, place in zip(value, dim, strict=True)]
            if not isinstance(value, Tensor) or name == "step_tensor":
                return value
            axis = axes.get(name, 0)
            if dim is None and name in one_for_all and value.shape[axis] == 1:
                return value
            apart = value.unsqueeze(axis) if dim is None else value.movedim(dim, axis)
            shape = list(apart.shape)
            shape[axis : axis + 2] = size, chains
            return apart.expand(shape).flatten(axis, axis + 1)

        joined = [join(name, value, dim) for name, (value, dim) in given.items()]
        if "chain_ids" in given and given["chain_ids"][0] is None:
            joined[names.index("chain_ids")] = torch.arange(chains, device=first[0].device).repeat(size)
        result = op(*joined)
        if isinstance(result, Tensor):
            return result.unflatten(outputs[0], (size, chains)), outputs[0]
        axis_of = outputs if len(outputs) == len(result) else outputs * len(result)
        # An output that stands for none has no chains.
        places = [
            axis if each.shape[axis] == size * chains else None for each, axis in zip(result, axis_of, strict=True)
        ]
        apart = (
            each if axis is None else each.unflatten(axis, (size, chains))
            for each, axis in zip(result, places, strict=True)
        )
        return type(result)(apart), type(result)(places)

    return rule
