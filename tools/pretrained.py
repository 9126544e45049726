# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Puts an evaluated run among those that come with the package, as `pretrained:NAME`.

    python tools/pretrained.py runs/digits digits --command "stic-fast train stic" --seconds 45 \\
        --machine "two cores of an Intel Xeon (Sapphire Rapids)" --source "scikit-learn's digits, CC BY 4.0"

It writes into stic_fast/pretrained of the package that it imports, whole or not at all. A name that is taken must be
removed first.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from stic_fast.errors import InputError
from stic_fast.training.pretrained_writer import write_pretrained


@dataclass(frozen=True)
class Pretrained:
    """Put an evaluated run among those that come with the package."""

    # Folder of the run, which `stic-fast evaluate` has evaluated.
    path: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    # What follows `pretrained:`.
    name: Annotated[str, tyro.conf.Positional]
    # That trained it, without paths of this machine.
    command: str
    # That it took.
    seconds: float
    # In plain words, such as: two cores of an Intel Xeon (Sapphire Rapids).
    machine: str
    # Of the images, and their licence.
    source: str
    # Whose weights; None for the newest.
    pass_number: int | None = None


def main() -> int:
    """Writes, and says where."""
    asked = tyro.cli(Pretrained)
    try:
        print(write_pretrained(**vars(asked)))
    except InputError as error:
        print(f"tools/pretrained.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
