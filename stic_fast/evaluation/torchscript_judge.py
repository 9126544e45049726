# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""TorchScript files as judges; whatever else a file may be is refused before anything is read from it."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from stic_fast.errors import InputError
from stic_fast.evaluation.network_judge import NetworkJudge, last_line

_TORCHSCRIPT_ERRORS = (RuntimeError, ValueError, IndexError)  # as its reader and interpreter raise them


def load_torchscript_judge(
    path: Path,
    *,
    image_shape: tuple[int, int, int],
    name: str | None = None,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    value_range: tuple[float, float] = (0.0, 1.0),
    resize: tuple[int, int] | None = None,
    device: str | torch.device = "cpu",
) -> NetworkJudge:
    """A judge, frozen and evaluating, from a TorchScript file whose `forward` returns the pair (features, logits).

    A network scripted in another form is put into a module that calls it and returns the pair, and scripted again; so
    an Inception file that gives features on a keyword becomes a judge.

    Python's pickle is not involved: TorchScript has a reader and an interpreter of its own. Its programs can still
    read and write files, so load only what you trust. PyTorch calls TorchScript deprecated and offers torch.export
    instead, whose archives torch itself reads through pickle; those are refused here.

    Args:
        path: the file, written by `torch.jit.save`.
        image_shape: (C, H, W) of images it will see; one blank image tells the number of classes.
        name, mean, std, value_range, resize: as for `NetworkJudge`; the name is the file's by default.
        device: where the judge goes.

    Raises:
        InputError: the file is missing, is a pickle or anything else but TorchScript, or does not return the pair.
    """
    _refuse_other_formats(path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*torch.jit.*")
        try:
            network = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
        except _TORCHSCRIPT_ERRORS as error:
            raise InputError(
                f"{path} is damaged TorchScript, or of a version that torch {torch.__version__} cannot read; "
                "export it anew"
            ) from error
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    scale: dict[str, Any] = {"mean": mean, "std": std, "value_range": value_range, "resize": resize}
    judge = NetworkJudge(network, name=name or path.stem, num_classes=0, **scale)
    try:
        return judge.to(device).sized(image_shape)
    except InputError:
        raise
    except _TORCHSCRIPT_ERRORS as error:
        raise InputError(
            f"{path} cannot read images {image_shape} ({last_line(error)}); give the right resize or another judge"
        ) from error


def _refuse_other_formats(path: Path) -> None:
    """Tell by the names inside what a file is, before anything is read from it."""
    hint = "export the network with torch.jit.save as a module that returns (features, logits)"
    if not path.is_file():
        raise InputError(f"there is no file {path}; give the path of a TorchScript file")
    try:
        with zipfile.ZipFile(path) as archive:
            inside = {entry.partition("/")[2] for entry in archive.namelist()}
            damaged = _fails_checksums(archive)  # which torch does not look at
    except (zipfile.BadZipFile, OSError, *_TORCHSCRIPT_ERRORS) as error:
        raise InputError(
            f"{path} is not TorchScript, and if it is a pickle it is not read, for a pickle can run any code; {hint}"
        ) from error
    if "models/model.json" in inside:
        what = "a torch.export archive, which torch reads through pickle, so it is not read"
    elif "constants.pkl" in inside and any(entry.startswith("code/") for entry in inside):
        if damaged:
            raise InputError(f"{path} is damaged TorchScript; fetch or export it anew")
        return
    else:
        pickled = "a pickle of torch.save, which can run any code, so it is not read"
        what = pickled if "data.pkl" in inside else "not TorchScript"
    raise InputError(f"{path} is {what}; {hint}")


def _fails_checksums(archive: zipfile.ZipFile) -> bool:
    try:
        return archive.testzip() is not None
    except (zlib.error, EOFError, OSError, *_TORCHSCRIPT_ERRORS):
        return True
