# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""From a configuration to a trained classifier, and from a run's folder back to one."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from stic_fast.data import ImageSet, Splits, load
from stic_fast.errors import InputError
from stic_fast.evaluation.kept import fingerprint
from stic_fast.models import Classifier
from stic_fast.models.gradients import outside_inference
from stic_fast.sampling import Recipe
from stic_fast.training.checkpoint import Checkpoint
from stic_fast.training.config import RunConfig, check, from_plain, to_plain
from stic_fast.training.engine import Engine, load_weights
from stic_fast.training.footprint import check_training_fits
from stic_fast.training.method import Method
from stic_fast.training.methods import METHODS, method_of
from stic_fast.training.pretrained import PREFIX, PretrainedFolder, folder_of
from stic_fast.training.progress import Progress
from stic_fast.training.run_folder import CONFIG, RunFolder
from stic_fast.training.run_images import RunImages

CHANGED = "changed since {} was trained on them; restore them, or train anew into another folder"


@dataclass(frozen=True)
class TrainedRun:
    """A classifier with everything that was configured around it."""

    folder: RunFolder
    config: RunConfig
    images: RunImages
    model: Classifier
    passes: int
    """How many passes of its training have ended."""

    @property
    def splits(self) -> Splits:
        """Its real images, loaded when they are first asked for."""
        return self.images.splits

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes that it knows, in the order of their numbers."""
        return self.images.class_names

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of its images."""
        return self.images.image_shape

    @property
    def method(self) -> type[Method[Any]]:
        """The method that it was trained by."""
        return method_of(self.config)

    @property
    def recipe(self) -> Recipe:
        """How the method draws finished images, where it is a cascade through the networks of several passes."""
        recipe = self.method.recipe_of(self.config, self.model)
        ends = self.method.cascade(self.config, self.passes)
        return recipe if ends is None else recipe.through([partial(self._network_after, end) for end in ends])

    def images_for(self, recipe: Recipe) -> ImageSet:
        """The images that chains of a recipe refer to: real ones where they have a Gram term, or an outline of them."""
        return (self.images.seen if recipe.compares(self.model) else self.images.outline).train

    def after_pass(self, number: int) -> TrainedRun:
        """The run as it was after a pass, with the same data.

        Raises:
            InputError: no checkpoint of that pass, damaged files, weights of another model.
        """
        return _read(self.folder, self.config, self.images, self.folder.end_of_pass(number))

    def _network_after(self, number: int) -> Classifier:
        """The classifier as a pass left it."""
        return self.model if number == self.passes else self.after_pass(number).model


@outside_inference
def train(config: RunConfig, path: str | os.PathLike[str], *, progress: Progress | None = None) -> TrainedRun:
    """Trains by the method that the configuration is of, into a new run folder.

    Raises:
        InputError: settings, data or folder that cannot be used, or a folder that another process writes into.
    """
    check(config)
    if os.fspath(path).startswith(PREFIX):
        raise InputError(f"{path} names a run that comes with the package; give another folder")
    images = _run_images(config, load(config.data))
    config.check_against(images.splits.train)
    check_training_fits(config, images.outline, device())
    model = build_network(config, images.outline)
    folder = RunFolder.create(path, method_of(config).name, to_plain(config), images=fingerprint_of(images.splits))
    return _continue(folder, config, images, model, progress)


@outside_inference
def resume(path: str | os.PathLike[str], *, method: str | None = None, progress: Progress | None = None) -> TrainedRun:
    """Continues a run as it was configured; a finished one returns at once.

    Args:
        method: of the run; None for whatever it is.

    Raises:
        InputError: no run there or one of another method, damaged files, data that changed, another process at it.
    """
    folder, config = _open(path)
    own = method_of(config).name
    if method not in (None, own):
        again = f"stic-fast train {own} --resume {shlex.quote(str(folder.path))}"
        raise InputError(f"{folder.path} is a run of method {own!r}; continue it with {again}")
    if isinstance(folder, PretrainedFolder):
        raise InputError(f"{folder.address} holds weights alone, and no training goes on from them; train a new run")
    images = _run_images(config, _images(folder, config.data))
    check_training_fits(config, images.outline, device())
    return _continue(folder, config, images, build_network(config, images.outline), progress)


