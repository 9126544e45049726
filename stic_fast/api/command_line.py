# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The command that asks for what has been asked for, to stand beside its results."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_type_hints


def command_line(command: Sequence[str], options: Any) -> str:
    """The words of a command, the run, and all options that differ from their defaults.

    Args:
        command: such as ["study", "passes"].
        options: a dataclass; its first field stands there by itself, without a name.
    """

    def written(value: Any) -> list[str]:
        return [str(each) for each in (value if isinstance(value, tuple) else [value])]

    hints = get_type_hints(type(options), include_extras=True)
    first, *others = fields(options)
    words = ["stic-fast", *command, *written(getattr(options, first.name))]
    for field in others:
        value = getattr(options, field.name)
        if value == field.default:
            continue
        option = option_name(field.name, hints[field.name])
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", *written(value)]
    return shlex.join(words)


def option_name(field: str, hint: Any) -> str:
    """What the command line calls a field of this type: its own name, or the one noted beside its type.

    >>> option_name("batch_size", int)
    'batch-size'
    """
    own = [named.name for named in getattr(hint, "__metadata__", ()) if getattr(named, "name", None)]
    return own[0] if own else field.replace("_", "-")
