# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The images of a run: what is known of them at once, and the images themselves, loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from stic_fast.data import ImageSet, Splits


@dataclass(frozen=True, eq=False)
class RunImages:
    """Real images to train and to test on, by their classes and their shape.

    >>> from stic_fast.data import load
    >>> images = RunImages(("dark", "light"), (1, 8, 8), lambda: load("nowhere"))
    >>> images.outline.train
    ImageSet('outline': 2 images of (1, 8, 8), 2 classes)
    """

    class_names: tuple[str, ...]
    """Those that the run knows: "image" alone where it reads no labels."""
    image_shape: tuple[int, int, int]
    load: Callable[[], Splits]
    """Loads them; raises InputError where they cannot be had."""
    at_hand: bool = True
    """Whether they can, if nothing happened to them."""

    @classmethod
    def of(cls, splits: Splits, *, labelled: bool = True) -> RunImages:
        """Those that are loaded already.

        Args:
            labelled: whether the run reads their labels.
        """
        names = splits.train.class_names if labelled else splits.unlabelled().train.class_names
        return cls(names, splits.train.image_shape, lambda: splits)

    @cached_property
    def splits(self) -> Splits:
        """The images themselves."""
        return self.load()

    @property
    def seen(self) -> Splits:
        """The images as the run sees them: with their labels, or all of one class."""
        return self.splits if self.class_names == self.splits.train.class_names else self.splits.unlabelled()

    @cached_property
    def outline(self) -> Splits:
        """One blank image of each class, of which nothing but class and shape means anything.

        A network is built for these, and chains without a Gram term refer to them: they are asked for classes alone,
        and so draw the same as beside real images.
        """
        images = torch.zeros(len(self.class_names), *self.image_shape, dtype=torch.uint8)
        each = ImageSet(images, torch.arange(len(images)), self.class_names, "outline")
        return Splits(each, each)
