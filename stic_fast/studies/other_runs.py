# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Runs that a study sets beside its own: of the same images, and each with a name of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stic_fast.errors import InputError
from stic_fast.readable import readable
from stic_fast.training import TrainedRun, open_run


def open_beside(run: TrainedRun, others: Sequence[Path], data: str | None = None) -> dict[str, TrainedRun]:
    """The run and the others, in their order, by the names of their folders, or by their paths where names are alike.

    Args:
        data: where the images of all of them lie, if not where they were.

    Raises:
        InputError: no run there, one that stands twice, or one of other images.
    """
    folders = [Path(run.folder.address), *others]
    resolved = [folder.resolve() for folder in folders]
    for number, path in enumerate(resolved):
        if path in resolved[:number]:
            raise InputError(f"{folders[number]} stands twice; name each run once")
    names = [folder.absolute().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    opened = [run]
    for folder in others:
        other = open_run(folder, data=data)
        if _images_of(other) != _images_of(run):
            both = f"{folder} was trained on {other.config.data} and {run.folder.address} on {run.config.data}"
            raise InputError(f"{both}, which differ in classes or image size; compare runs of the same images")
        opened.append(other)
    return dict(zip(map(readable, names), opened, strict=True))


def paths_in(listed: str | None) -> list[Path]:
    """The paths in a list with commas.

    >>> [str(path) for path in paths_in("runs/a, runs/b")], paths_in(None)
    (['runs/a', 'runs/b'], [])
    """
    return [Path(part.strip()) for part in (listed or "").split(",") if part.strip()]


def _images_of(run: TrainedRun) -> tuple[object, ...]:
    return run.splits.train.class_names, run.image_shape
