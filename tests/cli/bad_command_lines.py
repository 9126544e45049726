# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Command lines that cannot be used, drawn from a seed: every subcommand, every option, every kind of mistake.

python bad_command_lines.py RUN         prints 200 of them, RUN being the folder of a trained run
"""

from __future__ import annotations

import dataclasses
import os
import random
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from PIL import Image

from stic_fast.api.command_line import option_name
from stic_fast.cli.counterfactual import Counterfactual
from stic_fast.cli.evaluate import Evaluate
from stic_fast.cli.interpolate import Interpolate
from stic_fast.cli.report import Report
from stic_fast.cli.sample import Sample
from stic_fast.cli.texture import Stylize, Texture
from stic_fast.counts import ranges_of
from stic_fast.studies import STUDIES
from stic_fast.training import METHODS

BYTES = os.fsdecode(b"caf\xe9")
CONTROL = "\x1b[31mred\x07\x1b]0;title\x07"
DIRECTION = "\u202eevil"
HUGE = ("1" + "0" * 30, "9" * 5000, str(2**64), "-9" * 20)
WORDS = ("", " ", "x", "None,None", CONTROL, DIRECTION, BYTES, "[bold]x[/bold]", "a" * 100_000, "\n", "-", "0x10", "½")
NUMBERS = ("nan", "inf", "-inf", "1e300", "1e999", "-1", "-0.5", *HUGE)
PATHS = (
    "nowhere",
    "pretrained:",
    "pretrained:nowhere",
    "file.txt",
    "file.txt/run",
    "empty",
    "full",
    "n" * 300,
    "l/" * 3000,
    "loop",
    BYTES,
    CONTROL,
    "/dev/null",
    "",
)
DATA = (
    *("nowhere", "digits:x", "npz:", "npz:nowhere", "npz:file.txt", "folder:file.txt", "folder:empty", "folder:full"),
    *("idx:empty", "idx:file.txt", "cifar10:empty", "cifar10:file.txt", "cifar10:/dev/zero", "idx:~nobody/x", ":", ""),
    *(f"npz:{CONTROL}", f"folder:{BYTES}", "npz:" + "n" * 300, "folder:loop", f"{DIRECTION}:x"),
)
PLACES = ("file.txt", "file.txt/x.png", "full", "x.jpg", "x.pdf", "/dev/null/x.png", "/proc/x.png", "n" * 300 + ".png")

ANIMATIONS = (
    "x",
    "full.webp",
    "file.txt/x.webp",
    "/dev/null/x.gif",
    "/proc/x.webp",
    "n" * 300 + ".gif",
    f"{BYTES}.png",
)


def places(folder: Path) -> None:
    """Makes the files and folders that command lines name."""
    (folder / "file.txt").write_text("mine")
    (folder / "empty").mkdir()
    (folder / "full").mkdir()
    (folder / "full.webp").mkdir()
    (folder / "full" / "notes.txt").write_text("mine")
    (folder / "loop").symlink_to("loop")
    Image.new("L", (8, 8)).save(folder / "small.png")
    Image.new("L", (16, 16)).save(folder / "good.png")


def command_lines(run: str, count: int = 200, seed: int = 0) -> list[list[str]]:
    """So many different command lines, of each command as many.

    Args:
        run: the folder of a trained run, for lines whose mistake is another.
    """
    draw = random.Random(seed)
    kinds = [sorted(set(map(tuple, lines)), key=repr) for lines in _by_command(run).values()]
    for lines in kinds:
        draw.shuffle(lines)
    chosen: list[list[str]] = []
    while len(chosen) < count:
        lines = kinds[len(chosen) % len(kinds)]
        if lines:
            chosen.append(list(lines.pop()))
        else:
            kinds.remove(lines)
    return chosen


def _by_command(run: str) -> dict[str, list[list[str]]]:
    ends = ["--from", "3", "--to", "8"]
    found: dict[str, list[list[str]]] = {
        "": [[word] for word in (*WORDS[2:], "--nonsense", "trian", "--", "study", "train")],
        "demo": [["demo", "--resume", place] for place in PATHS] + [["demo", "--resume=x", "--seed=1"]],
        "compare": [["compare", *groups] for groups in _groups(run)],
    }
    for method in METHODS.values():
        command = ["train", method.name]
        lines = [[*command, *wrong] for wrong in _mistakes(method.settings)]
        lines += [[*command, f"--data={data}"] for data in DATA]
        lines += [[*command, "--resume", place] for place in PATHS]
        lines += [[*command, "--resume=x", *more] for more in (["--passes=2"], ["--out=y"], ["--preset=digits"])]
        lines += [[*command, "--preset", word] for word in WORDS] + [[*command, "--preset=fashion"]]
        lines += [[*command, f"--out={place}"] for place in ("file.txt", "full", "file.txt/x", "/dev/null", "/proc/x")]
        lines += [[*command, *large] for large in _too_large(method.name)]
        found[" ".join(command)] = lines
    asked: list[tuple[list[str], Any, list[str]]] = [
        (["sample"], Sample, []),
        (["interpolate"], Interpolate, ends),
        (["evaluate"], Evaluate, []),
        (["report"], Report, []),
        *((["study", name], study, ends if name == "interpolation" else []) for name, study in STUDIES.items()),
    ]
    for command, kind, needed in asked:
        lines = [[*command, place, *needed] for place in PATHS]
        lines += [[*command, run, *needed, *wrong] for wrong in _mistakes(kind)]
        lines += [[*command, run, run, *needed], [*command, *needed]]
        if "data" in get_type_hints(kind):
            lines += [[*command, run, *needed, f"--data={data}"] for data in DATA]
        if command not in (["report"], ["evaluate"]):
            lines += [[*command, run, *needed, f"--out={place}"] for place in PLACES]
        found[" ".join(command)] = lines
    changed = ["counterfactual", run, "test:3"]
    found["counterfactual"] = [["counterfactual", place, "test:3", "--to", "8"] for place in PATHS]
    found["counterfactual"] += [["counterfactual", run, place, "--to", "8"] for place in PATHS]
    found["counterfactual"] += [[*changed, "--to", "8", *wrong] for wrong in _mistakes(Counterfactual)]
    found["counterfactual"] += [[*changed, "--to", word] for word in ("10", "3,4", *WORDS)]
    found["counterfactual"] += [[*changed, "--to", "8", f"--out={place}"] for place in PLACES]
    found["interpolate"] += [["interpolate", run, "--from", word, "--to", "8"] for word in ("10", "3,4", *WORDS)]
    sizes = (
        "0x16",
        "16x0",
        "15x16",
        "16",
        "16x",
        "x16",
        "1e3x16",
        "-16x16",
        "16x16x16",
        "99999x16",
        "9" * 5000 + "x16",
    )
    for command, images, kind in (("texture", ["good.png"], Texture), ("stylize", ["good.png", "good.png"], Stylize)):
        lines = [[command, *images, *wrong] for wrong in _mistakes(kind)]
        lines += [[command, *images[1:], place] for place in (*PATHS, "small.png", "small.png/x")]
        lines += [[command, *images, f"--size={size}"] for size in (*sizes, *WORDS)]
        lines += [[command, *images, "--size=16x16", f"--out={place}"] for place in PLACES]
        lines += [[command, *images, f"--run={place}"] for place in PATHS[:-1]]
        found[command] = [*lines, [command], [command, *images, "x.png"]]
    found["sample"] += [["sample", run, "--labels", word] for word in ("10", "3,3", "-1", *WORDS)]
    found["sample"] += [["sample", run, f"--animate={place}"] for place in (*PLACES, *ANIMATIONS)]
    found["sample"] += [["sample", run, "--animate=x.webp", *more] for more in (["--steps=0"], ["--out=new"])]
    found["sample"] += [["sample", run, "--frames=5"]]
    found["evaluate"] += [["evaluate", run, "--metrics", word] for word in WORDS]
    found["evaluate"] += [["evaluate", run, "--judge", word] for word in ("resnet20:nowhere", "torchscript:", *WORDS)]
    return found


def _mistakes(kind: Any, before: str = "--") -> Iterator[list[str]]:
    """Unknown options, options without a value, and values that the options of a dataclass cannot have."""
    if before == "--":
        yield from ([f"--{word}"] for word in ("nonsense", "n-n", CONTROL, BYTES, "=", "x=1"))
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint, option = hints[field.name], before + option_name(field.name, hints[field.name])
        if dataclasses.is_dataclass(_plain(hint)):
            yield from _mistakes(_plain(hint), f"{option}.")
        elif field.name in ("run", "out", "study") or "Positional" in str(hint):
            continue
        else:
            if _plain(hint) is not bool and get_origin(_plain(hint)) is not tuple:
                yield [option]
            yield from ([f"{option}={value}"] for value in _values(hint))


def _values(hint: Any) -> Iterator[str]:
    """What a setting of this type cannot be."""
    ranges = list(ranges_of(hint))
    if ranges:
        yield from WORDS
        for value in NUMBERS:
            if not all(each.least <= _float(value) <= each.most for each in ranges):
                yield value
    elif get_origin(_plain(hint)) is Literal:
        yield from WORDS
    elif _plain(hint) is bool:
        yield from ("maybe", CONTROL)


def _plain(hint: Any) -> Any:
    """A type without what is noted beside it, and without None."""
    while hasattr(hint, "__metadata__"):
        hint = get_args(hint)[0]
    others = [part for part in get_args(hint) if part is not type(None)]
    return _plain(others[0]) if type(None) in get_args(hint) and others else hint


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _too_large(method: str) -> Iterator[list[str]]:
    """Each number within its range, but not for these images or on any machine."""
    yield ["--augmentation.max-shift=8"]
    yield ["--batch-size=1439"]
    yield ["--network.width=1000", "--network.depth=100"]
    yield ["--network.depth=11"]
    yield ["--network.gram-layers", "conv99"]
    yield ["--passes=10000000", "--iterations=10000000"]
    if method == "stic":
        yield ["--references=1000"]
        yield ["--pool.refresh=501"]
    if method in ("jem", "gmmc"):
        yield ["--pool.chains=3"]
    if method == "gmmc":
        yield ["--dimension=3"]


def _groups(run: str) -> Iterator[list[str]]:
    for text in (
        "",
        "x",
        "=",
        "a=",
        f"={run}",
        f"a={run}",
        f"a={run},{run}",
        "a=nowhere",
        f"{CONTROL}=x",
        f"a={BYTES}",
    ):
        yield [text]
    yield []
    yield [f"a={run}", f"a={run}"]
    yield ["a=x", "--out=x.txt"]


if __name__ == "__main__":
    for line in command_lines(sys.argv[1]):
        print(ascii(shlex.join(["stic-fast", *line])))
