# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Whether a saved state has the form of the thing that it is to be put into; loading alone would let much pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stic_fast.ops.checks import MAX_STEP
from stic_fast.sampling import ChainPool, Space


class Misfit(ValueError):
    """A saved state is of another form; says which part of it."""


def check_form(saved: Any, own: Any, name: str, *, sizes: bool = True) -> None:
    """Refuses what differs from `own` in keys, types, numbers of dimensions, or sizes.

    Args:
        name: of what is compared.
        sizes: whether tensors must be of one size too.

    Raises:
        Misfit: naming the first part that differs.

    >>> check_form({"clock": torch.zeros(2)}, {"clock": torch.zeros(3)}, "pool")
    Traceback (most recent call last):
    ...
    stic_fast.training.saved_state.Misfit: its pool.clock must be float32 (3,), not float32 (2,)
    """
    if isinstance(own, Tensor):
        fits = isinstance(saved, Tensor) and saved.dtype == own.dtype and saved.dim() == own.dim()
        if not fits or (sizes and saved.shape != own.shape):
            raise Misfit(f"its {name} must be {_described(own)}, not {_described(saved)}")
    elif isinstance(own, Mapping):
        if not isinstance(saved, Mapping) or saved.keys() != own.keys():
            raise Misfit(f"its {name} must hold {_described(own)}, not {_described(saved)}")
        for key, value in own.items():
            check_form(saved[key], value, f"{name}.{key}", sizes=sizes)
    elif type(saved) is not type(own):
        raise Misfit(f"its {name} must be {_described(own)}, not {_described(saved)}")


def check_adams(saved: Any, optimisers: Mapping[str, torch.optim.Adam]) -> None:
    """Refuses what is not the state of these optimisers, parameter by parameter."""
    if not isinstance(saved, Mapping) or saved.keys() != optimisers.keys():
        raise Misfit(f"its optimisers must be those of {_described(optimisers)}, not {_described(saved)}")
    for name, optimiser in optimisers.items():
        _check_adam(saved[name], optimiser)


def _check_adam(saved: Any, optimiser: torch.optim.Adam) -> None:
    own = optimiser.state_dict()
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    if not isinstance(saved, dict) or saved.keys() != own.keys() or not isinstance(saved["state"], dict):
        raise Misfit(f"its optimiser must hold {_described(own)}, not {_described(saved)}")
    if not isinstance(saved["param_groups"], list) or len(saved["param_groups"]) != len(own["param_groups"]):
        raise Misfit(f"its optimiser must have {len(own['param_groups'])} group(s) of parameters")
    for group, wanted in zip(saved["param_groups"], own["param_groups"], strict=True):
        if not isinstance(group, dict) or group.get("params") != wanted["params"]:
            raise Misfit("its optimiser must have the parameters of this network in their order")
    for number, moments in saved["state"].items():
        if not isinstance(number, int) or not 0 <= number < len(parameters):
            raise Misfit(f"its optimiser must have {len(parameters)} parameters, but has one {number!r}")
        form = {"step": torch.zeros(()), "exp_avg": parameters[number], "exp_avg_sq": parameters[number]}
        check_form(moments, form, f"optimiser.state.{number}")


def check_count_within(value: Any, name: str, least: int, most: int) -> None:
    """Refuses what is no whole number within a range."""
    if type(value) is not int or not least <= value <= most:
        wanted = f"{least}" if least == most else f"from {least} to {most}"
        raise Misfit(f"its {name} must be {wanted}, not {_described(value)}")


def restore_pool(pool: ChainPool, saved: Any, *, images: int) -> None:
    """Puts a pool back to a saved state.

    Args:
        images: how many real ones its conditions may refer to.

    Raises:
        Misfit: naming the first part that is of another form, or out of its range.
        InputError: the state is of a pool of other numbers of chains or references, or of another image shape.
    """
    own = pool.state_dict()
    if isinstance(saved, Mapping) and "states" in saved:
        saved = {**saved, "states": _as_kept(saved["states"], pool.recipe.space)}
    check_form(saved, own, "pool", sizes=False)
    for name in ("clock", "split"):
        check_form(saved[name], own[name], f"pool.{name}")
    pool.load_state_dict(saved)
    check_form(saved, own, "pool")
    for name, below in (("first", images), ("second", images), ("clock", MAX_STEP)):
        if not 0 <= int(saved[name].min()) <= int(saved[name].max()) < below:
            raise Misfit(f"its pool.{name} must be from 0 to {below - 1}")


def _as_kept(states: Any, space: Space) -> Any:
    """States that earlier versions kept as bytes, in the form of now."""
    return space.pack(space.unpack(states)) if isinstance(states, Tensor) and states.dtype == torch.uint8 else states


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"{', '.join(map(str, list(value)[:5]))}{', …' if len(value) > 5 else ''}" if value else "nothing"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else f"{value}"[:20]
    return type(value).__name__
