# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast demo`: trains on scikit-learn's digits, draws new ones, and has them judged."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stic_fast import __version__
from stic_fast.api.image_files import write_images
from stic_fast.cli.drawing import spread
from stic_fast.cli.interpolate import even_shares, save_paths
from stic_fast.cli.progress import RichProgress
from stic_fast.cli.terminal import console, say, table
from stic_fast.cli.train import resumable, resumed
from stic_fast.counts import Options, Seed
from stic_fast.errors import InputError
from stic_fast.evaluation import accuracy, cls_g, cls_r, nearest_distances, train_judge
from stic_fast.training import METHODS, ImageSampler, Progress, RunFolder, TrainedRun, train
from stic_fast.training.config import RunConfig, from_plain

SHOWN = 10  # drawn images of each class in samples.png
PATHS, FRAMES = 8, 9  # of interpolation.png
START, END = 3, 8  # its classes
SCORES = "demo.json"
"""Not evaluation.json, which is what `stic-fast evaluate` writes, of this run as of any other."""


@dataclass(frozen=True)
class Scale:
    """How much a demo does."""

    settings: RunConfig
    images_per_class: int
    judge_iterations: int


METHOD = METHODS["score-stic"]
DIGITS = METHOD.presets["digits"]
FULL = Scale(DIGITS, images_per_class=100, judge_iterations=600)
SHORT = Scale(
    replace(
        DIGITS,
        passes=2,
        iterations=100,
        sampler=replace(DIGITS.sampler, steps=10),
    ),
    images_per_class=20,
    judge_iterations=150,
)


@dataclass(frozen=True)
class Demo(Options):
    """Train on scikit-learn's 8x8 digits, draw new ones, have them judged, and leave pictures and numbers."""

    # New folder for everything; it is a run's folder, which sample and interpolate take.
    out: Path = Path("stic-demo")
    # A smaller run of less than a minute, to see that everything works.
    short: bool = False
    # Of all randomness.
    seed: Seed = 0
    # Folder of a demo to go on with, as it was configured; takes no other option.
    resume: Path | None = None

    def execute(self) -> None:
        """Trains, draws, judges, and says where everything is."""
        started = time.perf_counter()
        progress = RichProgress()
        path = self.resume or self.out
        with resumable(path, "stic-fast demo"):
            run, scale = self._trained(path, progress)
            with run.folder.one_writer():
                scores = _drawn_and_judged(run, scale, progress)
                scores["seconds"] = round(time.perf_counter() - started, 1)
                run.folder.write_json(SCORES, {**scores, "version": __version__})
        _tell(path, scores)

    def _trained(self, path: Path, progress: RichProgress) -> tuple[TrainedRun, Scale]:
        if (path / SCORES).exists():
            raise InputError(f"{path} holds a finished demo; look at its pictures, or give another folder with --out")
        if self.resume is not None:
            scale = _scale_of(path)
            run = resumed(path, progress)
        else:
            if (path / "config.json").exists():
                hint = f"continue it with stic-fast demo --resume {shlex.quote(str(path))}"
                raise InputError(f"{path} holds an unfinished run; {hint}, or give another folder with --out")
            scale = SHORT if self.short else FULL
            run = train(replace(scale.settings, seed=self.seed), path, progress=progress)
        return run, scale


def _drawn_and_judged(run: TrainedRun, scale: Scale, progress: Progress) -> dict[str, Any]:
    """The demo's pictures, and its numbers."""
    path, image_sampler = run.folder.path, ImageSampler(run, run.config.seed)
    labels = spread(range(run.model.num_classes), scale.images_per_class * run.model.num_classes)
    drawn = image_sampler.of_classes(labels, progress)
    first = (torch.arange(len(labels)) % scale.images_per_class) < SHOWN
    write_images(path / "samples.png", drawn[first], labels[first], run.class_names)
    shares = even_shares(FRAMES)
    paths = image_sampler.of_paths(START, END, PATHS, shares, progress)
    save_paths(path / "interpolation.png", paths, shares, str(START), str(END))
    scores = judged(run, drawn, labels, scale.judge_iterations, progress)
    return {**scores, "seed": run.config.seed, "n": len(labels)}


def judged(run: TrainedRun, drawn: Tensor, labels: Tensor, iterations: int, progress: Progress) -> dict[str, Any]:
    """The classifier's test accuracy, and the drawn images' Cls_R and Cls_G, all as shares from 0 to 1.

    The judge of Cls_R learns from the real training images alone; that of Cls_G from the drawn images alone, and reads
    the real test images. Beside them, how near the drawn and the test images lie to the training images: much nearer
    would be copies.
    """
    real, test, classes, seed = run.splits.train, run.splits.test, run.model.num_classes, run.config.seed
    with progress.task("training a judge on real images", iterations) as advance:
        options: dict[str, Any] = {"iterations": iterations, "seed": seed, "progress": lambda *_: advance()}
        judge = train_judge(real.images, real.labels, classes, **options)
    with progress.task("training a judge on drawn images", iterations) as advance:
        generative = cls_g(drawn, labels, test.images, test.labels, num_classes=classes, **options)
    return {
        "accuracy": accuracy(run.model, test.images, test.labels, classes),
        "cls_r": cls_r(judge, drawn, labels),
        "cls_g": generative,
        "judge_accuracy": judge.accuracy(test.images, test.labels),
        "distance_drawn_to_train": float(nearest_distances(drawn, real.images.cpu()).mean()),
        "distance_test_to_train": float(nearest_distances(test.images, real.images).mean()),
    }


def _scale_of(path: Path) -> Scale:
    """The scale that a demo was begun with."""
    method, plain = RunFolder(path).read_config()
    if method == METHOD.name:
        settings = from_plain(METHOD.settings, plain, str(path / "config.json"))
        for scale in (FULL, SHORT):
            if replace(scale.settings, seed=settings.seed) == settings:
                return scale
    raise InputError(
        f"{path} is not a run of this version's demo; continue it with stic-fast train {method} --resume "
        f"{shlex.quote(str(path))}"
    )


def _tell(path: Path, scores: dict[str, Any]) -> None:
    rows = table(show_header=False, box=None)
    for name, what in (
        ("accuracy", "real test digits that the classifier reads rightly"),
        ("cls_r", "drawn digits that a judge of real digits reads as asked (Cls_R)"),
        ("cls_g", "real test digits that a judge of drawn digits reads (Cls_G)"),
    ):
        rows.add_row(f"{100 * scores[name]:.1f}%", what)
    rows.add_row(f"{scores['seconds']:.0f} s", "for everything")
    console().print(rows)
    for name in ("samples.png", "interpolation.png", "curves.png", SCORES):
        say(f"{'numbers' if name.endswith('json') else 'picture'}: {path / name}")
    say(f"next:    stic-fast sample {shlex.quote(str(path))} --labels {START},{END} --n 40")
