# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Names of files, which may be any bytes, as text that every file, page and picture can hold."""

from __future__ import annotations

from unicodedata import normalize


def readable(name: str) -> str:
    r"""The name in Unicode's composed form, each byte in it that is no UTF-8 written out.

    >>> print(readable("caf\udce9"))
    caf\udce9
    """
    return normalize("NFC", name.encode(errors="backslashreplace").decode())
