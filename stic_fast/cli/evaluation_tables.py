# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The record of an evaluation as tables on a terminal; what went wrong stands there in red."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from stic_fast.cli.terminal import console, printable, table
from stic_fast.evaluation.out_of_distribution import SCORE_NAMES


def tell(record: Mapping[str, Any]) -> None:
    """Prints the parts that the record has."""
    terminal = console()  # names and notes have brackets of their own
    for part, tables in (
        ("images", _images),
        ("classifier", _classifier),
        ("outliers", _outliers),
        ("attacks", _attacks),
    ):
        if part not in record:
            continue
        if "note" in record[part]:
            terminal.print(printable(f"{part}: {record[part]['note']}"), style="bold red")
        if "rows" in record[part]:
            tables(terminal, record[part])


def _images(terminal: Console, part: Mapping[str, Any]) -> None:
    """Scores of n_real drawn images stand beside those of the real ones, where these are too few for the whole set."""
    columns = {"drawn": "drawn", "drawn_at_n_real": f"drawn@{part['n_real']}", "real": "real", "noise": "noise"}
    if part["n_real"] == part["n"]:
        del columns["drawn_at_n_real"]
    else:
        columns["real"] = f"real@{part['n_real']}"
    rows = table("score", *columns.values(), title=f"{part['n']} drawn images, {part['n_real']} real ones")
    for row in part["rows"]:
        cells = {key: _number(row[key]) for key in columns}
        if row["spread"] is not None:
            cells["drawn"] += f" ± {row['spread']:.3g}"
        rows.add_row(row["name"], *cells.values())
    terminal.print(rows)


def _classifier(terminal: Console, part: Mapping[str, Any]) -> None:
    rows = table("classifier", "value", title=f"{part['n']} real test images")
    for row in part["rows"]:
        rows.add_row(row["name"], _number(row["value"]))
    terminal.print(rows)


def _outliers(terminal: Console, part: Mapping[str, Any]) -> None:
    areas = {(row["outliers"], row["score"]): row["auroc"] for row in part["rows"]}
    scores = list(dict.fromkeys(row["score"] for row in part["rows"]))
    rows = table("AUROC", *(SCORE_NAMES[score] for score in scores), title=f"{part['n']} images of {part['inside']}")
    for name in dict.fromkeys(row["outliers"] for row in part["rows"]):
        rows.add_row(name, *(_number(areas[name, score], ".3f") for score in scores))
    terminal.print(rows)


def _attacks(terminal: Console, part: Mapping[str, Any]) -> None:
    rows = table("attack", "value", "images")
    for row in part["rows"]:
        rows.add_row(row["name"], _number(row["value"], ".3f"), str(row["n"]))
    terminal.print(rows)
    if "note" in part.get("cw", {}):
        terminal.print(printable(part["cw"]["note"]))
    terminal.print(printable(part["masking"]["verdict"]), style="bold red" if part["masking"]["masked"] else None)


def _number(value: float | None, form: str = ".4g") -> str:
    return "–" if value is None else f"{value:{form}}"
