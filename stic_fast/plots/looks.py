# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What all figures share: colours, figures of panels or of places in inches, axes without frills, and legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from stic_fast.plots.grid import write_png
from stic_fast.readable import readable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure, SubFigure

# Okabe and Ito's colours, told apart with every common colour blindness (jfly.uni-koeln.de/color).
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION = "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00"
PURPLE = "#CC79A7"
COLOURS = (VERMILION, BLUE, GREEN, ORANGE, SKY, PURPLE)
"""Of things that stand beside each other, in turn."""
DASHED: Mapping[str, Any] = MappingProxyType({"color": BLACK, "linestyle": "--", "linewidth": 1.3})
"""The line of real images, which others are held against."""
ASIDE = 1.0  # inches between axes of a band
RAW_ALPHA = 0.25  # opacity of a curve as recorded, behind the smoothed one


def new_figure(width: float, height: float, *, layout: Any = "constrained") -> Figure:
    """A white figure of so many inches, made without pyplot; with layout None for axes from `axes_at`."""
    from matplotlib.figure import Figure  # it takes half a second, which only those who draw should wait for

    return Figure(figsize=(width, height), layout=layout, facecolor="white")


def panels(figure: Figure | SubFigure, count: int, *, columns: int, **options: Any) -> list[Axes]:
    """So many axes side by side, in as many rows as it takes.

    >>> [len(panels(new_figure(4, 4), count, columns=3)) for count in (1, 5)]
    [1, 5]
    """
    columns = min(columns, count)
    axes = figure.subplots(-(-count // columns), columns, squeeze=False, **options).ravel()
    for spare in axes[count:]:
        spare.remove()
    return list(axes[:count])


def axes_at(figure: Figure, *, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches, counted from the upper left corner of the figure.

    >>> axes = axes_at(new_figure(4, 2, layout=None), left=1, top=0.5, width=2, height=1)
    >>> axes.bbox.extents.round().tolist()
    [100.0, 50.0, 300.0, 150.0]
    """
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


class Band(NamedTuple):
    """Axes side by side."""

    gap: float
    """Inches free above."""
    height: float
    """Inches."""
    columns: int = 1


def stack(width: float, bands: Sequence[Band], *, left: float, below: float) -> tuple[Figure, list[Axes]]:
    """Bands of axes below each other, each so many inches wide, with `left` and `below` free for labels.

    >>> _, axes = stack(4, [Band(0.5, 1), Band(0.5, 2, columns=2)], left=1, below=0.5)
    >>> [round(each.bbox.width) for each in axes]
    [400, 150, 150]
    """
    figure = new_figure(left + width + 0.2, sum(band.gap + band.height for band in bands) + below, layout=None)
    axes, top = [], 0.0
    for gap, height, columns in bands:
        each = (width + ASIDE) / columns
        for column in range(columns):
            place = {"left": left + column * each, "top": top + gap, "width": each - ASIDE, "height": height}
            axes.append(axes_at(figure, **place))
        top += gap + height
    return figure, axes


def finish(axes: Axes, *, title: str = "", x: str = "", y: str = "", grid: Any = "y") -> None:
    """A title above the left end, labels of both axes, faint lines across, and no frame but the axes themselves."""
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(x, fontsize=9.5)
    axes.set_ylabel(y, fontsize=9.5)
    axes.grid(axis=grid, color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def hide_frame(axes: Axes) -> None:
    """Leaves nothing of the axes but labels: no lines around them, no tick marks."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def per_cent(share: float, _: object = None) -> str:
    """A share as a label.

    >>> per_cent(0.75)
    '75 %'
    """
    return f"{100 * share:.4g} %"


def logarithmic(axes: Axes, *, dense: bool = True) -> None:
    """A logarithmic y axis labelled with plain numbers: 1, 2, 5, 10, … or, if they are not to be dense, 1, 10, …"""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if dense else (1,)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


def whole_numbers(axis: Axis, most: int = 8) -> None:
    """At most so many ticks, all of them at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True))


def legend(
    figure: Figure | SubFigure, *more: Artist, place: str = "upper center", columns: int = 3, title: str | None = None
) -> None:
    """One legend beside all panels: each of their labels once, then artists that are drawn nowhere else."""
    entries: dict[Any, Artist] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    entries |= {artist.get_label(): artist for artist in more}
    loc: Any = f"outside {place}"
    figure.legend(
        entries.values(),
        entries.keys(),
        loc=loc,
        ncols=max(1, min(columns, len(entries))),
        frameon=False,
        fontsize=9,
        title=title,
        title_fontsize=9,
    )


def mark(label: str, **look: Any) -> Artist:
    """An entry of a legend: a line, or a marker alone where the look has no `linestyle`."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **{"linestyle": "none", **look})


def as_written(artist: Artist) -> None:
    """Has names in an artist, such as a figure, shown as they are, whatever their bytes, and none as mathematics.

    The powers of ten along a logarithmic axis stay powers.

    >>> figure = new_figure(1, 1)
    >>> label, power = figure.text(0, 0, "A$AP$"), figure.text(0, 0, r"$\\mathdefault{10^{2}}$")
    >>> as_written(figure)
    >>> label.get_parse_math(), power.get_parse_math()
    (False, True)
    """
    from matplotlib.text import Text

    for text in artist.findobj(Text):
        text.set_text(readable(text.get_text()))  # paths may be any bytes
        if "$" in text.get_text() and r"$\mathdefault" not in text.get_text():
            text.set_parse_math(False)


def save_figure(figure: Figure, path: str | PathLike[str], *, dpi: float = 110) -> None:
    """Write a figure as a PNG at path, whole or not at all.

    Raises:
        InputError: for a path that does not end in ".png".
        OSError: where the file cannot be written; an older file at path is then still whole.
    """
    as_written(figure)
    write_png(path, lambda file: figure.savefig(file, format="png", dpi=dpi))
