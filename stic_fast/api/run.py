# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A trained run, and what it can be asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stic_fast.api.animation import animation_of
from stic_fast.api.arguments import (
    AnyClass,
    AnyImages,
    class_number,
    class_numbers,
    image_batch,
    nearest_names,
)
from stic_fast.api.counterfactual import Counterfactual, nearest_images
from stic_fast.api.evaluation import RunEvaluation
from stic_fast.api.images import Images
from stic_fast.api.inpainting import drawn_into
from stic_fast.api.led_back import led_back
from stic_fast.counts import check_count
from stic_fast.errors import InputError
from stic_fast.evaluation import out_of_distribution
from stic_fast.evaluation.judge import predict_logits
from stic_fast.evaluation.record_form import Evaluation
from stic_fast.models import Layout, Precision, ScoreClassifier
from stic_fast.pixels import to_bytes
from stic_fast.sampling.sampler import OnStep
from stic_fast.training import ImageSampler, Progress, TrainedRun, open_run


def load(run: str | os.PathLike[str], *, pass_number: int | None = None, data: str | None = None) -> Run:
    """The run in a folder, as its newest checkpoint has it or as it was after a pass; or one that comes with stic_fast.

    Args:
        run: the run's folder, or `pretrained:NAME`.
        pass_number: counted from 1; None for the newest checkpoint.
        data: where the run's images lie, as `train` takes it; None for where they were when it was trained. Those of a
            pretrained run are loaded when they are asked for, and some do not come with it.

    Raises:
        InputError: no run there, no checkpoint yet, damaged files, or data that changed.

    >>> load("nowhere")
    Traceback (most recent call last):
    ...
    stic_fast.errors.InputError: nowhere does not exist; give the folder of a run, as `stic-fast train` printed it
    """
    return Run.of(open_run(run, pass_number=pass_number, data=data))


