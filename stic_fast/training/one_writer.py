# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""One process at a time writes into a run's folder, and clears away what killed ones left unfinished there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stic_fast.atomic_write import is_unfinished
from stic_fast.errors import InputError

LOCK = ".lock"
"""Stays in the folder; what locks is the system's hold on it, which ends with the process however that dies."""
_UNFINISHED_CHECKPOINT = re.compile(r"\.pass_\d+(_iteration_\d+)?\.partial")


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Holds the lock of a run's folder, and sweeps it. One process or thread may hold it several times over.

    Raises:
        InputError: another one holds it, or the folder may not be written.
    """
    lock = FileLock(folder.resolve() / LOCK, timeout=0, is_singleton=True)
    held = lock.is_locked
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"{folder} is being written by another process; wait until that ends, or give another folder"
        ) from error
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror or error}); mend permissions, or give another folder"
        ) from error
    try:
        if not held:
            sweep(folder)
        yield
    finally:
        lock.release()


def sweep(folder: Path) -> None:
    """Removes what this package began to write under the folder and never finished, other runs in it left alone."""
    for place, folders, files in os.walk(folder):
        if Path(place) != folder and "config.json" in files:
            folders.clear()
            continue
        for name in filter(is_unfinished, files):
            Path(place, name).unlink(missing_ok=True)
        for name in filter(_UNFINISHED_CHECKPOINT.fullmatch, folders):
            shutil.rmtree(Path(place, name), ignore_errors=True)


def is_fresh(folder: Path) -> bool:
    """Whether a folder holds nothing but what a killed beginning leaves."""
    return all(path.name == LOCK or is_unfinished(path.name) for path in folder.iterdir())
