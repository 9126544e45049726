# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast texture` and `stic-fast stylize`: more of an image's texture, and an image in another's style."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from PIL import Image
from torch import Tensor

from stic_fast.api import load, train
from stic_fast.api.cascades import draws_textures
from stic_fast.api.images import png
from stic_fast.api.run import Run
from stic_fast.api.textures import Engine, read_picture, stylize, texture
from stic_fast.atomic_write import atomic_write
from stic_fast.cli.drawing import picture_at
from stic_fast.cli.progress import RichProgress
from stic_fast.cli.train import resumable
from stic_fast.counts import Count, Options, Probability, Seed
from stic_fast.errors import InputError
from stic_fast.training import resume
from stic_fast.training.run_folder import CONFIG

PREVIEW_SECONDS = 2.0
"""Between two previews at least."""


@dataclass(frozen=True)
class PictureCommand(Options):
    """A command that draws one picture from others."""

    # Folder of a trained run, or pretrained:NAME, whose classifier's features gram compares; None for fixed random
    # filters.
    run: Path | None = field(default=None, kw_only=True)
    # Of gram, evaluations of the loss at full size; each of the coarser sizes before has half as many more.
    steps: Count = field(default=75, kw_only=True)
    # FILE.png; None for a name made of the source's, in the current folder. While it is drawn, FILE.preview.png shows
    # how far it is.
    out: Path | None = field(default=None, kw_only=True)

    def network(self) -> Run | None:
        """The run whose features are compared."""
        return None if self.run is None else load(self.run)

    def _source(self, image: Path | None, without: str) -> Path | Run:
        """Whose texture is drawn: an image's, or that of the cascade that --run is.

        Args:
            without: what to say where there is neither.
        """
        run = self.network()
        if run is not None and draws_textures(run):
            if image is not None:
                raise InputError(f"--run {self.run} draws the texture that it was trained on; leave out {image}")
            return run
        if image is None:
            raise InputError(f"{without}: give an image file, or --run with a cascade of `train igm`")
        return image


@dataclass(frozen=True)
class Texture(PictureCommand):
    """Draw more of an image's texture, of any size.

    stic-fast texture bricks.png --size 512x512 --out wall.png
    stic-fast texture bricks.png --engine igm          # trains a cascade first, for minutes
    stic-fast texture --run runs/igm-bricks-0 --size 256x512 --seed 1
    """

    # The source, an image file; left out where --run is a cascade that was trained on one.
    image: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")] = None
    # What draws: gram, which descends to the Gram matrices of the source's features, in seconds; or igm, a cascade of
    # classifiers. It is trained into runs/igm-IMAGE-0 first, for minutes, unless it is there already.
    engine: Engine = "gram"
    # Height and width of what is drawn, larger or smaller than the source.
    size: Annotated[str, tyro.conf.arg(metavar="HxW")] = "256x256"
    # Of the noise that it starts from.
    seed: Seed = 0
    # Whether copies of what is drawn are to fit together, side by side and one above the other.
    tile: bool = False

    def execute(self) -> None:
        """Draws and writes."""
        size, source = parse_size(self.size), self._source(self.image, "texture needs a source")
        target = self.out or Path(f"{name_of(source)}_texture_seed{self.seed}.png")
        with drawn_into(target) as (preview, progress, save):
            if isinstance(source, Path) and self.engine == "igm":
                source = cascade_of(source, progress)
            image = texture(
                source,
                size=size,
                seed=self.seed,
                tile=self.tile,
                network=None if isinstance(source, Run) else self.network(),
                steps=self.steps,
                on_preview=preview,
                progress=progress,
            )
            save(image)


@dataclass(frozen=True)
class Stylize(PictureCommand):
    """Draw an image in the style of another.

    stic-fast stylize photograph.jpg painting.jpg --size 512x512 --out painted.png
    """

    # What is to be seen, an image file.
    content: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CONTENT")]
    # Whose colours and textures it is given, an image file; it is resized to about as many pixels as the result. Left
    # out where --run is a cascade that was trained on one.
    style: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="STYLE")] = None
    # Height and width of the result; the content is resized to cover it, and cut to the middle. None for the content's
    # own; a photograph of many megapixels needs a smaller one.
    size: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None
    # How far the result keeps to the content, from 0 to 1; None for 0.1, and for 0.95 of a cascade.
    fidelity: Probability | None = None

    def execute(self) -> None:
        """Draws and writes."""
        size = None if self.size is None else parse_size(self.size)
        style = self._source(self.style, "stylize needs a style")
        with drawn_into(self.out or Path(f"{self.content.stem}_as_{name_of(style)}.png")) as (preview, progress, save):
            image = stylize(
                self.content,
                style,
                size=size,
                fidelity=self.fidelity,
                network=None if isinstance(style, Run) else self.network(),
                steps=self.steps,
                on_preview=preview,
                progress=progress,
            )
            save(image)


def cascade_of(image: Path, progress: RichProgress) -> Run:
    """The cascade of an image, trained by the preset, or gone on with where it was stopped."""
    read_picture(image)
    folder = Path("runs") / f"igm-{image.stem}-0"
    with resumable(folder, "stic-fast train igm"):
        if (folder / CONFIG).exists():
            return Run.of(resume(folder, method="igm", progress=progress))
        return train("igm", data=f"image:{image}", preset="texture", out=folder, progress=progress)


def name_of(source: Path | Run) -> str:
    """What pictures made of it are called."""
    return source.stem if isinstance(source, Path) else source.folder.path.name


def parse_size(text: str) -> tuple[int, int]:
    """Height and width of a text such as "256x512".

    >>> parse_size("256x512")
    (256, 512)
    """
    found = re.fullmatch(r"([0-9]{1,9})[x×]([0-9]{1,9})", text.strip())
    if found is None:
        raise InputError(f"--size must be a height and a width such as 256x512, got {text!r}; give two numbers")
    return int(found[1]), int(found[2])


@contextmanager
def drawn_into(target: Path) -> Iterator[tuple[Callable[[Tensor], None], RichProgress, Callable[[Tensor], None]]]:
    """Around the drawing of a picture: what writes its preview, the display, and what writes it in the end.

    The preview, FILE.preview.png, goes when the picture is there; it stays where the drawing is stopped.
    """
    preview, progress, last = target.with_name(f"{target.stem}.preview.png"), RichProgress(), time.monotonic()

    def show(image: Tensor) -> None:
        nonlocal last
        if time.monotonic() - last >= PREVIEW_SECONDS:
            _write(preview, image)
            last = time.monotonic()

    def save(image: Tensor) -> None:
        _write(target, image)
        preview.unlink(missing_ok=True)
        progress.say(f"picture: {target}")

    with picture_at(target, "a picture is written"):
        try:
            yield show, progress, save
        except KeyboardInterrupt as stop:
            raise (KeyboardInterrupt(f"as far as it is: {preview}") if preview.exists() else stop) from stop


def _write(path: Path, image: Tensor) -> None:
    pixels = image.permute(1, 2, 0).numpy()
    with atomic_write(path) as file:
        file.write(png(Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])))
