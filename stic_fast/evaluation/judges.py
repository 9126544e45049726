# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Which networks may judge, and where they come from: a short text such as "cnn" or "resnet20:PATH" becomes one.

A judge is never the model under test, and its name stands in the name of every metric that it gave. Whoever has one of
their own registers it by `register_judge`, or as an entry point of the group `stic_fast.judges`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.evaluation.checks import check_labelled_images
from stic_fast.evaluation.features import JudgeNetwork
from stic_fast.evaluation.judge import Judge, train_judge
from stic_fast.evaluation.kept import fingerprint, kept
from stic_fast.evaluation.network_judge import as_judge
from stic_fast.evaluation.resnet20 import load_resnet20_judge
from stic_fast.evaluation.torchscript_judge import load_torchscript_judge
from stic_fast.models.fixed_passes import uses_bf16
from stic_fast.models.frozen import frozen

GROUP = "stic_fast.judges"
"""Of the entry points by which other packages offer judges: the name of one is the judge's, its object the loader."""
_RECIPE = 2
"""Raised whenever `train_judge` or the small CNN changes, so that no judge of an older recipe passes for a new one."""


@dataclass(frozen=True, eq=False)
class JudgeRequest:
    """What a loader is told."""

    text: str  # what follows the colon after the judge's name, "" where nothing does; a path, say
    images: Tensor  # uint8 (N, C, H, W), real training images: the judge must be able to read such
    labels: Tensor  # int64 (N,), of the run's classes; a judge may have others, which Cls_R alone minds
    num_classes: int
    seed: int = 0
    iterations: int = 600
    cache: Path | None = None
    device: str | torch.device = "cpu"
    progress: Callable[[int, int], None] | None = None
    say: Callable[[str], None] | None = None


JudgeLoader = Callable[[JudgeRequest], "JudgeNetwork | nn.Module"]


def register_judge(name: str, loader: JudgeLoader, *, form: str | None = None) -> None:
    """Has `judge=NAME` and `--judge NAME`, or NAME:TEXT, mean the network that the loader gives.

    Args:
        name: without a colon; of an earlier registration, which this one replaces, but none of the package's own.
        loader: given a `JudgeRequest`, returns a judge or any nn.Module that gives logits (see `as_judge`).
        form: how to write it, for help and messages, such as "lpips:PATH"; the name by default.

    Raises:
        InputError: a name that cannot be written, or one of the package's own.

    >>> register_judge("pixels", lambda request: nn.Sequential(nn.Flatten(), nn.Linear(64, request.num_classes)))
    >>> load_judge("pixels", torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.tensor([0]), 2).num_classes
    2
    """
    if not name.strip() or ":" in name or name in _OWN:
        raise InputError(f"a judge cannot be registered as {name!r}; take a name without a colon, none of {_OWN}")
    _LOADERS[name] = (loader, form or name)


def judge_forms() -> tuple[str, ...]:
    """How each judge that can be had is written."""
    others = (point.name for point in entry_points(group=GROUP) if point.name not in _LOADERS)
    return (*(form for _, form in _LOADERS.values()), *others)


def judge_help() -> str:
    """What the command line's help says of a judge.

    >>> judge_help()[:52]
    'Who reads the images: cnn, trained on the real data;'
    """
    cnn, *others = judge_forms()
    return f"Who reads the images: {cnn}, trained on the real data; {'; '.join(others)}."


