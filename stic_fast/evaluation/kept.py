# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Tensors that take long to make, kept in the user's cache under a hash of all that they were made from."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from stic_fast.atomic_write import atomic_write


def kept(
    kind: str,
    key: str,
    make: Callable[[], Mapping[str, Tensor]],
    *,
    cache: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Tensor]:
    """The tensors of CACHE/KIND-KEY.safetensors, or those that `make` gives, which are then kept there.

    A file is whole or absent, and nothing in it is unpickled. A damaged one is replaced, and a cache that cannot be
    written costs only the next run's time; both are said in a sentence.

    Args:
        kind: what the tensors are, the beginning of the file's name.
        key: a hash of all that they depend on, from `fingerprint`.
        make: makes them where they are not kept.
        cache: a folder, made where absent; by default `default_cache()`.
        say: told such a sentence; a warning by default.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = kept("square", "0a", lambda: {"of 3": torch.tensor([9])}, cache=Path(folder))
    ...     kept("square", "0a", lambda: 1 / 0, cache=Path(folder))
    {'of 3': tensor([9])}
    """
    say = partial(warnings.warn, stacklevel=2) if say is None else say
    folder = default_cache() if cache is None else cache
    if folder is None:
        say(f"the {kind} could not be kept, for there is no home directory; let XDG_CACHE_HOME name a place for it")
        return _plain(make())
    file = folder / f"{kind}-{key[:16]}.safetensors"
    if file.exists():
        found = _read(file, key)
        if isinstance(found, dict):
            return found
        say(f"the kept {kind} {file} is damaged ({found}); it is made anew and replaced")
    tensors = _plain(make())
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as stream:
            stream.write(save(tensors, metadata={"made": f"{key} {_digest(tensors)}"}))
    except OSError as error:
        say(f"the {kind} could not be kept as {file} ({error.strerror or error}); the next run makes it again")
    return tensors


def fingerprint(settings: Mapping[str, Any], *tensors: Tensor) -> str:
    """SHA-256, in hexadecimal, of settings that JSON can hold and of tensors: their types, shapes and values.

    >>> fingerprint({"seed": 0}, torch.zeros(2, 3)) == fingerprint({"seed": 0}, torch.zeros(3, 2).T)
    True
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        rows = tensor if tensor.dim() else tensor[None]
        for part in torch.split(rows, 4096):  # a part at a time, so that a view is never copied whole
            digest.update(part.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def default_cache() -> Path | None:
    """Where trained judges are kept unless told otherwise: stic_fast/judges in $XDG_CACHE_HOME or ~/.cache.

    None for a user without a home directory, such as that of a service or a container.
    """
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    except RuntimeError:
        return None
    return Path(home) / "stic_fast" / "judges"


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _read(file: Path, key: str) -> dict[str, Tensor] | str:
    """The tensors of a kept file, or what is wrong with it."""
    try:
        with safe_open(file, framework="pt") as opened:
            made_from, _, digest = (opened.metadata() or {}).get("made", "").partition(" ")
            if made_from != key:
                return "it is of something else"
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            as_written = digest == _digest(tensors)
    except (SafetensorError, OSError, TypeError) as error:  # the last for a type of number that nothing writes
        return str(error)
    return tensors if as_written else "its numbers are not those that were written"


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Safetensors files carry no checksum of their own."""
    return fingerprint({"names": sorted(tensors)}, *(tensors[name] for name in sorted(tensors)))
