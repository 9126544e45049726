# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Runs that come with the package, `pretrained:NAME`: settings, weights in half precision, and how they were made.

stic_fast/pretrained/NAME/  config.json  model.safetensors  about.json  evaluation.json  SHA256SUMS

They are read there and never written. What is drawn from one, or measured of it, goes into a folder of its own in the
current one, pretrained-NAME, as it would go into the folder of any other run.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.evaluation.record_form import Evaluation, Record, Whole, read_record, record_of
from stic_fast.stored import damaged, read_json
from stic_fast.training.checkpoint import WEIGHTS, Checkpoint, parse_weights, read_weights
from stic_fast.training.run_folder import CONFIG, RunFolder, writing

PREFIX = "pretrained:"
PLACE = Path(__file__).parents[1] / "pretrained"
ABOUT = "about.json"
REINSTALL = "install stic_fast again"

Size = Annotated[int, msgspec.Meta(ge=1)]


class About(Record):
    """How a pretrained run was made."""

    version: str
    """Of stic_fast."""
    command: str
    seed: Whole
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    machine: str
    """In plain words."""
    source: str
    """Of the images, and their licence."""
    class_names: tuple[str, ...]
    image_shape: tuple[Size, Size, Size]
    pass_number: Whole
    """That the weights are of."""
    scores: dict[str, float]
    """By names with the judge in them, such as FD-cnn@1k."""
    sha256: str
    """Of model.safetensors."""


@dataclass(frozen=True)
class PretrainedWeights(Checkpoint):
    """Weights in half precision, and their digest."""

    sha256: str

    @property
    def name(self) -> str:
        """Of these weights and no others, as those of another version of the package may be."""
        return f"{self.path.name}-{self.sha256[:8]}"

    def load_weights(self) -> dict[str, Tensor]:
        """The classifier's weights, in single precision."""

        def parse(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
            if sha256(content).hexdigest() != self.sha256:
                raise ValueError(f"its SHA-256 is not the one in the {ABOUT} beside it")
            return parse_weights(content)

        tensors = read_weights(self.path / WEIGHTS, REINSTALL, parse)
        return {name: each.float() if each.dtype == torch.float16 else each for name, each in tensors.items()}


class PretrainedFolder(RunFolder):
    """One of the package's runs, by its name, with the folder in the current one where its pictures and scores go.

    Raises:
        InputError: there is none of that name; the message lists those there are.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"pretrained-{name}")
        known = pretrained_names()
        if name not in known:
            others = f"use {' or '.join(PREFIX + each for each in known)}" if known else "give the folder of a run"
            raise InputError(f"no run {PREFIX}{name} comes with this version of stic_fast; {others}")
        self.name, self.source = name, PLACE / name

    @property
    def address(self) -> str:
        """`pretrained:NAME`."""
        return PREFIX + self.name

    @cached_property
    def about(self) -> About:
        """How it was made; InputError where that is damaged."""
        plain = read_json(self.source / ABOUT, REINSTALL)
        try:
            return record_of(plain, About)
        except ValueError as error:
            raise damaged(self.source / ABOUT, str(error), REINSTALL) from error

    def one_writer(self, target: Path | None = None) -> AbstractContextManager[None]:
        """As of any run; the folder is made when it is first written into."""
        if self.holds(target):
            if self._is_taken:
                hint = "work in another folder, or rename that run"
                raise InputError(f"what is made of {self.address} goes into {self.path}, which is a run itself; {hint}")
            with writing(self.path):
                self.path.mkdir(exist_ok=True)
        return super().one_writer(target)

    def read_metrics(self) -> list[dict[str, Any]]:
        """None: the log of the training does not come with it."""
        return []

    def checkpoints(self) -> list[Checkpoint]:
        """Its weights."""
        return [PretrainedWeights(self.source, self.about.pass_number, None, self.about.sha256)]

    def evaluation(self) -> Evaluation | None:
        """The one in the current folder, or the one that came with it."""
        own = None if self._is_taken else read_record(self.path, self.address)
        return own or read_record(self.source, self.address)

    @property
    def _is_taken(self) -> bool:
        """Whether somebody's own run is called as its folder would be."""
        return (self.path / CONFIG).exists()


def folder_of(place: str | os.PathLike[str]) -> RunFolder:
    """The folder of a run, or the run of the package that `pretrained:NAME` names.

    Raises:
        InputError: there is no pretrained run of that name.

    >>> folder_of("runs/mine").address
    'runs/mine'
    """
    name = os.fspath(place)
    return PretrainedFolder(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else RunFolder(place)


def pretrained_names() -> list[str]:
    """The names of those that come with the package."""
    return sorted(path.name for path in PLACE.iterdir() if (path / ABOUT).is_file()) if PLACE.is_dir() else []
