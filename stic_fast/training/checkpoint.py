# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A saved moment of a run: weights, and the state that training goes on from, each with its digest."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from stic_fast.digests import listed_file
from stic_fast.errors import InputError
from stic_fast.formats import Format
from stic_fast.stored import Content, damaged, parse_object, read_stored, read_torch

WEIGHTS, STATE = "model.safetensors", "state.pt"


def _an_optimiser_for_each_part(state: dict[str, Any]) -> dict[str, Any]:
    """At first there was one for all, though some runs without a number have this form already."""
    saved = state.get("optimiser")
    return {**state, "optimiser": {"model": saved}} if isinstance(saved, Mapping) and "param_groups" in saved else state


WEIGHTS_FORMAT = Format()
STATE_FORMAT = Format(upgrades=(_an_optimiser_for_each_part,))


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
        return self._read(WEIGHTS, read_weights)

    def load_state(self) -> dict[str, Any]:
        """Optimiser, fakes and counters. Never unpickles code.

        Raises:
            InputError: the file is missing or damaged, or holds something else.
        """
        state = self._read(STATE, read_torch)
        if not isinstance(state, dict):
            raise self.misfit(f"it holds a {type(state).__name__} and not a state")
        return STATE_FORMAT.current(state, self.path / STATE, self._hint)

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
        file.write(weights_file(weights))
    content = io.BytesIO()  # torch would put what a full disk says into words of its own
    torch.save({**STATE_FORMAT.stamp(), **state}, content)
    with listed_file(folder / STATE) as file:
        file.write(content.getbuffer())


def weights_file(weights: Mapping[str, Tensor]) -> bytes:
    """The safetensors file of weights, with the format and the version as its metadata."""
    metadata = {"stic_fast": json.dumps(WEIGHTS_FORMAT.stamp())}  # one entry: of several the order is left to chance
    return save({name: tensor.contiguous() for name, tensor in weights.items()}, metadata)


def parse_weights(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a safetensors file, and what `weights_file` wrote with them, nothing of other writers.

    Raises:
        Exception: of whatever kind, where it is none.

    >>> parse_weights(weights_file({"bias": torch.zeros(2)}))[1] == WEIGHTS_FORMAT.stamp()
    True
    """
    tensors, header = load(content), int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + header]).get("__metadata__", {})
    return tensors, parse_object(metadata.get("stic_fast", "{}").encode())


def read_weights(
    path: Path, hint: str, parse: Callable[[bytes], tuple[dict[str, Tensor], dict[str, Any]]] = parse_weights
) -> dict[str, Tensor]:
    """The weights in a file, in the form of now.

    Raises:
        FileNotFoundError: there is no such file, and none is listed.
        InputError: it is damaged, or of a newer version.
    """
    tensors, stamp = read_stored(path, parse, hint)
    return WEIGHTS_FORMAT.current(tensors, path, hint, stamp)
