# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The HTML page: well formed, escaped, and complete in itself."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stic_fast.plots.page import Page

VOID = {"meta", "img", "br"}


class Checker(HTMLParser):
    """Fails on tags that are not closed in order; collects texts and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def test_text_is_escaped_and_code_is_set_apart() -> None:
    page = Page("a < b & c", "run with `x < 1` and a lone ` quote")
    page.section("What's <here>?")
    page.paragraph("5 > 3", warning=True)
    found = Checker(page.html())
    assert {"a < b & c", "x < 1", "What's <here>?", "5 > 3"} <= set(found.texts)
    assert ("p", "class", "warning") in found.attributes
    assert page.html().count("<code>") == 1


def test_links_lead_to_the_sections() -> None:
    page = Page("run")
    for heading in ("Scores and floors", "Out of distribution"):
        page.section(heading)
    found = Checker(page.html()).attributes
    targets = {value for tag, name, value in found if (tag, name) == ("h2", "id")}
    links = {value for tag, name, value in found if (tag, name) == ("a", "href")}
    assert links == {f"#{target}" for target in targets} and len(links) == 2


def test_tables_show_numbers_to_the_right_and_gaps_as_dashes() -> None:
    page = Page("run")
    page.table(["name", "value"], [["FD", 12.34567], ["images", 10000], ["none", None], ["tiny", 1.5e-7]])
    html = page.html()
    for text in ("12.35", "10,000", "–", "1.5e-07"):
        assert f"<td class='number'>{text}</td>" in html
    assert "<td>FD</td>" in html and "<th class='number'>value</th>" in html
    Checker(html)


def test_pictures_are_inside_the_page(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    pixels = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    page = Page("run")
    page.picture(pixels, caption="four by four", alt="a 'small' picture")
    page.picture(Figure(figsize=(2, 1)), caption="empty", alt="nothing")
    page.write(tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    found = Checker(html).attributes
    sources = [value or "" for tag, name, value in found if (tag, name) == ("img", "src")]
    first = Image.open(io.BytesIO(base64.b64decode(sources[0].removeprefix("data:image/png;base64,"))))
    assert first.tobytes() == pixels.tobytes()
    assert len(sources) == 2 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert ("img", "alt", "a 'small' picture") in found
    assert not re.search(r"(?:src|href)='(?!data:|#)|url\(|@import|https?://", html), "nothing comes from elsewhere"


def test_an_older_page_stays_where_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        Page("run").write(tmp_path / "missing" / "report.html")


def test_names_may_be_any_bytes(tmp_path: Path) -> None:
    page = Page("runs/caf\udce9")
    page.write(tmp_path / "page.html")
    assert r"runs/caf\udce9" in (tmp_path / "page.html").read_text()
