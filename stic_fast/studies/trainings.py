# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Trainings that a study needs: named networks, trained once, found again, gone on with where they stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from stic_fast.digests import SUMS
from stic_fast.errors import InputError
from stic_fast.stored import parse_object, read_stored
from stic_fast.training import METHODS, NetworkConfig, Progress, RunConfig, RunFolder, resume, train
from stic_fast.training.config import check, from_plain, to_plain
from stic_fast.training.methods import method_of

SECONDS = "seconds.json"
"""Beside config.json: how long a training took that ran in one go."""
NAMED = re.compile(r"wrn-(?P<depth>\d+)-(?P<width>\d+)|convnet-(?P<only_width>\d+)")
HINT = f"delete it, and its line in {SUMS}"

Settings = TypeVar("Settings")


def classifiers_in(listed: str) -> list[str]:
    """The names in a list with commas.

    Raises:
        InputError: there is none, or one stands twice.

    >>> classifiers_in("wrn-10-1, convnet-2")
    ['wrn-10-1', 'convnet-2']
    """
    names = [part.strip() for part in listed.split(",") if part.strip()]
    if not names or len(set(names)) < len(names):
        raise InputError(f"--classifiers must name networks, each once, got {listed!r}; such as wrn-10-1,convnet-1")
    return names


def network_named(name: str, own: NetworkConfig) -> NetworkConfig:
    """The network of that name, with the strides of a run's own and, where its layers are the same, its Gram layers.

    Raises:
        InputError: no network has such a name.

    >>> network_named("convnet-2", NetworkConfig(depth=10, width=1, gram_layers=("conv9",)))
    NetworkConfig(architecture='convnet', depth=10, width=2, strides=(1, 2, 2), gram_layers=())
    """
    found = NAMED.fullmatch(name)
    if found is None:
        raise InputError(f"--classifiers knows no {name!r}; names are wrn-DEPTH-WIDTH and convnet-WIDTH")
    if found["only_width"]:
        network = replace(own, architecture="convnet", width=int(found["only_width"]))
    else:
        network = replace(own, architecture="wide_resnet", depth=int(found["depth"]), width=int(found["width"]))
    alike = (network.architecture, network.depth) == (own.architecture, own.depth)
    return network if alike else replace(network, gram_layers=())


def part(kind: type[Settings], whole: Any) -> Settings:
    """The settings of `whole` that a kind of settings has too.

    >>> part(NetworkConfig, NetworkConfig(width=3)).width
    3
    """
    return kind(**{field.name: getattr(whole, field.name) for field in fields(kind)})  # type: ignore[arg-type]


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
