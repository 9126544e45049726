# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast evaluate`: a trained run's drawn images and its classifier, in numbers: evaluation.json and a table."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console
from rich.table import Table
from safetensors.torch import save
from torch import Tensor

from stic_fast import __version__
from stic_fast.cli.progress import RichProgress
from stic_fast.counts import check_count
from stic_fast.data import load
from stic_fast.errors import InputError
from stic_fast.evaluation.class_scores import cls_g
from stic_fast.evaluation.drawn_images import DrawnImages
from stic_fast.evaluation.features import metric_name
from stic_fast.evaluation.image_scores import ReferenceImages, Score, image_scores
from stic_fast.evaluation.judges import load_judge
from stic_fast.evaluation.nearest import nearest_distances
from stic_fast.evaluation.outliers import outlier_sets, uniform_noise
from stic_fast.evaluation.records import (
    attack_record,
    chosen,
    classifier_record,
    image_rows,
    outlier_record,
    sweep_rows,
)
from stic_fast.models import Layout, Precision
from stic_fast.training import Drawing, TrainedRun, open_run
from stic_fast.whole_file import whole_file

OUTLIER_SCORES = "outlier_scores.safetensors"
"""The scores behind the AUROCs, float64 (N,), named SCORE/SET; in the run's folder `evaluation`."""
PARTS = ("images", "classifier", "outliers", "attacks")


@dataclass(frozen=True)
class Evaluate:
    """Judge a trained run: its drawn images, and the classifier itself."""

    # Folder of a trained run.
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    # Who reads the images: cnn, trained on the run's real data; resnet20:PATH; torchscript:PATH?OPTIONS.
    judge: str = "cnn"
    # Images to draw, spread evenly over the classes; kept in the run's folder, so that a killed evaluation goes on.
    n: int = 1000
    # What to evaluate, with commas between: images, classifier, outliers, attacks.
    metrics: str = ",".join(PARTS)
    # Of the noise of the chains, and of everything else that is drawn.
    seed: int = 0
    # Steps of each chain; None for as many as the run is configured for.
    steps: int | None = None
    # Test images that are attacked; the strongest attacks take hundreds of passes over them.
    attacked: int = 100
    # Other image sets to tell from the run's, as --data names them, with commas between.
    others: str | None = None
    # Images at a time; no number depends on it beyond its last digits.
    batch_size: int = 250
    # Iterations of the cnn judge's training.
    judge_iterations: int = 600
    # Of the network's passes: fp32, bf16, or auto; None for as configured.
    precision: Precision | None = None
    # Of the network's weights: plain, channels_last, or packed; None for as configured.
    layout: Layout | None = None

    def execute(self) -> None:
        """Draws what is missing, judges, writes and tells."""
        for name, value in (("n", self.n), ("attacked", self.attacked), ("judge-iterations", self.judge_iterations)):
            check_count(f"--{name}", value)
        parts = self._parts()
        started, progress = time.perf_counter(), RichProgress()
        run = open_run(self.run)
        drawing = Drawing(run, self.seed, self.steps, self.batch_size, self.precision, self.layout)
        record: dict[str, Any] = {
            "version": __version__,
            "command": self._command(),
            "seed": self.seed,
            "checkpoint": run.folder.newest_checkpoint().path.name,
            "seconds": {},
        }
        for part in parts:
            begun = time.perf_counter()
            record[part] = {
                "images": lambda: self._images(run, drawing, progress),
                "classifier": lambda: self._classifier(run),
                "outliers": lambda: self._outliers(run),
                "attacks": lambda: self._attacks(run),
            }[part]()
            record["seconds"][part] = round(time.perf_counter() - begun, 1)
        record["seconds"]["all"] = round(time.perf_counter() - started, 1)
        file = run.folder.write_json("evaluation.json", record)
        tell(record)
        progress.say(f"numbers: {file}")
        progress.say(f"next:    stic-fast report {shlex.quote(str(self.run))}")

    def _parts(self) -> list[str]:
        asked = [part.strip() for part in self.metrics.split(",") if part.strip()]
        unknown = [part for part in asked if part not in PARTS]
        if unknown or not asked:
            raise InputError(
                f"--metrics must name some of {', '.join(PARTS)}, got {self.metrics!r}; leave it out for all"
            )
        return [part for part in PARTS if part in asked]

    def _command(self) -> str:
        changed = [
            f"--{name.replace('_', '-')} {shlex.quote(str(value))}"
            for name, value in vars(self).items()
            if name != "run" and value != type(self).__dataclass_fields__[name].default
        ]
        return " ".join(["stic-fast evaluate", shlex.quote(str(self.run)), *changed])

    def _images(self, run: TrainedRun, drawing: Drawing, progress: RichProgress) -> dict[str, Any]:
        train, test, classes = run.splits.train, run.splits.test, run.model.num_classes
        with progress.task("training a judge on real images", self.judge_iterations) as advance:
            judge = load_judge(
                self.judge,
                train.images,
                train.labels,
                classes,
                seed=self.seed,
                iterations=self.judge_iterations,
                progress=lambda *_: advance(),
                say=progress.say,
            )
        drawn = self._drawn(run, drawing, progress)
        reference = ReferenceImages.of(judge, train.images, most=self.n, seed=self.seed, batch_size=self.batch_size)
        settings: dict[str, Any] = {"num_classes": classes, "seed": self.seed, "batch_size": self.batch_size}
        scores, sweep = image_scores(judge, reference, (part for part, _ in drawn), drawn.labels(), **settings)
        real, real_labels = chosen(test.images, test.labels, self.n, self.seed)
        real_scores, real_sweep = image_scores(judge, reference, real, real_labels, **settings)
        noise = uniform_noise(self.n, train.image_shape, seed=self.seed)
        noise_scores, _ = image_scores(judge, reference, noise, drawn.labels(), **settings)
        learnt = self._learnt_from(run, drawn, progress)
        scores["Cls_G"], real_scores["Cls_G"] = learnt
        names = {name: metric_name(name, judge.name, self.n) for name in scores}
        return {
            "judge": {"name": judge.name, "accuracy": _accuracy(real_scores)},
            "n": self.n,
            "steps": self._steps(run),
            "n_real": len(real),
            "rows": image_rows(scores, real_scores, noise_scores, names),
            "sweep": {"drawn": sweep_rows(sweep), "real": sweep_rows(real_sweep)},
            "nearest": self._nearest(run, drawn, real),
        }

    def _steps(self, run: TrainedRun) -> int:
        return run.config.sampler.steps if self.steps is None else self.steps

    def _drawn(self, run: TrainedRun, drawing: Drawing, progress: RichProgress) -> DrawnImages:
        steps, checkpoint = self._steps(run), run.folder.newest_checkpoint().path.name
        about = {
            "checkpoint": checkpoint,
            "seed": self.seed,
            "steps": steps,
            "precision": self.precision,
            "layout": self.layout,
        }
        folder = drawn_folder(self.run, checkpoint, self.seed, steps)
        drawn = DrawnImages(folder, self.n, num_classes=run.model.num_classes, about=about)
        drawn.complete(lambda rows: drawing.of_numbers(rows, progress))
        return drawn

    def _learnt_from(self, run: TrainedRun, drawn: DrawnImages, progress: RichProgress) -> tuple[Score, Score]:
        """Cls_G of the drawn images, and of as many real training images."""
        test, train = run.splits.test, run.splits.train
        found = []
        for what, (images, labels) in (
            ("drawn", drawn.all()),
            ("real", chosen(train.images, train.labels, self.n, self.seed)),
        ):
            with progress.task(f"training a judge on {what} images", self.judge_iterations) as advance:
                value = cls_g(
                    images,
                    labels,
                    test.images,
                    test.labels,
                    num_classes=run.model.num_classes,
                    seed=self.seed,
                    iterations=self.judge_iterations,
                    progress=lambda *_, advance=advance: advance(),
                )
            found.append(Score(value))
        return found[0], found[1]

    def _nearest(self, run: TrainedRun, drawn: DrawnImages, real: Tensor) -> dict[str, float]:
        train = run.splits.train.images.cpu()
        distances = torch.cat([nearest_distances(part, train) for part, _ in drawn])
        return {"drawn": float(distances.mean()), "real": float(nearest_distances(real, train).mean())}

    def _classifier(self, run: TrainedRun) -> dict[str, Any]:
        test = run.splits.test
        return classifier_record(run.model, test.images, test.labels, run.model.num_classes, self.batch_size)

    def _outliers(self, run: TrainedRun) -> dict[str, Any]:
        images, _ = chosen(run.splits.test.images, run.splits.test.labels, self.n, self.seed)
        others = {spec: load(spec).test.images for spec in (self.others.split(",") if self.others else ())}
        sets = outlier_sets(images, seed=self.seed, others=others)
        record, scores = outlier_record(
            run.model, images, sets, run.model.num_classes, self.batch_size, run.splits.test.name
        )
        file = self.run / "evaluation" / OUTLIER_SCORES
        file.parent.mkdir(exist_ok=True)
        with whole_file(file) as target:
            target.write(
                save({f"{key}/{name}": values for key, each in scores.items() for name, values in each.items()})
            )
        return record

    def _attacks(self, run: TrainedRun) -> dict[str, Any]:
        images, labels = chosen(run.splits.test.images, run.splits.test.labels, self.attacked, self.seed)
        return attack_record(
            run.model, images, labels, run.model.num_classes, seed=self.seed, batch_size=self.batch_size
        )