def load_judge(
    spec: str,
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    seed: int = 0,
    iterations: int = 600,
    cache: Path | None = None,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> JudgeNetwork:
    """The judge that `spec` names, for a run on these training images.

    Args:
        spec: "cnn"; "resnet20:PATH"; "torchscript:PATH?mean=…&std=…&range=LOW..HIGH&resize=SIDE&name=NAME", of which
            every option may be left out; or a registered one. mean and std are one number or one per channel; range is
            what bytes 0 and 255 become before them; resize is one side or HEIGHTxWIDTH; `~` is the home directory.
        images, labels, num_classes: real training data: the CNN learns from them; the others must be able to read the
            first of them, but may have other classes, which Cls_R and MIS refuse and the distances do not mind.
        seed, iterations, cache, progress, say: for the CNN; see `cached_judge`.
        device: where the judge goes.

    Raises:
        InputError: the spec, the file or the data cannot be used.
    """
    name, colon, text = spec.partition(":")
    if name == "cnn" and colon:
        raise InputError(f"the judge cnn is trained on the run's own data and takes no path, got {spec!r}; write cnn")
    loader = _loader(name)
    check_labelled_images(images, labels, num_classes)
    request = JudgeRequest(text, images, labels, num_classes, seed, iterations, cache, device, progress, say)
    judge = as_judge(loader(request), images.shape[1:])
    if isinstance(judge, nn.Module):
        judge.to(device)
    with torch.no_grad(), frozen(judge):
        judge(images[:1].to(device))
    return judge


def cached_judge(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    cache: Path | None = None,
    seed: int = 0,
    iterations: int = 600,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Judge:
    """The small CNN trained by `train_judge`, or the one that an earlier call trained on the same data and settings.

    It is kept (see `kept.kept`) as CACHE/cnn-KEY.safetensors, where the key is a hash of the images and labels,
    num_classes, the seed and the training settings.

    The arguments are those of `kept.kept` and `train_judge`, and so are the errors.

    >>> import tempfile
    >>> images = torch.tensor([0, 255, 0, 255], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 4, 4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = cached_judge(images, torch.tensor([0, 1, 0, 1]), 2, cache=Path(folder), iterations=5)
    ...     again = cached_judge(images, torch.tensor([0, 1, 0, 1]), 2, cache=Path(folder), iterations=5)
    >>> torch.equal(first.head.weight, again.head.weight)
    True
    """
    check_labelled_images(images, labels, num_classes)
    channels, height, width = images.shape[1:]
    judge = Judge((channels, height, width), num_classes, generator=torch.Generator())
    settings: dict[str, Any] = {"iterations": iterations, "batch_size": batch_size, "seed": seed}
    settings["learning_rate"] = learning_rate
    bf16 = uses_bf16("auto", device)  # machines that share a home directory may differ in it
    recipe = {**settings, "num_classes": num_classes, "bf16": bf16, "recipe": _RECIPE}
    key = fingerprint(recipe, images, labels.to(torch.int64))

    def train() -> dict[str, Tensor]:
        return train_judge(images, labels, num_classes, **settings, device=device, progress=progress).state_dict()

    judge.load_state_dict(kept(judge.name, key, train, cache=cache, say=say))
    return judge.eval().requires_grad_(False).to(device)


def torchscript_spec(text: str) -> tuple[Path, dict[str, Any]]:
    """The path and the arguments of `load_torchscript_judge` in "PATH?mean=…&std=…&range=LOW..HIGH&resize=SIDE".

    Anything that is not of this form is an InputError.

    >>> torchscript_spec("inception.pt?range=0..255&resize=299")[1]
    {'value_range': (0.0, 255.0), 'resize': (299, 299)}
    """
    place, _, query = text.partition("?")
    path = _path("torchscript", place)
    options: dict[str, Any] = {}
    for part in query.split("&") if query else ():
        key, _, value = part.partition("=")
        if key not in _OPTIONS or not value:
            raise InputError(f"a judge has no option {part!r}; write {', '.join(f'{name}=…' for name in _OPTIONS)}")
        argument, read, example = _OPTIONS[key]
        try:
            options[argument] = read(value)
        except ValueError as error:
            raise InputError(f"{part!r} in {text!r} cannot be read; write for example {example}") from error
    return path, options


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


def _ends(text: str) -> tuple[float, float]:
    low, high = map(float, text.split(".."))
    return low, high


def _sides(text: str) -> tuple[int, int]:
    height, width = map(int, text.split("x") if "x" in text else (text, text))
    return height, width


_OPTIONS: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "mean": ("mean", _numbers, "mean=0.485,0.456,0.406"),
    "std": ("std", _numbers, "std=0.229,0.224,0.225"),
    "range": ("value_range", _ends, "range=0..255"),
    "resize": ("resize", _sides, "resize=299 or resize=224x160"),
    "name": ("name", str, "name=inception"),
}
"""By name: the argument of `load_torchscript_judge` that it sets, what reads it, and an example."""


def _path(judge: str, place: str) -> Path:
    if not place.strip():
        raise InputError(f"the judge {judge} needs a path, got {place!r}; write {judge}:PATH")
    try:
        return Path(place).expanduser()
    except RuntimeError as error:
        raise InputError(f"the home directory in {place!r} is unknown; write the path out in full") from error


def _cnn(request: JudgeRequest) -> JudgeNetwork:
    return cached_judge(**{name: value for name, value in vars(request).items() if name != "text"})


def _torchscript(request: JudgeRequest) -> JudgeNetwork:
    path, options = torchscript_spec(request.text)
    channels, height, width = request.images.shape[1:]
    return load_torchscript_judge(path, image_shape=(channels, height, width), device=request.device, **options)


_LOADERS: dict[str, tuple[JudgeLoader, str]] = {
    "cnn": (_cnn, "cnn"),
    "resnet20": (lambda request: load_resnet20_judge(_path("resnet20", request.text)), "resnet20:PATH"),
    "torchscript": (_torchscript, "torchscript:PATH[?mean=M,M,M&std=S,S,S&range=0..1&resize=SIDE&name=NAME]"),
}
"""By name: what loads a judge, and how it is written."""
_OWN = tuple(_LOADERS)


def _loader(name: str) -> JudgeLoader:
    if name in _LOADERS:
        return _LOADERS[name][0]
    for point in entry_points(group=GROUP, name=name):
        try:
            loader: JudgeLoader = point.load()
        except Exception as error:  # whatever another package's import raises
            raise InputError(
                f"the judge {name} of {point.value} cannot be loaded ({type(error).__name__}: {error}); mend or "
                "remove the package that offers it"
            ) from error
        return loader
    raise InputError(f"there is no judge {name!r}; use one of {', '.join(judge_forms())}")
