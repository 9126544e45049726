# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""All ways of training, by name."""

from __future__ import annotations

from typing import Any

from stic_fast.errors import InputError
from stic_fast.training.config import RunConfig
from stic_fast.training.gmmc import Gmmc
from stic_fast.training.jem import Jem
from stic_fast.training.method import Method
from stic_fast.training.softmax import Softmax
from stic_fast.training.stic import Stic

METHODS: dict[str, type[Method[Any]]] = {method.name: method for method in (Stic, Gmmc, Jem, Softmax)}


def method_of(config: RunConfig) -> type[Method[Any]]:
    """The method that a configuration is of.

    Raises:
        InputError: it is of none.

    >>> from stic_fast.training.stic import SticConfig
    >>> method_of(SticConfig()).name
    'stic'
    """
    for method in METHODS.values():
        if method.settings is type(config):
            return method
    known = ", ".join(method.settings.__name__ for method in METHODS.values())
    raise InputError(f"no method is configured by {type(config).__name__}; use one of {known}")
