# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO

_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.partial", re.DOTALL)


@contextmanager
def atomic_write(path: str | PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file beside `path` that takes its place when the block ends; on any error it is removed instead.

    The content is on the disk before the name is. A process killed meanwhile leaves the older file whole, and a hidden
    one beside it, which `is_unfinished` knows.

    Raises:
        OSError: the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(f"{folder}/greeting") as file:
    ...         _ = file.write(b"hello")
    ...     Path(folder, "greeting").read_text()
    'hello'
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def is_unfinished(name: str) -> bool:
    """Whether a file of this name is one that `atomic_write` never finished.

    >>> is_unfinished(".grid.png.0a1b2c3d.partial"), is_unfinished("grid.png"), is_unfinished(".grid.partial")
    (True, False, False)
    """
    return _UNFINISHED.fullmatch(name) is not None
