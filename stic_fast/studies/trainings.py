# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Trainings that a study needs: made once, found again, gone on with where they stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stic_fast.digests import SUMS
from stic_fast.errors import InputError
from stic_fast.stored import parse_object, read_stored
from stic_fast.training import METHODS, Progress, RunConfig, RunFolder, resume, train
from stic_fast.training.config import check, from_plain, to_plain
from stic_fast.training.methods import method_of

SECONDS = "seconds.json"
"""Beside config.json: how long a training took that ran in one go."""
HINT = f"delete it, and its line in {SUMS}"


def check_settings(config: RunConfig, path: Path) -> None:
    """Refuses settings that cannot work, or differ from those of a training found at `path`.

    Raises:
        InputError: naming the first setting that differs.
    """
    check(config)
    folder = RunFolder(path)
    if not (path / "config.json").exists():
        return
    name, plain = folder.read_config()
    wanted = method_of(config)
    if name != wanted.name:
        raise InputError(f"{path} is a training by {name}, not {wanted.name}; move it away")
    found = dict(_flat(to_plain(from_plain(METHODS[name].settings, plain, str(path / "config.json")))))
    for setting, value in _flat(to_plain(config)):
        if found[setting] != value:
            raise InputError(
                f"{path} was trained with {setting}={found[setting]} and not {value}; ask for the same, or move it away"
            )


def trained(config: RunConfig, path: Path, progress: Progress) -> float | None:
    """Trains into `path` unless it is trained already, goes on where a training was stopped.

    Returns:
        The seconds that it took; None for one that was stopped in between.

    Raises:
        InputError: settings, data or folder that cannot be used, or a training that keeps diverging.
    """
    if (path / "config.json").exists():
        resume(path, progress=progress)
        return _seconds(path)
    begun = time.perf_counter()
    run = train(config, path, progress=progress)
    with run.folder.one_writer():
        run.folder.write_json(SECONDS, {"seconds": round(time.perf_counter() - begun, 1)})
    return _seconds(path)


def _seconds(path: Path) -> float | None:
    try:
        return read_stored(path / SECONDS, lambda content: float(parse_object(content)["seconds"]), HINT)
    except FileNotFoundError:
        return None


def _flat(plain: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their full names.

    >>> dict(_flat({"seed": 1, "network": {"width": 2}}))
    {'seed': 1, 'network.width': 2}
    """
    for name, value in plain.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
