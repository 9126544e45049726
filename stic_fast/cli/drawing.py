# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the commands of a trained run have in common: options, classes by number or name, and where pictures go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor

from stic_fast.api.image_files import prepare_target
from stic_fast.counts import Count, CountOrZero, Options, Seed
from stic_fast.data.class_names import find_class, is_name
from stic_fast.errors import InputError
from stic_fast.models import Layout, Precision
from stic_fast.training import ImageSampler, RunFolder, TrainedRun


@dataclass(frozen=True)
class RunCommand(Options):
    """A command of a run."""

    # Folder of a trained run, or pretrained:NAME; `stic-fast info` lists the names.
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    # Where the run's images lie, as --data of a training names them; None for where they were when it was trained.
    # The images of some pretrained runs do not come with them.
    data: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class DrawingCommand(RunCommand):
    """A command that draws from a run."""

    # Steps of each chain; None for as many as the run is configured for.
    steps: CountOrZero | None = field(default=None, kw_only=True)
    # Of all noise.
    seed: Seed = field(default=0, kw_only=True)
    # Images drawn at a time; the images do not depend on it.
    batch_size: Count = field(default=250, kw_only=True)
    # Of the network's passes: fp32, bf16, or auto, bf16 where the hardware multiplies it; None for as configured.
    precision: Precision | None = field(default=None, kw_only=True)
    # Of the network's weights: plain, channels_last, or packed, the fastest; None for as configured.
    layout: Layout | None = field(default=None, kw_only=True)

    def image_sampler(self, run: TrainedRun) -> ImageSampler:
        """How this command draws."""
        return ImageSampler(run, self.seed, self.steps, self.batch_size, self.precision, self.layout)


@contextmanager
def picture_of(run: RunFolder, out: Path | None, default: str, what: str) -> Iterator[Path]:
    """Around the work for a picture of a run: where it goes, once it is sure that it can be written there.

    Folders that were made for it and hold nothing go again if the work cannot be done.

    Args:
        out: as asked for; the default, a path within the run's folder, if None.
        what: the beginning of the sentence that refuses another kind of file.
    """
    target = out or run.path / default
    with run.one_writer(target), picture_at(target, what):
        yield target


@contextmanager
def picture_at(target: Path, what: str) -> Iterator[None]:
    """Around the work for a picture at a path, as `picture_of`."""
    if target.suffix.lower() != ".png":
        raise InputError(f"{what} as PNG, got the path {target}; let --out end in .png")
    made = [folder for folder in target.parents if not folder.exists()]
    prepare_target(target)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # one that is not empty
            for folder in made:
                folder.rmdir()
        raise


def find_classes(asked: str, class_names: Sequence[str]) -> list[int]:
    """The classes that a text such as "cat,3" names, by name or by number; a name wins over a number.

    >>> find_classes("cat, 0", ["dog", "cat"]), find_classes("shoe, low,1", ["shoe, low", "shoe"])
    ([1, 0], [0, 1])
    """
    found: list[int] = []
    words = asked.split(",")
    while words:
        # the longest name first, for a name may hold commas
        parts = [",".join(words[:count]) for count in range(len(words), 0, -1)]
        word = next((part for part in parts if is_name(part, class_names)), words[0])
        words = words[word.count(",") + 1 :]
        number = find_class(word, class_names)
        if number in found:
            raise InputError(f"class {word.strip()!r} stands twice in {asked!r}; name each class once")
        found.append(number)
    return found


def spread(classes: Sequence[int], count: int) -> Tensor:
    """`count` labels spread evenly over the classes in their order, int64 (count,).

    >>> spread([7, 2], 3)
    tensor([7, 7, 2])
    """
    places = torch.arange(count) % len(classes)
    return torch.tensor(classes)[places.sort().values]
