# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A saved moment of a run: weights, and the state that training goes on from, each with its digest."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from stic_fast.digests import listed_file
from stic_fast.errors import InputError
from stic_fast.stored import Content, damaged, read_tensors, read_torch

WEIGHTS, STATE = "model.safetensors", "state.pt"


@dataclass(frozen=True)
class Checkpoint:
    """A saved moment: after so many iterations, of which the last belongs to pass `pass_number`."""

    path: Path
    pass_number: int
    iteration: int | None
    """None at the end of the pass."""

    @property
    def name(self) -> str:
        """What evaluations call it."""
        return self.path.name

    @property
    def order(self) -> tuple[int, float]:
        """Later checkpoints have a larger order."""
        return self.pass_number, float("inf") if self.iteration is None else self.iteration

    @property
    def is_whole(self) -> bool:
        """Whether training can go on from it; older ones keep their weights alone."""
        return (self.path / STATE).exists()

    def load_weights(self) -> dict[str, Tensor]:
        """The classifier's weights."""
        return self._read(WEIGHTS, read_tensors)

    def load_state(self) -> dict[str, Any]:
        """Optimiser, fakes and counters. Never unpickles code.

        Raises:
            InputError: the file is missing or damaged, or holds something else.
        """
        state = self._read(STATE, read_torch)
        if not isinstance(state, dict):
            raise self.misfit(f"it holds a {type(state).__name__} and not a state")
        return state

    def misfit(self, reason: str, file: str = STATE) -> InputError:
        """The error for a file that cannot be gone on from."""
        return damaged(self.path / file, reason, self._hint)

    def _read(self, name: str, read: Callable[[Path, str], Content]) -> Content:
        try:
            return read(self.path / name, self._hint)
        except FileNotFoundError as error:
            raise InputError(f"{self.path / name} is missing; {self._hint}") from error

    @property
    def _hint(self) -> str:
        return f"move the folder {self.path} away to go on from the checkpoint before it; nothing else is lost"


def write_checkpoint(folder: Path, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Writes both files, and their digests, into a new folder."""
    folder.mkdir(parents=True)
    with listed_file(folder / WEIGHTS) as file:
        file.write(save({key: tensor.contiguous() for key, tensor in weights.items()}))
    content = io.BytesIO()  # torch would put what a full disk says into words of its own
    torch.save(dict(state), content)
    with listed_file(folder / STATE) as file:
        file.write(content.getbuffer())
