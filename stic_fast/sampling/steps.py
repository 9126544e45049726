# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Step sizes (ε1, ε2, ε3), and the noise level σ if there is one, as functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from stic_fast.errors import InputError

Schedule = Literal["constant", "linear", "cosine"]

Size: TypeAlias = float | Sequence[float] | Callable[[float], float]
"""One number for all steps, one for each, or a function of the share of the steps that is done, 0 to below 1."""

FACTORS: dict[str, Callable[[float], float]] = {
    "constant": lambda share: 1.0,
    "linear": lambda share: 1 - share,
    "cosine": lambda share: (1 + math.cos(math.pi * share)) / 2,
}


class StepSizes(NamedTuple):
    """Those of one step: ε1, ε2 and ε3 are these numbers times `scale`."""

    eps1: float | Tensor
    eps2: float | Tensor
    eps3: float | Tensor
    sigma: float | Tensor | None = None
    scale: float | Tensor = 1.0


class Steps:
    """The sizes of a chain's steps, for numbers of steps on the host and on the device.

    Args:
        count: how many steps.
        eps1, eps2, eps3: along ∇log p, against the Gram gradient, and of the noise.
        sigma: the noise level that the objective is told; None for an objective that knows none.
        schedule: how all three ε fall over the run: not at all, linearly, as a half cosine, or by a function of the
            share of the steps that is done.

    Raises:
        InputError: a size that is not finite or negative, a sequence of another length, an unknown schedule.

    >>> Steps(4, 0.5, eps3=[0.4, 0.3, 0.2, 0.1], schedule="linear").at(2)
    StepSizes(eps1=0.5, eps2=0.0, eps3=0.2, sigma=None, scale=0.5)
    """

    def __init__(
        self,
        count: int,
        eps1: Size,
        eps2: Size = 0.0,
        eps3: Size = 0.0,
        *,
        sigma: Size | None = None,
        schedule: Schedule | Callable[[float], float] = "constant",
    ) -> None:
        if not callable(schedule) and schedule not in FACTORS:
            raise InputError(f"schedule must be one of {', '.join(get_args(Schedule))}, got {schedule!r}; choose one")
        factor: Size = 1.0 if schedule == "constant" else schedule if callable(schedule) else FACTORS[schedule]
        sizes = {"eps1": eps1, "eps2": eps2, "eps3": eps3, "sigma": sigma, "scale": factor}
        self._count = count
        self._sizes = {name: None if size is None else _expanded(name, size, count) for name, size in sizes.items()}
        self._tables: dict[tuple[str, torch.device], Tensor] = {}
        varies = any(isinstance(size, list) for size in self._sizes.values())
        self._always = None if varies else self._at(0)

    @classmethod
    def annealed(cls, sigmas: Sequence[float], each: int, step_size: float, *, eps2: float = 0.0) -> Steps:
        """Annealed Langevin dynamics (Song and Ermon 2019, Algorithm 1): `each` steps at every noise level.

        With α = step_size·σ²/σ_last², ε1 is α/2 and ε3 is √α.

        Args:
            sigmas: noise levels, from the largest to the smallest.

        >>> Steps.annealed([1.0, 0.1], 2, 4e-4).at(2)
        StepSizes(eps1=0.0002, eps2=0.0, eps3=0.02, sigma=0.1, scale=1.0)
        """
        levels = [sigma for sigma in sigmas for _ in range(each)]
        alphas = [step_size * (sigma / sigmas[-1]) ** 2 for sigma in levels]
        eps1, eps3 = [alpha / 2 for alpha in alphas], [math.sqrt(alpha) for alpha in alphas]
        return cls(len(levels), eps1, eps2, eps3, sigma=levels)

    def __len__(self) -> int:
        return self._count

    @property
    def with_gram(self) -> bool:
        """Whether a Gram term moves chains at any step."""
        eps2 = self._sizes["eps2"]
        return any(eps2) if isinstance(eps2, list) else bool(eps2)

    def at(self, index: int | Tensor) -> StepSizes:
        """The sizes of a step, counted from 0; beyond the last those of the last.

        Args:
            index: or an int64 tensor (1,), for which sizes that vary are 0-d float64 tensors on its device.
        """
        return self._always or self._at(index)

    def _at(self, index: int | Tensor) -> StepSizes:
        return StepSizes(*(self._value(name, index) for name in self._sizes))  # type: ignore[arg-type]

    def _value(self, name: str, index: int | Tensor) -> float | Tensor | None:
        size = self._sizes[name]
        if not isinstance(size, list):
            return size
        if isinstance(index, int):
            return size[min(index, self._count - 1)]
        return self._table(name, index.device).index_select(0, index.clamp(max=self._count - 1))[0]

    def prepare(self, device: torch.device) -> None:
        """Brings sizes that vary to a device, which cannot be done while a step is captured there."""
        for name, size in self._sizes.items():
            if isinstance(size, list):
                self._table(name, device)

    def _table(self, name: str, device: torch.device) -> Tensor:
        key = (name, device)
        if key not in self._tables:
            self._tables[key] = torch.tensor(self._sizes[name], dtype=torch.float64, device=device)
        return self._tables[key]


@lru_cache(maxsize=64)
def scheduled(count: int, eps1: float, eps2: float, eps3: float, schedule: Schedule = "constant") -> Steps:
    """Steps of these sizes, made once: a sampler is asked for its own again and again."""
    return Steps(count, eps1, eps2, eps3, schedule=schedule)


def _expanded(name: str, size: Size, count: int) -> float | list[float]:
    if callable(size):
        values = [float(size(step / count)) for step in range(count)]
    elif isinstance(size, Sequence):
        values = [float(value) for value in size]
        if len(values) != count:
            raise InputError(
                f"{name} has {len(values)} sizes for {count} steps; give one for each step, or one for all"
            )
    else:
        values = [float(size)]
    for value in values:
        if not 0 <= value < math.inf:
            raise InputError(f"{name} must be finite and not negative, got {value}; give another size")
    return values if callable(size) or isinstance(size, Sequence) else values[0]
