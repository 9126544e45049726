# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Which networks may judge, and where they come from: a short text such as "cnn" or "resnet20:PATH" becomes one.

A judge is never the model under test, and its name stands in the name of every metric that it gave.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.evaluation.judge import Judge, check_labelled_images, train_judge
from stic_fast.evaluation.network_judge import load_torchscript_judge
from stic_fast.evaluation.resnet20 import load_resnet20_judge
from stic_fast.whole_file import whole_file

SPECS = ("cnn", "resnet20:PATH", "torchscript:PATH[?mean=M,M,M&std=S,S,S&range=0..1&resize=SIDE&name=NAME]")
_OPTIONS = {
    "mean": "mean=0.485,0.456,0.406",
    "std": "std=0.229,0.224,0.225",
    "range": "range=0..255",
    "resize": "resize=299 or resize=224x160",
    "name": "name=inception",
}
_RECIPE = 1
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

    It is kept as CACHE/cnn-KEY.safetensors, whole or absent, where the key is a hash of the images' and labels' bytes,
    num_classes, the seed and the training settings. Nothing is unpickled. A damaged file is replaced by a judge
    trained anew, and a cache that cannot be written costs only the next run's time; both are said in a sentence.

    Args:
        cache: a folder, made where absent; by default stic_fast/judges in $XDG_CACHE_HOME or ~/.cache.
        say: told such a sentence; a warning by default.
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
    say = _warn if say is None else say
    check_labelled_images(images, labels, num_classes)
    channels, height, width = images.shape[1:]
    settings = {"iterations": iterations, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    key = _key(images, labels, {**settings, "num_classes": num_classes, "recipe": _RECIPE})
    file = (default_cache() if cache is None else cache) / f"cnn-{key[:16]}.safetensors"
    judge = Judge((channels, height, width), num_classes, generator=torch.Generator())
    if file.exists():
        problem = _filled(judge, file, key)
        if problem is None:
            return judge.to(device)
        say(f"the kept judge {file} is damaged ({problem}); it is trained anew and replaced")
    judge = train_judge(
        images,
        labels,
        num_classes,
        iterations=iterations,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        progress=progress,
    )
    weights = {name: value.detach().cpu().contiguous() for name, value in judge.state_dict().items()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as stream:
            stream.write(save(weights, metadata={"judge": f"{key} {_digest(weights)}"}))
    except OSError as error:
        say(f"the judge could not be kept as {file} ({error.strerror or error}); the next run trains it again")
    return judge


def default_cache() -> Path:
    """Where trained judges are kept unless told otherwise: stic_fast/judges in $XDG_CACHE_HOME or ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path("~/.cache").expanduser()) / "stic_fast" / "judges"


def _key(images: Tensor, labels: Tensor, settings: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps({**settings, "shape": list(images.shape)}, sort_keys=True).encode())
    for part in torch.split(images, 4096):  # a part at a time, so that a view is never copied whole
        digest.update(part.cpu().contiguous().numpy().tobytes())
    digest.update(labels.to("cpu", torch.int64).contiguous().numpy().tobytes())
    return digest.hexdigest()


def _digest(weights: dict[str, Tensor]) -> str:
    """Safetensors files carry no checksum of their own."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(weights[name].numpy().tobytes())
    return digest.hexdigest()


def _filled(judge: Judge, file: Path, key: str) -> str | None:
    """Fill a judge from a kept file, evaluation mode, frozen; or say what is wrong with the file."""
    wanted = judge.state_dict()
    try:
        with safe_open(file, framework="pt") as kept:
            kept_key, _, digest = (kept.metadata() or {}).get("judge", "").partition(" ")
            if kept_key != key:
                return "it is another judge's"
            if set(kept.keys()) != set(wanted):
                return "its tensors are not a judge's"
            weights = {name: kept.get_tensor(name) for name in wanted}
    except (SafetensorError, OSError) as error:
        return str(error)
    for name, value in wanted.items():
        if weights[name].shape != value.shape or weights[name].dtype != value.dtype:
            return f"{name} has another shape or type"
    if digest != _digest(weights):
        return "its weights are not those that were written"
    judge.load_state_dict(weights)
    judge.eval().requires_grad_(False)
    return None


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


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=3)
