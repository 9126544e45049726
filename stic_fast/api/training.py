# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Trainings in one call: a method, a preset, and the settings that differ from it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from stic_fast import training
from stic_fast.api.arguments import nearest_names
from stic_fast.api.run import Run
from stic_fast.errors import InputError
from stic_fast.training import METHODS, Method, Progress, RunConfig
from stic_fast.training.config import from_plain, to_plain

Config = TypeVar("Config")


def train(
    method: str | type[Method[Any]],
    *,
    data: str | None = None,
    preset: str | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Run:
    """Trains a classifier that draws, as `stic-fast train METHOD` does, into a new run folder.

        run = stic_fast.train("stic", data="idx:PATH", preset="fashion", passes=4, pool={"chains": 200})

    A training that was stopped goes on by `stic_fast.training.resume(folder)`.

    Args:
        method: its name, such as "stic", "gmmc", "jem" or "softmax", or its class.
        data: the images, as --data names them: digits, cifar10:PATH, npz:PATH, folder:PATH, idx:PATH or image:PATH; the
            preset's if None.
        preset: the settings to start from, such as "digits" or "fashion"; the method's first if None.
        out: a new folder; runs/METHOD-PRESET-SEED if None.
        progress: told what is done; silent if None.
        settings: of the method, which are also the options of `stic-fast train METHOD`. One within others stands in a
            dictionary, `optimiser={"lr": 1e-3}`, or has a dotted name, `**{"optimiser.lr": 1e-3}`.

    Returns:
        The trained run.

    Raises:
        InputError: a method, preset or setting that there is not, with the nearest; settings, data or a folder that
            cannot be used; or more than this machine has memory for.

    >>> train("stic", iteration=100)
    Traceback (most recent call last):
    ...
    stic_fast.errors.InputError: stic has no setting 'iteration'; did you mean iterations?
    """
    kind = _method(method)
    presets = kind.presets
    chosen = next(iter(presets)) if preset is None else preset
    if chosen not in presets:
        raise InputError(f"{kind.name} has no preset {chosen!r}; choose one of {', '.join(presets)}")
    asked = settings if data is None else {"data": data, **settings}
    changed = _changed(presets[chosen], asked, of=kind.name)
    config: RunConfig = from_plain(kind.settings, to_plain(changed), "the settings")
    config = replace(config, data=anchored(config.data, chosen, presets[chosen].data))
    path = Path("runs") / f"{kind.name}-{chosen}-{config.seed}" if out is None else Path(out)
    return Run.of(training.train(config, path, progress=progress))


def anchored(data: str, preset: str, preset_data: str) -> str:
    """The data source with its path made absolute, so that the run can be opened from any folder.

    Raises:
        InputError: it is the preset's own, which waits for a path.

    >>> anchored("digits", "digits", "digits")
    'digits'
    """
    source, colon, place = data.partition(":")
    if data == preset_data and colon:
        raise InputError(f"preset {preset} needs its images; add --data {source}:PATH")
    if not place or place.startswith("~"):
        return data
    return f"{source}:{Path(place).absolute()}"


def _method(asked: str | type[Method[Any]]) -> type[Method[Any]]:
    name = asked if isinstance(asked, str) else getattr(asked, "name", repr(asked))
    if name not in METHODS or not (isinstance(asked, str) or METHODS[name] is asked):
        raise InputError(f"there is no method {name!r}; use one of {', '.join(METHODS)}")
    return METHODS[name]


def _changed(config: Config, settings: Mapping[str, Any], *, of: str, within: str = "") -> Config:
    """The settings with some of them replaced, by dictionaries or dotted names."""
    names = [field.name for field in fields(config)]  # type: ignore[arg-type]
    for name, value in settings.items():
        first, _, rest = name.partition(".")
        inner = getattr(config, first, None) if first in names else None
        if first not in names or (rest and not is_dataclass(inner)):
            nearest = nearest_names(name, _dotted(config))
            raise InputError(f"{of} has no setting {within + name!r}; did you mean {within}{nearest}?")
        if is_dataclass(inner) and not rest and not isinstance(value, Mapping | type(inner)):
            raise InputError(f"{within}{first} of {of} holds settings of its own, got {value!r}; give a dictionary")
        if rest or (is_dataclass(inner) and isinstance(value, Mapping)):
            value = _changed(inner, {rest: value} if rest else value, of=of, within=f"{within}{first}.")
        config = replace(config, **{first: value})  # type: ignore[type-var]
    return config


def _dotted(config: Any, within: str = "") -> Iterator[str]:
    """The names of all settings, those within others with dots."""
    for field in fields(config):
        yield within + field.name
        if is_dataclass(getattr(config, field.name)):
            yield from _dotted(getattr(config, field.name), f"{within}{field.name}.")
