# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The exceptions for bad user input."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, where, and how to mend it.

    The command line prints the message as one sentence and exits with code 2.

    >>> raise InputError("labels.npy is missing beside images.npy; add it or pass another folder")
    Traceback (most recent call last):
    ...
    stic_fast.errors.InputError: labels.npy is missing beside images.npy; add it or pass another folder
    """


class InputWarning(UserWarning):
    """Something that the user has installed or given is left out; the message says what, why, and how to mend it."""


class NoGradient(InputError):
    """A model that has to give a gradient gives none."""


class Diverged(InputError):
    """Training or a chain has left the finite numbers; the message says where. Training rolls back from it."""
