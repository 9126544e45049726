# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What another pass is worth: images drawn with the weights of every pass, judged alike (STIC, section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.evaluation import accuracy, cls_g, nearest_distances, read_images
from stic_fast.evaluation.image_scores import MEANINGS
from stic_fast.evaluation.records import chosen
from stic_fast.plots.passes import Panel, passes_figure
from stic_fast.studies.finding import Finding
from stic_fast.studies.judged import Judged
from stic_fast.studies.pass_ends import pass_ends
from stic_fast.studies.sampling_error import error_of_distance, error_of_mean, error_of_share
from stic_fast.training import Drawing, Progress, TrainedRun, open_run

Measured = dict[str, tuple[float, float]]
"""Score and its standard error by name."""


@dataclass(frozen=True)
class Passes:
    """Judge images drawn with the weights of every pass, and the classifier of that pass."""

    # Folder of a trained run.
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    # Images drawn after each pass, the same chains every time.
    n: int = 300
    # Passes to look at at most, spread evenly over the training.
    passes: int = 11
    # Who reads the images: cnn, trained on the run's real data; resnet20:PATH; torchscript:PATH?OPTIONS.
    judge: str = "cnn"
    # Also train a judge on each set of drawn images and test it on real ones.
    cls_g: bool = False
    # Of the noise of the chains, and of everything else that is drawn.
    seed: int = 0
    # Steps of each chain; None for as many as the run is configured for.
    steps: int | None = None
    # Images at a time; no number depends on it beyond its last digits.
    batch_size: int = 250
    # Iterations of the cnn judge's training.
    judge_iterations: int = 600

    def carry_out(self, progress: Progress) -> Finding:
        """Draws and judges pass by pass.

        Raises:
            InputError: a run or an option that cannot be used.
        """
        check_count("--n", self.n, least=2)
        newest = open_run(self.run)
        ends = pass_ends(newest.folder, self.passes, first=1)
        judged = Judged.of(
            newest,
            judge=self.judge,
            n=self.n,
            seed=self.seed,
            judge_iterations=self.judge_iterations,
            batch_size=self.batch_size,
            progress=progress,
        )
        numbers = torch.arange(self.n)
        classes = numbers % newest.model.num_classes
        found: dict[int, Measured] = {}
        for end in ends:
            run = open_run(self.run, pass_number=end)
            images = Drawing(run, self.seed, self.steps, self.batch_size).of_numbers(numbers, progress)
            found[end] = self._measure(run, judged, images, classes, progress)
            test = run.splits.test
            right = accuracy(run.model, test.images, test.labels, run.model.num_classes, batch_size=self.batch_size)
            found[end]["test accuracy"] = right, error_of_share(right, len(test))
            told = ", ".join(f"{name} {value:.3g}" for name, (value, _) in found[end].items())
            progress.say(f"pass {end}: {told}")
        test, train = newest.splits.test, newest.splits.train
        floor = self._measure(newest, judged, *chosen(test.images, test.labels, self.n, self.seed), progress)
        if self.cls_g:
            learnt_from = chosen(train.images, train.labels, self.n, self.seed)
            floor["Cls_G"] = self._learnt(newest, *learnt_from, progress)
        return Finding(
            passes_figure(ends, self._panels(judged, found, floor)), self._record(newest, judged, found, floor)
        )

    def _measure(
        self, run: TrainedRun, judged: Judged, images: Tensor, classes: Tensor, progress: Progress
    ) -> Measured:
        features = read_images(judged.judge, images, batch_size=self.batch_size, keep_features=True).features
        assert features is not None
        real = judged.reference.everything.statistics
        scores = judged.scores(images, classes)
        found = {"FD": (scores["FD"].value, error_of_distance(real, features))}
        if "Cls_R" in scores:
            found["Cls_R"] = scores["Cls_R"].value, error_of_share(scores["Cls_R"].value, len(images))
        distances = nearest_distances(images, run.splits.train.images)
        found["nearest"] = float(distances.mean()), error_of_mean(distances)
        if self.cls_g:
            found["Cls_G"] = self._learnt(run, images, classes, progress)
        return found

    def _learnt(self, run: TrainedRun, images: Tensor, classes: Tensor, progress: Progress) -> tuple[float, float]:
        """Cls_G of the images, and its error by the number of test images."""
        test = run.splits.test
        with progress.task("training a judge on drawn images", self.judge_iterations) as advance:
            value = cls_g(
                images,
                classes,
                test.images,
                test.labels,
                num_classes=run.model.num_classes,
                seed=self.seed,
                iterations=self.judge_iterations,
                progress=lambda *_: advance(),
            )
        return value, error_of_share(value, len(test))

    def _panels(self, judged: Judged, found: dict[int, Measured], floor: Measured) -> list[Panel]:
        return [
            Panel(
                label,
                reading,
                [measured[key] for measured in found.values()],
                floor.get(key, (None, 0.0))[0],
                share,
            )
            for key, label, reading, share in (
                ("FD", judged.name("FD"), "Fréchet distance to real images: lower is better", False),
                ("Cls_R", judged.name("Cls_R"), "drawn images read as their class: higher is better", True),
                ("Cls_G", judged.name("Cls_G"), "judge taught by drawn, tested on real: higher is better", True),
                (
                    "nearest",
                    "nearest training image",
                    "Euclidean, pixels in [−1, 1]: far below the line, copies",
                    False,
                ),
                ("test accuracy", "test accuracy", "of the classifier after this pass: higher is better", True),
            )
            if all(key in measured for measured in found.values())
        ]

    def _record(self, run: TrainedRun, judged: Judged, found: dict[int, Measured], floor: Measured) -> dict[str, Any]:
        names = {key: judged.name(key) if key in MEANINGS else key for key in next(iter(found.values()))}
        return {
            "n": self.n,
            "judge": judged.judge.name,
            "steps": run.recipe.sampler.steps if self.steps is None else self.steps,
            "passes": [{"pass": end, **_written(measured, names)} for end, measured in found.items()],
            "real": {"n": min(self.n, len(run.splits.test)), **_written(floor, names)},
        }


def _written(measured: Measured, names: dict[str, str]) -> dict[str, dict[str, float]]:
    return {names[key]: {"value": value, "error": error} for key, (value, error) in measured.items()}
