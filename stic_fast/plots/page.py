# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""One self-contained HTML page of headings, text, tables and pictures: it needs no network and no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from os import PathLike
from typing import TYPE_CHECKING

from PIL import Image

from stic_fast.atomic_write import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; color: #1c1c1c; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1.25rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .6rem; padding-top: .7rem; border-top: 1px solid #d9d9d9; }
p { margin: .5rem 0; max-width: 46rem; }
p.warning { color: #b00020; font-weight: 600; }
nav a { margin-right: 1rem; white-space: nowrap; }
a { color: #0072b2; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #e6e6e6; }
th { font-weight: 600; border-bottom-color: #999; }
td:first-child { white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; }
figure img.pixels { image-rendering: pixelated; }
figcaption { color: #555; font-size: .92rem; max-width: 46rem; }
code { font: .88em ui-monospace, monospace; background: #f3f3f3; padding: .1em .3em; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } figure { break-inside: avoid; } }
""".strip()


class Page:
    """A page that grows from top to bottom. All text is escaped; what is between backquotes is set as code.

    >>> page = Page("A run")
    >>> page.section("Scores")
    >>> page.table(["metric", "value"], [["accuracy", 0.98]])
    >>> "<h2 id='scores'>Scores</h2>" in page.html() and "<td class='number'>0.98</td>" in page.html()
    True
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title, self.subtitle = title, subtitle
        self._sections: list[str] = []
        self._body: list[str] = []

    def section(self, heading: str) -> None:
        """Begins a section, which the links under the title name."""
        self._sections.append(heading)
        self._body.append(f"<h2 id='{_anchor(heading)}'>{escape(heading)}</h2>")

    def paragraph(self, text: str, *, warning: bool = False) -> None:
        """A paragraph; a warning is red."""
        self._body.append(f"<p{' class=warning' if warning else ''}>{_inline(text)}</p>")

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> None:
        """A table. Numbers get four significant digits and stand to the right, None is a dash."""
        numeric = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(headers))]
        parts = ["<div class='wide'><table><thead><tr>"]
        parts += [_cell("th", header, right) for header, right in zip(headers, numeric, strict=True)]
        parts.append("</tr></thead><tbody>")
        for row in rows:
            parts.append("<tr>")
            parts += [_cell("td", value, right) for value, right in zip(row, numeric, strict=True)]
            parts.append("</tr>")
        self._body.append("".join([*parts, "</tbody></table></div>"]))

    def picture(self, picture: Image.Image | Figure, *, caption: str, alt: str) -> None:
        """A picture inside the page, a Pillow image pixel by pixel. `alt` says what it shows to who cannot see it."""
        file = io.BytesIO()
        pixels = isinstance(picture, Image.Image)
        if isinstance(picture, Image.Image):
            picture.save(file, format="PNG")
        else:
            picture.savefig(file, format="png", dpi=130)
        data = base64.b64encode(file.getvalue()).decode()
        kind = " class='pixels'" if pixels else ""
        self._body.append(
            f"<figure><img{kind} src='data:image/png;base64,{data}' alt='{escape(alt)}'>"
            f"<figcaption>{_inline(caption)}</figcaption></figure>"
        )

    def html(self) -> str:
        """The whole page."""
        links = "".join(f"<a href='#{_anchor(heading)}'>{escape(heading)}</a>" for heading in self._sections)
        return "\n".join(
            [
                "<!doctype html>",
                "<html lang='en'><head><meta charset='utf-8'>",
                "<meta name='viewport' content='width=device-width, initial-scale=1'>",
                f"<title>{escape(self.title)}</title><style>{STYLE}</style></head><body>",
                f"<h1>{escape(self.title)}</h1>",
                f"<p>{_inline(self.subtitle)}</p>" if self.subtitle else "",
                f"<nav>{links}</nav>",
                *self._body,
                "</body></html>",
                "",
            ]
        )

    def write(self, path: str | PathLike[str]) -> None:
        """Writes the page, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        with atomic_write(path) as file:
            file.write(self.html().encode(errors="backslashreplace"))  # paths may be any bytes


def _cell(kind: str, value: str | float | None, right: bool) -> str:
    if value is None:
        text = "–"
    elif isinstance(value, str):
        text = _inline(value)
    else:
        text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return f"<{kind}{' class=' + repr('number') if right else ''}>{text}</{kind}>"


def _inline(text: str) -> str:
    """Escaped text; what is between backquotes is code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 and i + 1 < len(parts) else part for i, part in enumerate(parts))


def _anchor(heading: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in heading.lower())
