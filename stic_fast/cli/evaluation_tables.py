# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The record of an evaluation as tables on a terminal; what went wrong stands there in red."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from stic_fast.evaluation.out_of_distribution import SCORE_NAMES


def tell(record: Mapping[str, Any]) -> None:
    """Prints the parts that the record has."""
    console = Console(markup=False)  # names and notes have brackets of their own
    for part, tables in (
        ("images", _images),
        ("classifier", _classifier),
        ("outliers", _outliers),
        ("attacks", _attacks),
    ):
        if part not in record:
            continue
        if "note" in record[part]:
            console.print(f"{part}: {record[part]['note']}", style="bold red")
        if "rows" in record[part]:
            tables(console, record[part])


def _images(console: Console, part: Mapping[str, Any]) -> None:
    """Scores of n_real drawn images stand beside those of the real ones, where these are too few for the whole set."""
    columns = {"drawn": "drawn", "drawn_at_n_real": f"drawn@{part['n_real']}", "real": "real", "noise": "noise"}
    if part["n_real"] == part["n"]:
        del columns["drawn_at_n_real"]
    else:
        columns["real"] = f"real@{part['n_real']}"
    table = Table("score", *columns.values(), title=f"{part['n']} drawn images, {part['n_real']} real ones")
    for row in part["rows"]:
        cells = {key: _number(row[key]) for key in columns}
        if row["spread"] is not None:
            cells["drawn"] += f" ± {row['spread']:.3g}"
        table.add_row(row["name"], *cells.values())
    console.print(table)


def _classifier(console: Console, part: Mapping[str, Any]) -> None:
    table = Table("classifier", "value", title=f"{part['n']} real test images")
    for row in part["rows"]:
        table.add_row(row["name"], _number(row["value"]))
    console.print(table)


def _outliers(console: Console, part: Mapping[str, Any]) -> None:
    areas = {(row["outliers"], row["score"]): row["auroc"] for row in part["rows"]}
    scores = list(dict.fromkeys(row["score"] for row in part["rows"]))
    table = Table("AUROC", *(SCORE_NAMES[score] for score in scores), title=f"{part['n']} images of {part['inside']}")
    for name in dict.fromkeys(row["outliers"] for row in part["rows"]):
        table.add_row(name, *(_number(areas[name, score], ".3f") for score in scores))
    console.print(table)


def _attacks(console: Console, part: Mapping[str, Any]) -> None:
    table = Table("attack", "value", "images")
    for row in part["rows"]:
        table.add_row(row["name"], _number(row["value"], ".3f"), str(row["n"]))
    console.print(table)
    if "note" in part.get("cw", {}):
        console.print(part["cw"]["note"])
    console.print(part["masking"]["verdict"], style="bold red" if part["masking"]["masked"] else None)


def _number(value: float | None, form: str = ".4g") -> str:
    return "–" if value is None else f"{value:{form}}"
