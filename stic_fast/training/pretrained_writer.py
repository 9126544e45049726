# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Puts a trained run among those that come with the package."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from stic_fast import __version__
from stic_fast.digests import listed_file
from stic_fast.errors import InputError
from stic_fast.evaluation.record_form import RECORD, Evaluation, to_plain, written
from stic_fast.training import pretrained
from stic_fast.training.checkpoint import WEIGHTS, weights_file
from stic_fast.training.pretrained import ABOUT, PREFIX, About
from stic_fast.training.run_folder import CONFIG, as_text, config_content, writing
from stic_fast.training.runs import open_run

MOST_BYTES = 20_000_000
"""Of all of them together: everybody who installs the package downloads them."""


def write_pretrained(
    path: str | os.PathLike[str],
    name: str,
    *,
    command: str,
    seconds: float,
    machine: str,
    source: str,
    pass_number: int | None = None,
) -> Path:
    """Writes the settings, the weights in half precision and the scores of an evaluated run, whole or not at all.

    Args:
        path: the run's folder.
        name: small letters and digits, with hyphens between words.
        command, seconds, machine, source: see `About`.
        pass_number: whose weights; None for the newest.

    Returns:
        The new folder.

    Raises:
        InputError: a run that cannot be opened or has no evaluation of these weights, a name that is none or taken,
            weights that half precision cannot hold, or more than MOST_BYTES in all.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise InputError(f"a pretrained run cannot be named {name!r}; use small letters and digits, with hyphens")
    place = pretrained.PLACE
    target, partial = place / name, place / f".{name}.partial"
    if target.exists():
        raise InputError(f"{target} exists; remove it first")
    run = open_run(path, pass_number=pass_number)
    folder, data = run.folder, "".join(run.config.data.partition(":")[:2])
    checkpoint = folder.newest_checkpoint() if pass_number is None else folder.end_of_pass(pass_number)
    evaluation = folder.evaluation()
    if evaluation is None or evaluation.checkpoint != checkpoint.name:
        evaluate = f"stic-fast evaluate {shlex.quote(folder.address)}"
        raise InputError(f"{folder.address} has no evaluation of {checkpoint.name}; write one with {evaluate}")
    weights = weights_file(halved(checkpoint.load_weights()))
    about = About(
        version=__version__,
        command=command,
        seed=run.config.seed,
        seconds=seconds,
        machine=machine,
        source=source,
        class_names=run.class_names,
        image_shape=run.image_shape,
        pass_number=checkpoint.pass_number,
        scores=scores_of(evaluation),
        sha256=sha256(weights).hexdigest(),
    )
    method, settings = folder.read_config()
    texts = {
        CONFIG: config_content(method, {**settings, "data": data}, folder.images()),
        ABOUT: to_plain(about),
        RECORD: written(msgspec.structs.replace(evaluation, command=_anywhere(evaluation.command, name, data))),
    }
    specs = {run.config.data, *_SPEC.findall(evaluation.command)}
    files = {file: _without_folders(as_text(content), specs).encode() for file, content in texts.items()}
    files[WEIGHTS] = weights
    there = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    own = sum(map(len, files.values()))
    if there + own > MOST_BYTES:
        raise InputError(f"{name} takes {own:,} bytes beside {there:,} of others; {MOST_BYTES:,} is the most of all")
    try:
        with writing(target):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            for file, content in files.items():
                with listed_file(partial / file) as stream:
                    stream.write(content)
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in half precision, other types of numbers as they are.

    Raises:
        InputError: one that is not finite there; the largest number is 65504.

    >>> halved({"weight": torch.ones(2), "count": torch.tensor(3)})
    {'weight': tensor([1., 1.], dtype=torch.float16), 'count': tensor(3)}
    """
    found = {}
    for name, tensor in weights.items():
        found[name] = tensor.half() if tensor.dtype == torch.float32 else tensor
        if not found[name].isfinite().all():
            raise InputError(f"{name} is not finite in half precision; take a run whose weights are")
    return found


def scores_of(evaluation: Evaluation) -> dict[str, float]:
    """Of the drawn images and of the classifier, by their full names."""
    found: dict[str, float | None] = {}
    if evaluation.images is not None:
        found |= {row.name: row.drawn for row in evaluation.images.rows}
    if evaluation.classifier is not None:
        found |= {row.name: row.value for row in evaluation.classifier.rows}
    return {name: value for name, value in found.items() if value is not None}


_SPEC = re.compile(r"\b[a-z0-9]+:[^\s,'\"]+")
"""An image source or a judge with its place, as the options of an evaluation name them."""


def _without_folders(text: str, specs: Iterable[str]) -> str:
    """The text with the places of these sources by their last part alone, for their folders mean nothing elsewhere.

    >>> _without_folders("idx:/home/me/fashion test", ["idx:/home/me/fashion"])
    'idx:fashion test'
    """
    for spec in sorted(specs, key=len, reverse=True):
        source, colon, place = spec.partition(":")
        text = text.replace(json.dumps(spec)[1:-1], f"{source}{colon}{Path(place).name}")
    return text


def _anywhere(command: str, name: str, data: str) -> str:
    """The command of an evaluation as somebody gives it who has the pretrained run, and the images somewhere else."""
    program, does, _, *options = shlex.split(command)
    options = [re.sub(r"^([a-z0-9]+:).+", r"\1PATH", word) for word in options]
    if data.endswith(":"):
        options += ["--data", f"{data}PATH"]
    return shlex.join([program, does, PREFIX + name, *options])
