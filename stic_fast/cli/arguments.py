# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the options of several commands mean: classes by number or name, and how many of each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stic_fast.data.class_names import find_class
from stic_fast.errors import InputError


def find_classes(asked: str, class_names: Sequence[str]) -> list[int]:
    """The classes that a text such as "cat,3" names, by name or by number; a name wins over a number.

    Raises:
        InputError: no such class, or one that stands twice.

    >>> find_classes("cat, 0", ["dog", "cat"])
    [1, 0]
    """
    found: list[int] = []
    for word in asked.split(","):
        number = find_class(word, class_names)
        if number in found:
            raise InputError(f"class {word.strip()!r} stands twice in {asked!r}; name each class once")
        found.append(number)
    return found


def spread(classes: Sequence[int], count: int) -> Tensor:
    """`count` labels spread evenly over the classes in their order, int64 (count,).

    >>> spread([7, 2], 3)
    tensor([7, 7, 2])
    """
    each, rest = divmod(count, len(classes))
    counts = torch.tensor([each + (place < rest) for place in range(len(classes))])
    return torch.tensor(classes).repeat_interleave(counts)