class Run(TrainedRun):
    """A trained run: a classifier that draws, with its settings and its data. `load` and `train` return it.

    Images are handed in as uint8 or as floats in [−1, 1], tensors or arrays, (N, C, H, W), or (C, H, W) for one.
    Classes are handed in by name or by number.

    >>> import tempfile
    >>> from stic_fast import train
    >>> with tempfile.TemporaryDirectory() as folder:  # hardly trained
    ...     run = train("softmax", out=f"{folder}/run", passes=1, iterations=1, sampler={"steps": 2})
    >>> run.sample(["3", 8], n=2)
    Images((4, 1, 8, 8), uint8, {'3': 2, '8': 2})
    >>> image = run.splits.test.images[3]
    >>> run.counterfactual(image, to="8").after.shape, run.predict(image).shape
    (torch.Size([1, 1, 8, 8]), torch.Size([1]))
    >>> run.log_density(image).dtype
    torch.float64
    """

    @classmethod
    def of(cls, run: TrainedRun) -> Run:
        """The same run with these methods."""
        return cls(**{field.name: getattr(run, field.name) for field in fields(TrainedRun)})

    def __repr__(self) -> str:
        shape, classes = self.image_shape, len(self.class_names)
        return f"Run({self.folder.address!r}: {self.method.name}, {classes} classes of {shape} images)"

    def after_pass(self, number: int) -> Run:
        """The run as it was after a pass, with the same data.

        Raises:
            InputError: no checkpoint of that pass, or damaged files.
        """
        return Run.of(super().after_pass(number))

    def sample(
        self,
        labels: AnyClass | Iterable[AnyClass] | None = None,
        n: int = 1,
        *,
        seed: int = 0,
        steps: int | None = None,
        batch_size: int = 250,
        precision: Precision | None = None,
        layout: Layout | None = None,
        animate: str | os.PathLike[str] | None = None,
        frames: int | None = None,
        on_step: OnStep | None = None,
        progress: Progress | None = None,
    ) -> Images:
        """Draws images, as `stic-fast sample` does; the j-th of a class depends on class, seed and j alone.

        Args:
            labels: one class, several, or (None) all, in any order and any number of times.
            n: images of each.
            seed: of all noise.
            steps: of each chain; the run's own if None.
            batch_size: images drawn at a time; they do not depend on it.
            precision, layout: of the network's passes, see `stic_fast.models.FixedPasses`; the run's own if None.
            animate: FILE.webp or FILE.gif, in which an animation is written too: how the images come out of noise.
            frames: pictures of the animation, evenly along the chains; None for 40, or for one a step where chains
                have fewer.
            on_step: called with the state of a batch of chains after each step, see `stic_fast.sampling.ChainState`.
            progress: told how far it is; silent if None.

        Returns:
            uint8 (n·labels, C, H, W), in the order of the labels, on the CPU.

        Raises:
            InputError: no such class, a number out of its range, or another kind of file.
            Diverged: chains left the finite numbers.
            OSError: the animation cannot be written.
        """
        check_count("n", n)
        sampler = ImageSampler(self, seed, steps, batch_size, precision, layout, on_step=on_step)
        classes = class_numbers(labels, self.class_names).repeat_interleave(n)
        animation = animation_of(animate, sampler, classes, frames)
        if not animation:
            return Images(sampler.of_classes(classes, progress or Progress()), classes, self.class_names)
        images = animation.draw(progress or Progress())
        animation.save()
        return Images(images, classes, self.class_names)

    def counterfactual(
        self,
        image: AnyImages,
        to: AnyClass,
        *,
        confidence: float = 0.5,
        noise: float | None = None,
        seed: int = 0,
        steps: int | None = None,
        batch_size: int = 250,
        on_step: OnStep | None = None,
        progress: Progress | None = None,
    ) -> Counterfactual:
        """The nearest image that the classifier calls `to`, of those between an image and the run's own chain from it.

        The chain of samples of class `to` starts at the image and not at noise. After each step the nearest image on
        the line from the original to the chain's state is looked for that the classifier gives `to` with enough
        confidence; the nearest of all steps is returned. What comes of an image does not depend on those beside it.

        Where chains go through noise levels, as those of Score-STIC do, the image is given noise and the chain leads it
        back as class `to`; what it ends with is returned, from the lowest level that was enough.

        Args:
            image: one, or several.
            to: the class that they are to be called.
            confidence: p(to|x) from which on an image is called so, above 0 and below 1, by the softmax over the real
                classes.
            noise: Score-STIC: the one level to try, in units of [−1, 1]; None for levels from 0.5 to 8.
            seed, steps, batch_size, on_step, progress: as for `sample`.

        Raises:
            InputError: images of another shape or kind, no such class, a number out of its range, or noise for a run
                whose chains go through no noise levels.
            Diverged: chains left the finite numbers.
        """
        batch = image_batch(image, self.image_shape)
        start = (batch if batch.dtype == torch.uint8 else to_bytes(batch)).cpu()
        sampler = ImageSampler(self, seed, steps, batch_size, on_step=on_step)
        wanted = class_number(to, self.class_names)
        options: dict[str, Any] = {"confidence": confidence, "progress": progress or Progress()}
        if noise is None and sampler.resolved.noise_range is None:
            return nearest_images(sampler, start, wanted, **options)
        return led_back(sampler, start, wanted, noise=noise, **options)

    def inpaint(
        self,
        images: AnyImages,
        mask: Tensor | NDArray[np.bool_],
        labels: AnyClass | Iterable[AnyClass],
        *,
        seed: int = 0,
        steps: int | None = None,
        batch_size: int = 250,
        on_step: OnStep | None = None,
        progress: Progress | None = None,
    ) -> Images:
        """Draws parts of images anew, so that they fit the rest and the class; of Score-STIC.

        The other pixels keep their values. What is under the mask in the images given makes no difference.

        Args:
            images: one, or several.
            mask: bool, True where pixels are to be drawn; (H, W) for all alike, or a shape that broadcasts with the
                images.
            labels: the class of all, or one for each.
            seed, steps, batch_size, on_step, progress: as for `sample`.

        Returns:
            uint8 (N, C, H, W), on the CPU.

        Raises:
            InputError: images or a mask of another shape or kind, no such class, another number of them, a number out
                of its range, or a run whose chains go through no noise levels.
            Diverged: chains left the finite numbers.
        """
        batch = image_batch(images, self.splits.train.image_shape).cpu()
        classes = class_numbers(labels, self.class_names)
        sampler = ImageSampler(self, seed, steps, batch_size, on_step=on_step)
        return Images(*drawn_into(sampler, batch, mask, classes, progress or Progress()), self.class_names)

    def logits(self, x: AnyImages, *, batch_size: int = 250) -> Tensor:
        """The classifier's logits, float32 (N, classes), with one more of a fake class; on the CPU.

        Args:
            x: images.
            batch_size: images per pass.

        Raises:
            InputError: images of another shape or kind, or a batch size below 1.
        """
        return predict_logits(self.model, image_batch(x, self.image_shape), batch_size=batch_size)

    def predict(self, x: AnyImages, *, batch_size: int = 250) -> Tensor:
        """The class of each image as the classifier reads it, int64 (N,). Arguments and errors as for `logits`."""
        return self.model.class_logits(self.logits(x, batch_size=batch_size)).argmax(dim=1)

    def log_density(self, x: AnyImages, *, batch_size: int = 250) -> Tensor:
        """log p(x) up to a constant, an outlier score: the lower, the less like the training images.

        It is the logsumexp of the classes' logits (JEM's reading of a classifier). Arguments and errors as for
        `logits`.

        Returns:
            float64 (N,) in nats.
        """
        logits = self.logits(x, batch_size=batch_size)
        return out_of_distribution.log_density(logits, self.model.num_classes)

    def fake_probability(self, x: AnyImages, *, batch_size: int = 250) -> Tensor:
        """p(fake|x), an outlier score of methods with a fake class, such as STIC: the higher, the less real.

        Arguments and errors as for `logits`.

        Returns:
            float64 (N,), from 0 to 1.

        Raises:
            InputError: the classifier has no fake class.
        """
        if not self.model.has_fake_class:
            hint = "use log_density, which all have"
            raise InputError(f"a classifier trained by {self.method.name} has no fake class; {hint}")
        logits = self.logits(x, batch_size=batch_size)
        return (-out_of_distribution.real_log_odds(logits, self.model.num_classes)).sigmoid()

    def score_norm(self, x: AnyImages, *, batch_size: int = 250) -> Tensor:
        """‖s(x, σ)‖, an outlier score of Score-STIC: the higher, the less like the training images.

        Arguments and errors as for `logits`.

        Returns:
            float64 (N,), see `stic_fast.evaluation.out_of_distribution.score_norm`.

        Raises:
            InputError: the classifier knows no score.
        """
        if not isinstance(self.model, ScoreClassifier):
            hint = "use log_density, which all have"
            raise InputError(f"a classifier trained by {self.method.name} knows no score; {hint}")
        images = image_batch(x, self.image_shape)
        return out_of_distribution.score_norm(self.model, images, batch_size=batch_size)

    def evaluate(self, *, progress: Progress | None = None, **options: Any) -> Evaluation:
        """Judges drawn images and the classifier, as `stic-fast evaluate` does, and writes evaluation.json.

        Drawn images are kept in the run's folder, so that an evaluation that was stopped goes on. A pretrained run has
        the folder pretrained-NAME in the current one.

        Args:
            progress: told how far it is; silent if None.
            options: those of the command, such as judge="cnn", n=1000, metrics="images,classifier" or seed=0.

        Returns:
            The record that is written.

        Raises:
            InputError: an option that there is not or out of its range, a judge that cannot be had, a folder that
                cannot be written, or weights other than the newest checkpoint's, which is what is judged.
        """
        known = [field.name for field in fields(RunEvaluation) if field.name != "run"]
        for name in options:
            if name not in known:
                raise InputError(f"an evaluation has no option {name!r}; did you mean {nearest_names(name, known)}?")
        self._check_newest()
        return RunEvaluation(Path(self.folder.address), **options).evaluate(self, progress or Progress())

    def _check_newest(self) -> None:
        newest, own = self.folder.newest_checkpoint().load_weights(), self.model.state_dict()
        if newest.keys() != own.keys() or not all(torch.equal(own[name].cpu(), newest[name]) for name in newest):
            raise InputError(
                "evaluate judges the newest checkpoint, and these weights are others; load the run again without a pass"
            )
