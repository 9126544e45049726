# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Classes by name and by number."""

from __future__ import annotations

import unicodedata

import pytest

from stic_fast.cli.drawing import find_classes
from stic_fast.data.class_names import find_class
from stic_fast.errors import InputError


def test_a_name_wins_over_a_number() -> None:
    names = ["1", "0", "two"]
    assert [find_class(word, names) for word in ("0", "1", "2", " two ")] == [1, 0, 2, 2]


@pytest.mark.parametrize("word", ["3", "-1", "", "dog"])
def test_an_unknown_class_is_refused_with_those_there_are(word: str) -> None:
    with pytest.raises(InputError, match=rf"there is no class '{word}'; the classes are 0 cat, 1 mouse, 2$"):
        find_class(word, ["cat", "mouse", "2"])


def test_only_twenty_of_many_classes_are_listed() -> None:
    with pytest.raises(InputError, match=r"19 c19, …$"):
        find_class("dog", [f"c{number}" for number in range(21)])


def test_listed_names_with_commas_in_any_form_of_unicode() -> None:
    names = [unicodedata.normalize("NFD", "thé, café"), "café"]
    for form in ("NFC", "NFD"):
        assert find_classes(unicodedata.normalize(form, "café,thé, café"), names) == [1, 0]
