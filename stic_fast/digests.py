# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""SHA-256 of the files of a folder, listed in its SHA256SUMS as `sha256sum` does, so that damage is noticed.

`sha256sum -c SHA256SUMS` checks a folder by hand. A file that is not listed, as an older version leaves it, is taken as
it is; so whoever means a change deletes the file's line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from stic_fast.atomic_write import atomic_write
from stic_fast.errors import InputError

SUMS = "SHA256SUMS"
DIFFERS = f"its SHA-256 is not the one in the {SUMS} beside it"
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^\n]+)")


class Digesting:
    """What is written through it, and the SHA-256 of that."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.sha256 = file, hashlib.sha256()

    def write(self, content: bytes | memoryview) -> int:
        """Writes to the file."""
        self.sha256.update(content)
        return self.file.write(content)

    def flush(self) -> None:
        """As of any file; nothing is held back here."""


@contextmanager
def listed_file(path: str | PathLike[str]) -> Iterator[Digesting]:
    """As `atomic_write`, and the file is listed in the SHA256SUMS of its folder.

    A process killed at any time leaves the older file or the new one, and each of them is listed or was never.

    Raises:
        InputError: the SHA256SUMS is damaged.
        OSError: the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with listed_file(f"{folder}/greeting") as file:
    ...         _ = file.write(b"hello")
    ...     Path(folder, SUMS).read_text()
    '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  greeting\\n'
    """
    path = Path(path)
    with atomic_write(path) as file:
        digesting = Digesting(file)
        yield digesting
        digest = digesting.sha256.hexdigest()
        if path.name in (known := listed(path.parent)):  # until the new file has taken its place, both are right
            _write_list(path.parent, {**known, path.name: [*known[path.name], digest]})
    _write_list(path.parent, {**listed(path.parent), path.name: [digest]})


def read_checked(path: Path) -> tuple[bytes, bool]:
    """A file's bytes, and whether they are those that were written; a file that is not listed passes.

    Raises:
        InputError: the SHA256SUMS is damaged.
        OSError: the file cannot be read.
    """
    for _ in range(2):  # another process may replace file and list between the two readings
        content = path.read_bytes()
        known = listed(path.parent).get(path.name)
        if known is None or hashlib.sha256(content).hexdigest() in known:
            return content, True
    return content, False


def listed(folder: Path) -> dict[str, list[str]]:
    """The digests that each file of a folder may have; none where there is no list.

    Raises:
        InputError: the list is damaged.
    """
    file = folder / SUMS
    try:
        lines = file.read_bytes().decode().splitlines(keepends=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged_list(file, str(error)) from error
    found: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line.removesuffix("\n"))
        if match is None or not line.endswith("\n"):
            raise _damaged_list(file, f"line {number} is not a digest and a name")
        found.setdefault(match[2], []).append(match[1])
    return found


def _write_list(folder: Path, digests: dict[str, list[str]]) -> None:
    lines = [f"{digest}  {name}\n" for name, each in sorted(digests.items()) for digest in dict.fromkeys(each)]
    with atomic_write(folder / SUMS) as file:
        file.write("".join(lines).encode())


def _damaged_list(file: Path, reason: str) -> InputError:
    return InputError(
        f"{file} is damaged ({reason}); restore it, or delete it to have the files beside it read unchecked"
    )
