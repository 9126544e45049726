# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""An evaluation of a run: its drawn images and its classifier in numbers, which are kept in its folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from safetensors.torch import save

from stic_fast import __version__
from stic_fast.api.command_line import command_line
from stic_fast.counts import Count, CountOrZero, Options, Seed
from stic_fast.data import load
from stic_fast.digests import listed_file
from stic_fast.errors import Diverged, InputError
from stic_fast.evaluation.drawn_images import DrawnImages
from stic_fast.evaluation.image_record import image_record
from stic_fast.evaluation.judging import Judging
from stic_fast.evaluation.outliers import outlier_sets
from stic_fast.evaluation.record_form import (
    PARTS,
    RECORD,
    AttackScores,
    ClassifierScores,
    Evaluation,
    ImageScores,
    OutlierScores,
    Unmeasured,
    written,
)
from stic_fast.evaluation.records import attack_record, classifier_record, outlier_record, subset
from stic_fast.models import Layout, Precision
from stic_fast.readable import readable
from stic_fast.training import ImageSampler, Progress, TrainedRun

OUTLIER_SCORES = "outlier_scores.safetensors"
"""The scores behind the AUROCs, float64 (N,), named SCORE/SET; in the run's folder `evaluation`."""


@dataclass(frozen=True)
class RunEvaluation(Options):
    """What of a run is evaluated, and how.

    Raises:
        InputError: a number out of its range.
    """

    prefix: ClassVar[str] = ""

    # Folder of a trained run, or pretrained:NAME.
    run: Path
    # Who reads the images: see `stic_fast.evaluation.load_judge`.
    judge: str = "cnn"
    # Images to draw, spread evenly over the classes; kept in the run's folder, so that a killed evaluation goes on.
    n: Count = 1000
    # What to evaluate, with commas between: images, classifier, outliers, attacks.
    metrics: str = ",".join(PARTS)
    # Of the noise of the chains, and of everything else that is drawn.
    seed: Seed = 0
    # Steps of each chain; None for as many as the run is configured for.
    steps: CountOrZero | None = None
    # Test images that are attacked; the strongest attacks take hundreds of passes over them.
    attacked: Count = 100
    # Of these, images on which the L2 attack of Carlini & Wagner is tried, where foolbox is installed; 0 leaves it out.
    cw: CountOrZero = 20
    # Other image sets to tell from the run's, as --data names them, with commas between.
    others: str | None = None
    # Images at a time; no number depends on it beyond its last digits.
    batch_size: Count = 250
    # Iterations of the cnn judge's training.
    judge_iterations: Count = 600
    # Of the network's passes: fp32, bf16, or auto; None for as configured.
    precision: Precision | None = None
    # Of the network's weights: plain, channels_last, or packed; None for as configured.
    layout: Layout | None = None

    def evaluate(self, run: TrainedRun, progress: Progress) -> Evaluation:
        """Draws what is missing, judges, and writes the record that it returns into the run's folder.

        Args:
            run: the one in the folder, as its newest checkpoint has it.

        Raises:
            InputError: a part that no evaluation has or that the run's method has not, or a judge that cannot be had.
        """
        if len(run.splits.train) == 1:
            raise InputError(
                f"{run.folder.address} was trained on one image, which gives no statistics; score what it draws by "
                "`stic-fast score DRAWN.png --texture SOURCE.png`"
            )
        started = time.perf_counter()
        sampler = ImageSampler(run, self.seed, self.steps, self.batch_size, self.precision, self.layout)
        measure: dict[str, Callable[[], Any]] = {
            "images": lambda: self._images(sampler, progress),
            "classifier": lambda: self._classifier(run),
            "outliers": lambda: self._outliers(run),
            "attacks": lambda: self._attacks(run),
        }
        found, seconds = {}, {}
        parts = self._applying(run)
        train, test = run.splits.train, run.splits.test  # refused, where they are not at hand, before anything is made
        with run.folder.one_writer():
            for part in parts:
                begun = time.perf_counter()
                found[part] = measure[part]()
                seconds[part] = round(time.perf_counter() - begun, 1)
            unmeasured = {name: part for name, part in found.items() if isinstance(part, Unmeasured)}
            record = Evaluation(
                version=__version__,
                command=command_line(["evaluate"], self),
                method=run.method.name,
                data={"train": (train.name, len(train.images)), "test": (test.name, len(test.images))},
                seed=self.seed,
                checkpoint=run.folder.newest_checkpoint().name,
                seconds={**seconds, "all": round(time.perf_counter() - started, 1)},
                unmeasured=unmeasured,
                **{name: part for name, part in found.items() if name not in unmeasured},
            )
            run.folder.write_json(RECORD, written(record))
        return record

    def asked(self) -> list[str]:
        """The parts that are asked for, in the order of the record."""
        asked = {part.strip() for part in self.metrics.split(",") if part.strip()}
        if not asked or not asked <= set(PARTS):
            raise InputError(
                f"{self.prefix}metrics must name some of {', '.join(PARTS)}, got {self.metrics!r}; leave it out for all"
            )
        return [part for part in PARTS if part in asked]

    def _applying(self, run: TrainedRun) -> list[str]:
        """The parts that are evaluated: those asked for by name, or of all those that apply to the run's method."""
        asked, known = self.asked(), run.method.evaluation
        unfit = [part for part in asked if part not in known]
        if unfit and len(asked) < len(PARTS):
            hint = f"let {self.prefix}metrics name some of {', '.join(known)}"
            raise InputError(f"a run of {run.method.name} has no {unfit[0]} to evaluate; {hint}")
        return [part for part in asked if part not in unfit]

    def _images(self, sampler: ImageSampler, progress: Progress) -> ImageScores | Unmeasured:
        judging = Judging.by(
            self.judge,
            sampler.run.splits,
            n=self.n,
            seed=self.seed,
            judge_iterations=self.judge_iterations,
            batch_size=self.batch_size,
            progress=progress,
        )
        try:
            images, labels = self._drawn(sampler, progress).all()
        except Diverged as divergence:
            return Unmeasured(note=f"no images could be drawn: {divergence}")
        asked = labels if sampler.run.method.labelled else None
        return image_record(judging, images, asked, steps=sampler.resolved.steps, progress=progress)

    def _drawn(self, sampler: ImageSampler, progress: Progress) -> DrawnImages:
        run, steps = sampler.run, sampler.resolved.steps
        checkpoint = run.folder.newest_checkpoint().name
        about = {"checkpoint": checkpoint, "seed": self.seed, "steps": steps}
        about |= {"precision": self.precision, "layout": self.layout}
        folder = drawn_folder(run.folder.path, checkpoint, self.seed, steps)
        drawn = DrawnImages(folder, self.n, num_classes=run.model.num_classes, about=about)
        drawn.complete(lambda rows: sampler.of_numbers(rows, progress), progress.say)
        return drawn

    def _classifier(self, run: TrainedRun) -> ClassifierScores:
        test, classes = run.splits.test, run.model.num_classes
        return classifier_record(run.model, test.images, test.labels, classes, self.batch_size, seed=self.seed)

    def _outliers(self, run: TrainedRun) -> OutlierScores:
        test, classes = run.splits.test, run.model.num_classes
        images, _ = subset(test.images, test.labels, self.n, self.seed)
        others = {readable(spec): load(spec).test.images for spec in (self.others.split(",") if self.others else ())}
        sets = outlier_sets(images, seed=self.seed, others=others)
        record, scores = outlier_record(run.model, images, sets, classes, self.batch_size, test.name)
        file = run.folder.path / "evaluation" / OUTLIER_SCORES
        file.parent.mkdir(exist_ok=True)
        with listed_file(file) as target:
            target.write(
                save({f"{key}/{name}": values for key, each in scores.items() for name, values in each.items()})
            )
        return record

    def _attacks(self, run: TrainedRun) -> AttackScores | Unmeasured:
        images, labels = subset(run.splits.test.images, run.splits.test.labels, self.attacked, self.seed)
        return attack_record(
            run.model, images, labels, run.model.num_classes, seed=self.seed, batch_size=self.batch_size, cw=self.cw
        )


def drawn_folder(run: Path, checkpoint: str, seed: int, steps: int) -> Path:
    """Where an evaluation keeps the images that it draws."""
    return run / "evaluation" / f"drawn_{checkpoint}_seed{seed}_steps{steps}"