def drawn_folder(run: Path, checkpoint: str, seed: int, steps: int) -> Path:
    """Where an evaluation keeps the images that it draws."""
    return run / "evaluation" / f"drawn_{checkpoint}_seed{seed}_steps{steps}"


def tell(record: Mapping[str, Any]) -> None:
    """The record as tables on the terminal."""
    console = Console()
    if "images" in record:
        part = record["images"]
        table = Table("score", "drawn", "real", "noise", title=f"{part['n']} drawn images, {part['n_real']} real ones")
        for row in part["rows"]:
            spread = "" if row["spread"] is None else f" ± {row['spread']:.3g}"
            table.add_row(row["name"], f"{row['drawn']:.4g}{spread}", *(_number(row[key]) for key in ("real", "noise")))
        console.print(table)
    if "classifier" in record:
        table = Table("classifier", "value", title=f"{record['classifier']['n']} real test images")
        for row in record["classifier"]["rows"]:
            table.add_row(row["name"], _number(row["value"]))
        console.print(table)
    if "outliers" in record:
        rows = record["outliers"]["rows"]
        sets = list(dict.fromkeys(row["outliers"] for row in rows))
        table = Table("AUROC", *sets)
        for score in dict.fromkeys(row["score"] for row in rows):
            table.add_row(score, *(f"{row['auroc']:.3f}" for row in rows if row["score"] == score))
        console.print(table)
    if "attacks" in record:
        part = record["attacks"]
        table = Table("attack", "accuracy", title=f"{part['n']} test images")
        for row in part["rows"]:
            table.add_row(row["attack"], f"{row['accuracy']:.3f}")
        console.print(table)
        console.print(part["masking"]["verdict"], style="bold red" if part["masking"]["masked"] else None)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _accuracy(real_scores: Mapping[str, Score]) -> float | None:
    """The judge's own accuracy on real test images, where it knows their classes."""
    return real_scores["Cls_R"].value if "Cls_R" in real_scores else None
