# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Which networks may judge, and where they come from: a short text such as "cnn" or "resnet20:PATH" becomes one.

A judge is never the model under test, and its name stands in the name of every metric that it gave.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.evaluation.cache import cached, fingerprint
from stic_fast.evaluation.checks import check_labelled_images
from stic_fast.evaluation.judge import Judge, train_judge, uses_bf16
from stic_fast.evaluation.network_judge import load_torchscript_judge
from stic_fast.evaluation.resnet20 import load_resnet20_judge

SPECS = ("cnn", "resnet20:PATH", "torchscript:PATH[?mean=M,M,M&std=S,S,S&range=0..1&resize=SIDE&name=NAME]")
_OPTIONS = {
    "mean": "mean=0.485,0.456,0.406",
    "std": "std=0.229,0.224,0.225",
    "range": "range=0..255",
    "resize": "resize=299 or resize=224x160",
    "name": "name=inception",
}
_RECIPE = 2
"""Raised whenever `train_judge` or the small CNN changes, so that no judge of an older recipe passes for a new one."""


@runtime_checkable
class JudgeNetwork(Protocol):
    """A network with features and logits. `Judge` and `NetworkJudge` are two; any object with these four will do.

    >>> judge = Judge((1, 8, 8), 10, generator=torch.Generator().manual_seed(0))
    >>> isinstance(judge, JudgeNetwork), judge.name
    (True, 'cnn')
    """

    name: str
    """Enters the metrics' names: "FD-resnet20@10k"."""
    num_classes: int
    """K, the width of the logits."""

    def features(self, images: Tensor) -> Tensor:
        """Feature vectors, float32 (N, D), of images (N, C, H, W), uint8 or floating point in [-1, 1]."""

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, K) of such images."""


@dataclass(frozen=True)
class JudgeSpec:
    """A judge's text, taken apart by `parse_judge_spec`."""

    kind: str
    path: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """Arguments of `load_torchscript_judge`."""


def parse_judge_spec(spec: str) -> JudgeSpec:
    """Take apart "cnn", "resnet20:PATH" or "torchscript:PATH?mean=…&std=…&range=LOW..HIGH&resize=SIDE&name=NAME".

    Every option may be left out. mean and std are one number or one per channel; range is what bytes 0 and 255 become
    before them; resize is one side or HEIGHTxWIDTH. `~` in PATH is the home directory.

    Raises:
        InputError: one sentence for anything that is not of this form.

    >>> parse_judge_spec("torchscript:inception.pt?range=0..255&resize=299").options
    {'value_range': (0.0, 255.0), 'resize': (299, 299)}
    """
    kind, colon, place = spec.partition(":")
    if kind == "cnn":
        if colon:
            raise InputError(
                f"the judge cnn is trained on the run's own data and takes no path, got {spec!r}; write cnn"
            )
        return JudgeSpec("cnn")
    if kind not in ("resnet20", "torchscript"):
        raise InputError(f"there is no judge {kind!r}; use one of {', '.join(SPECS)}")
    query = ""
    if kind == "torchscript":
        place, _, query = place.partition("?")
    if not place.strip():
        raise InputError(f"the judge {kind} needs a path, got {spec!r}; write {kind}:PATH")
    try:
        path = Path(place).expanduser()
    except RuntimeError as error:
        raise InputError(f"the home directory in {place!r} is unknown; write the path out in full") from error
    options: dict[str, Any] = {}
    for part in query.split("&") if query else ():
        key, _, value = part.partition("=")
        if key not in _OPTIONS or not value:
            raise InputError(f"a judge has no option {part!r}; write {', '.join(f'{name}=…' for name in _OPTIONS)}")
        try:
            name, parsed = _option(key, value)
        except ValueError as error:
            raise InputError(f"{part!r} in {spec!r} cannot be read; write for example {_OPTIONS[key]}") from error
        options[name] = parsed
    return JudgeSpec(kind, path, options)


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
    """The judge that `spec` names (see `parse_judge_spec`), for a run on these training images.

    Args:
        spec: "cnn", "resnet20:PATH" or "torchscript:PATH?…".
        images, labels, num_classes: real training data: the CNN learns from them; the others must be able to read the
            first of them, but may have other classes, which Cls_R and MIS refuse and the distances do not mind.
        seed, iterations, cache, progress, say: for the CNN; see `cached_judge`.
        device: where the judge goes.

    Raises:
        InputError: the spec, the file or the data cannot be used.
    """
    parsed = parse_judge_spec(spec)
    if parsed.path is None:
        return cached_judge(
            images,
            labels,
            num_classes,
            cache=cache,
            seed=seed,
            iterations=iterations,
            device=device,
            progress=progress,
            say=say,
        )
    check_labelled_images(images, labels, num_classes)
    if parsed.kind == "resnet20":
        judge = load_resnet20_judge(parsed.path)
    else:
        channels, height, width = images.shape[1:]
        shape = (channels, height, width)
        judge = load_torchscript_judge(parsed.path, image_shape=shape, device=device, **parsed.options)
    with torch.no_grad():
        judge.to(device)(images[:1].to(device))
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

    It is kept (see `cache.cached`) as CACHE/cnn-KEY.safetensors, where the key is a hash of the images and labels,
    num_classes, the seed and the training settings.

    Args:
        cache, say: as for `cache.cached`.
        The others: as for `train_judge`.

    Raises:
        InputError: the data cannot be trained on, as for `train_judge`.

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
    settings = {"iterations": iterations, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    bf16 = uses_bf16("auto", device)  # machines that share a home directory may differ in it
    key = fingerprint(
        {**settings, "num_classes": num_classes, "bf16": bf16, "recipe": _RECIPE}, images, labels.to(torch.int64)
    )

    def train() -> dict[str, Tensor]:
        return train_judge(
            images,
            labels,
            num_classes,
            iterations=iterations,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            device=device,
            progress=progress,
        ).state_dict()

    judge.load_state_dict(cached(judge.name, key, train, cache=cache, say=say))
    return judge.eval().requires_grad_(False).to(device)


def _option(key: str, value: str) -> tuple[str, Any]:
    """The argument of `load_torchscript_judge` that an option of a spec sets; ValueError where it cannot be read."""
    if key in ("mean", "std"):
        return key, tuple(float(number) for number in value.split(","))
    if key == "range":
        low, high = value.split("..")
        return "value_range", (float(low), float(high))
    if key == "resize":
        sides = [int(side) for side in value.split("x")]
        height, width = sides * 2 if len(sides) == 1 else sides
        return "resize", (height, width)
    return key, value