@outside_inference
def open_run(path: str | os.PathLike[str], *, pass_number: int | None = None, data: str | None = None) -> TrainedRun:
    """The classifier of a run's newest checkpoint, or as it was after a pass, with its data.

    Args:
        path: the run's folder; or `pretrained:NAME`, whose images are loaded when something asks for them.
        data: where its images lie, as `stic_fast.data.load` takes it; where they were when it was trained if None.

    Raises:
        InputError: no run there, no checkpoint yet, damaged files, weights of another model, data that changed.
    """
    folder, config = _open(path)
    checkpoint = folder.newest_checkpoint() if pass_number is None else folder.end_of_pass(pass_number)
    if data is not None:
        config = replace(config, data=data)
        images = _run_images(config, _images(folder, data, "are not those that {} was trained on; give these"))
    elif isinstance(folder, PretrainedFolder):
        about = folder.about
        images = RunImages(
            about.class_names,
            about.image_shape,
            lambda: _images(folder, config.data),
            at_hand=not config.data.endswith(":"),
        )
    else:
        images = _run_images(config, _images(folder, config.data))
    return _read(folder, config, images, checkpoint)


def build_network(config: RunConfig, splits: Splits) -> Classifier:
    """The classifier of a configuration, its weights drawn from the seed."""
    return method_of(config).build(config, splits)


def device() -> torch.device:
    """Where runs train and draw: the first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fingerprint_of(splits: Splits) -> str:
    """SHA-256, in hexadecimal, of a run's images, training and test, with their labels and the names of the classes."""
    train, test = splits.train, splits.test
    return fingerprint({"classes": list(train.class_names)}, train.images, train.labels, test.images, test.labels)


def _open(path: str | os.PathLike[str]) -> tuple[RunFolder, RunConfig]:
    folder = folder_of(path)
    method, plain = folder.read_config()
    if method not in METHODS:
        hint = "install the package that provides it, or give its class to stic_fast.training.register_method"
        raise InputError(f"{folder.path} is a run of method {method!r}, which is not known here; {hint}")
    config = from_plain(METHODS[method].settings, plain, str(folder.source / CONFIG))
    check(config)
    return folder, config


def _images(folder: RunFolder, data: str, otherwise: str = CHANGED) -> Splits:
    """The run's images, as they were when it began.

    Args:
        otherwise: what to say of other images, with the run in the place of the braces.
    """
    if isinstance(folder, PretrainedFolder) and data.endswith(":"):
        raise InputError(
            f"this takes the images that {folder.address} was trained on, which do not come with it; give --data "
            f"{data}PATH, or in Python load(..., data='{data}PATH')"
        )
    splits, wanted = load(data), folder.images()
    if wanted is not None and wanted != fingerprint_of(splits):
        raise InputError(f"the images of {data} {otherwise.format(folder.address)}")
    return splits


def _read(folder: RunFolder, config: RunConfig, images: RunImages, checkpoint: Checkpoint) -> TrainedRun:
    model = build_network(config, images.outline)
    load_weights(model, checkpoint.load_weights(), str(checkpoint.path))
    passes = checkpoint.pass_number - (checkpoint.iteration is not None)
    return TrainedRun(folder, config, images, model.to(device()), passes)


def _run_images(config: RunConfig, splits: Splits) -> RunImages:
    return RunImages.of(splits, labelled=method_of(config).labelled)


def _continue(
    folder: RunFolder, config: RunConfig, images: RunImages, model: Classifier, progress: Progress | None
) -> TrainedRun:
    with folder.one_writer():
        model, images = model.to(device()), _run_images(config, images.splits.to(device()))
        Engine(model, method_of(config)(model, images.seen, config), config, folder, progress).train()
    return TrainedRun(folder, config, images, model, folder.newest_checkpoint().pass_number)
