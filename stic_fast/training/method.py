# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A way of training: what the engine asks of it, and what all ways have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from stic_fast.data import Splits
from stic_fast.evaluation import accuracy
from stic_fast.evaluation.record_form import PARTS
from stic_fast.models import Classifier
from stic_fast.noise_addresses import PASS_ENDS
from stic_fast.plots import save_grid
from stic_fast.plots.curves import ACCURACY, LOSS, Panels
from stic_fast.sampling import ChainPool, Recipe, draw_hard, draw_images
from stic_fast.training.config import RunConfig
from stic_fast.training.network import network_of
from stic_fast.training.progress import Progress
from stic_fast.training.real_batches import RealBatches
from stic_fast.training.run_folder import RunFolder, writing
from stic_fast.training.saved_state import restore_pool

GRID_COLUMNS = 10

Settings = TypeVar("Settings", bound=RunConfig)


class Loss(NamedTuple):
    """What a method returns for one iteration: the number to descend, and terms to log."""

    total: Tensor | Mapping[str, Tensor]
    """For several parts of the model a number for each; a part without one rests in this iteration."""
    terms: dict[str, Tensor]


class Method(Generic[Settings]):
    """The base of all methods. A subclass supplies its loss and, if it draws while it trains, a pool of chains.

    Args:
        model: the classifier in training, as `build` makes it.
        splits: real images on the model's device.
        config: the run's settings.
    """

    name: ClassVar[str]
    """As config.json and the command line have it."""
    summary: ClassVar[str]
    """What it trains, in a line: the help of `stic-fast train METHOD` after the word "Train"."""
    settings: ClassVar[type[RunConfig]]
    """Its configuration, which no other method has."""
    presets: ClassVar[Mapping[str, Any]]
    """Settings by name, the first to start from by default. A data source that ends in its colon waits for a path."""
    curves: ClassVar[Panels] = (LOSS, ACCURACY)
    """What the figure of its training shows of the terms that it logs."""
    evaluation: ClassVar[Sequence[str]] = tuple(PARTS)
    """The parts of an evaluation that apply to it."""
    labelled: ClassVar[bool] = True
    """Whether it reads the labels of its images; all images are of one class to it if not."""

    def __init__(self, model: Classifier, splits: Splits, config: Settings) -> None:
        self.model, self.splits, self.config = model, splits, config
        self.real = RealBatches(splits.train, config, model.num_logits)
        self.recipe = self.recipe_of(config, model)
        self.pool: ChainPool | None = None

    @staticmethod
    def build(config: Any, splits: Splits) -> Classifier:
        """The classifier before training, its weights drawn from the seed.

        Of the images it may ask for the classes and the shape alone: a run that is opened has no more of them at hand.
        """
        return network_of(config.network, splits, seed=config.seed)

    @classmethod
    def recipe_of(cls, config: Any, model: Classifier, *, fakes: bool = False) -> Recipe:
        """How finished images are drawn, or the fakes that the method draws while it trains."""
        return Recipe(config.sampler)

    @classmethod
    def cascade(cls, config: Any, passes: int) -> Sequence[int] | None:
        """The passes, of so many, whose networks finished images go through, one after the other; None for the last."""
        return None

    def parts(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """The parts of the model that are trained, each by an optimiser of its own: all of it by one."""
        return {"model": self.model.parameters()}

    def finished(self) -> bool:
        """Whether the run ends here, asked at the end of each pass; a function of what the method saves."""
        return False

    def start_pass(self, pass_number: int, progress: Progress) -> list[dict[str, Any]]:
        """Prepares the pass, counted from 1; returns records to log."""
        return []

    def loss(self, iteration: int) -> Loss:
        """The loss of one iteration, counted over the whole run from 0."""
        raise NotImplementedError(f"{type(self).__name__} does not define its loss")

    def end_pass(self, pass_number: int, run: RunFolder, progress: Progress) -> list[dict[str, Any]]:
        """Test accuracy, and a grid of fresh samples, one class a row; returns records to log."""
        train, test, classes = self.splits.train, self.splits.test, self.model.num_classes
        with progress.task(f"samples after pass {pass_number}", self.recipe.steps) as advance:
            asked = torch.arange(classes, device=train.labels.device).repeat_interleave(GRID_COLUMNS)
            ids = PASS_ENDS.ids(len(asked), device=train.labels.device)
            drawn = draw_images(
                self.model,
                self.recipe,
                draw_hard(train.labels, asked, ids, references=self.recipe.references, seed=self.config.seed),
                train.images,
                train.labels,
                seed=self.config.seed,
                chain_ids=ids,
                on_step=advance,
            )
        path = run.picture("samples", f"pass_{pass_number:03d}.png")
        with writing(path):
            save_grid(path, drawn.cpu(), columns=GRID_COLUMNS, row_labels=train.class_names)
        score = accuracy(self.model, test.images, test.labels, classes)
        progress.say(f"pass {pass_number}: test accuracy {score:.3f}, samples in {path}")
        return [{"kind": "evaluation", "test_accuracy": score}]

    def state_dict(self) -> dict[str, Any]:
        """What the method carries from iteration to iteration, and a checksum of the training images."""
        pool = None if self.pool is None else self.pool.state_dict()
        return {"pool": pool, "checksum": self.real.checksum}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts it back.

        Raises:
            InputError: the training images are not those of the saved state.
            Misfit: it is of another form.
        """
        self.real.check_unchanged(state["checksum"])
        self.pool = None
        if state["pool"] is not None:
            self.pool = self.new_pool()
            restore_pool(self.pool, state["pool"], images=len(self.splits.train.labels))

    def new_pool(self) -> ChainPool:
        """The chains that the method draws while it trains, as they begin."""
        raise NotImplementedError(f"{type(self).__name__} draws no chains while it trains")
