# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast evaluate`: a trained run's drawn images and its classifier, in numbers: evaluation.json and a table."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from safetensors.torch import save

from stic_fast import __version__
from stic_fast.cli.command_line import command_line
from stic_fast.cli.evaluation_tables import tell
from stic_fast.cli.progress import RichProgress
from stic_fast.counts import Count, CountOrZero, Options, Seed
from stic_fast.data import load
from stic_fast.digests import listed_file
from stic_fast.errors import Diverged, InputError
from stic_fast.evaluation.attack_record import attack_record
from stic_fast.evaluation.drawn_images import DrawnImages
from stic_fast.evaluation.image_record import image_record
from stic_fast.evaluation.judges import judge_help
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
from stic_fast.evaluation.records import classifier_record, outlier_record, subset
from stic_fast.models import Layout, Precision
from stic_fast.studies import Judged
from stic_fast.training import ImageSampler, Progress, TrainedRun, open_run

OUTLIER_SCORES = "outlier_scores.safetensors"
"""The scores behind the AUROCs, float64 (N,), named SCORE/SET; in the run's folder `evaluation`."""


@dataclass(frozen=True)
class Evaluate(Options):
    """Judge a trained run: its drawn images, and the classifier itself."""

    # Folder of a trained run.
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    judge: Annotated[str, tyro.conf.arg(help=judge_help())] = "cnn"
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

    def execute(self) -> None:
        """Draws what is missing, judges, writes and tells."""
        self._asked()  # refused before the run is read
        run, progress = open_run(self.run), RichProgress()
        tell(self.evaluate(run, progress))
        progress.say(f"numbers: {run.folder.path / RECORD}")
        progress.say(f"next:    stic-fast report {shlex.quote(str(self.run))}")

    def evaluate(self, run: TrainedRun, progress: Progress) -> Evaluation:
        """Draws what is missing, judges, and writes the record that it returns into the run's folder.

        Args:
            run: the one in the folder, as its newest checkpoint has it.
        """
        parts, started = _applying(self._asked(), run), time.perf_counter()
        with run.folder.one_writer():
            record = self._record(run, parts, started, progress)
            run.folder.write_json(RECORD, written(record))
        return record

    def _record(self, run: TrainedRun, parts: list[str], started: float, progress: Progress) -> Evaluation:
        image_sampler = ImageSampler(run, self.seed, self.steps, self.batch_size, self.precision, self.layout)
        train, test = run.splits.train, run.splits.test
        measure: dict[str, Callable[[], Any]] = {
            "images": lambda: self._images(run, image_sampler, progress),
            "classifier": lambda: self._classifier(run),
            "outliers": lambda: self._outliers(run),
            "attacks": lambda: self._attacks(run),
        }
        found, seconds = {}, {}
        for part in parts:
            begun = time.perf_counter()
            found[part] = measure[part]()
            seconds[part] = round(time.perf_counter() - begun, 1)
        unmeasured = {name: part for name, part in found.items() if isinstance(part, Unmeasured)}
        return Evaluation(
            version=__version__,
            command=command_line(["evaluate"], self),
            method=run.folder.read_config()[0],
            data={"train": (train.name, len(train.images)), "test": (test.name, len(test.images))},
            seed=self.seed,
            checkpoint=run.folder.newest_checkpoint().path.name,
            seconds={**seconds, "all": round(time.perf_counter() - started, 1)},
            unmeasured=unmeasured,
            **{name: part for name, part in found.items() if name not in unmeasured},
        )

    def _asked(self) -> list[str]:
        asked = [part.strip() for part in self.metrics.split(",") if part.strip()]
        unknown = [part for part in asked if part not in PARTS]
        if unknown or not asked:
            raise InputError(
                f"--metrics must name some of {', '.join(PARTS)}, got {self.metrics!r}; leave it out for all"
            )
        return [part for part in PARTS if part in asked]

    def _images(self, run: TrainedRun, image_sampler: ImageSampler, progress: Progress) -> ImageScores | Unmeasured:
        judged = Judged.of(
            run,
            judge=self.judge,
            n=self.n,
            seed=self.seed,
            judge_iterations=self.judge_iterations,
            batch_size=self.batch_size,
            progress=progress,
        )
        try:
            images, labels = self._drawn(run, image_sampler, progress).all()
        except Diverged as divergence:
            return Unmeasured(note=f"no images could be drawn: {divergence}")
        return image_record(judged, images, labels, steps=image_sampler.resolved.steps, progress=progress)

    def _drawn(self, run: TrainedRun, image_sampler: ImageSampler, progress: Progress) -> DrawnImages:
        steps, checkpoint = image_sampler.resolved.steps, run.folder.newest_checkpoint().path.name
        about = {
            "checkpoint": checkpoint,
            "seed": self.seed,
            "steps": steps,
            "precision": self.precision,
            "layout": self.layout,
        }
        folder = drawn_folder(self.run, checkpoint, self.seed, steps)
        drawn = DrawnImages(folder, self.n, num_classes=run.model.num_classes, about=about)
        drawn.complete(lambda rows: image_sampler.of_numbers(rows, progress), progress.say)
        return drawn

    def _classifier(self, run: TrainedRun) -> ClassifierScores:
        test = run.splits.test
        return classifier_record(
            run.model, test.images, test.labels, run.model.num_classes, self.batch_size, seed=self.seed
        )

    def _outliers(self, run: TrainedRun) -> OutlierScores:
        images, _ = subset(run.splits.test.images, run.splits.test.labels, self.n, self.seed)
        others = {spec: load(spec).test.images for spec in (self.others.split(",") if self.others else ())}
        sets = outlier_sets(images, seed=self.seed, others=others)
        record, scores = outlier_record(
            run.model, images, sets, run.model.num_classes, self.batch_size, run.splits.test.name
        )
        file = self.run / "evaluation" / OUTLIER_SCORES
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


def _applying(asked: list[str], run: TrainedRun) -> list[str]:
    """The parts that are evaluated: of all, those that apply to the run's method.

    Raises:
        InputError: a part is asked for by name that does not.
    """
    unfit = [part for part in asked if part not in run.method.evaluation]
    if unfit and len(asked) < len(PARTS):
        known = ", ".join(run.method.evaluation)
        raise InputError(
            f"a run of {run.method.name} has no {unfit[0]} to evaluate; let --metrics name some of {known}"
        )
    return [part for part in asked if part not in unfit]
