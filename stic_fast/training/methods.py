# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""All ways of training, by name: this package's, those that are registered, and those of installed packages.

A package brings its methods along by entry points, in its pyproject.toml:

    [project.entry-points."stic_fast.methods"]
    margin = "their_package.margin:Margin"
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

from stic_fast.errors import InputError, InputWarning
from stic_fast.evaluation.record_form import PARTS
from stic_fast.stored import reason
from stic_fast.training.config import RunConfig
from stic_fast.training.gmmc import Gmmc
from stic_fast.training.icn import Icn
from stic_fast.training.igm import Igm
from stic_fast.training.inn import Inn
from stic_fast.training.jem import Jem
from stic_fast.training.method import Method
from stic_fast.training.score_stic import ScoreStic
from stic_fast.training.softmax import Softmax
from stic_fast.training.stic import Stic
from stic_fast.training.winn import Winn

GROUP = "stic_fast.methods"

Kind = TypeVar("Kind", bound=type[Method[Any]])


class _Methods(Mapping[str, type[Method[Any]]]):
    """Looks for those of installed packages once, when a name is asked for that is not among the others, or all are."""

    def __init__(self) -> None:
        self.registered: dict[str, type[Method[Any]]] = {}
        self._looked = False

    def __getitem__(self, name: str) -> type[Method[Any]]:
        return self.registered[name] if name in self.registered else self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, type[Method[Any]]]:
        if not self._looked:
            self._looked = True
            for point in entry_points(group=GROUP):
                try:
                    register_method(point.load())
                except Exception as error:  # whatever the import of somebody's module raises
                    package = point.dist.name if point.dist else point.value
                    hint = "update that package or uninstall it"
                    told = f"method {point.name!r} of package {package} cannot be used ({reason(error)}); {hint}"
                    warnings.warn(told, InputWarning, stacklevel=2)
        return self.registered


_METHODS = _Methods()
METHODS: Mapping[str, type[Method[Any]]] = _METHODS


def register_method(method: Kind) -> Kind:
    """Makes a method known by its name, so that runs of it can be trained, opened and shown like those of any other.

    Works as a decorator. A class that is defined anew, as notebooks do, takes the place of the one before.

    Raises:
        InputError: it does not describe itself, or its name or settings are those of another method.

    >>> register_method(Softmax).name
    'softmax'
    """
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise InputError(f"{method!r} is no method; register a subclass of stic_fast.training.Method")
    who = f"{method.__module__}.{method.__qualname__}"
    for attribute in ("name", "summary", "settings", "presets"):
        if not hasattr(method, attribute):
            raise InputError(f"{who} lacks the attribute {attribute}, which tells of every method; give it one")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", method.name):
        raise InputError(f"{who} is named {method.name!r}; use small letters and digits, with hyphens between words")
    if not method.presets or any(type(preset) is not method.settings for preset in method.presets.values()):
        raise InputError(f"the presets of {who} must be settings of its own, {method.settings.__name__}, at least one")
    if unknown := [part for part in method.evaluation if part not in PARTS]:
        raise InputError(f"the evaluation of {who} has no part {unknown[0]!r}; use some of {', '.join(PARTS)}")
    for other in _METHODS.registered.values():
        same = (other.__module__, other.__qualname__) == (method.__module__, method.__qualname__)
        if not same and other.name == method.name:
            raise InputError(f"the name {method.name!r} of {who} is taken by {other.__module__}; give it another")
        if not same and other.settings is method.settings:
            settings = method.settings.__name__
            raise InputError(f"{who} shares {settings} with method {other.name!r}; give it a subclass of {settings}")
    _METHODS.registered[method.name] = method
    return method


for _method in (Stic, ScoreStic, Gmmc, Jem, Softmax, Igm, Inn, Icn, Winn):
    register_method(_method)


def method_of(config: RunConfig) -> type[Method[Any]]:
    """The method that a configuration is of.

    >>> from stic_fast.training.stic import SticConfig
    >>> method_of(SticConfig()).name
    'stic'
    """
    for known in (_METHODS.registered, METHODS):
        for method in known.values():
            if method.settings is type(config):
                return method
    settings = ", ".join(method.settings.__name__ for method in METHODS.values())
    raise InputError(f"no method is configured by {type(config).__name__}; use one of {settings}")
