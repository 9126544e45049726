# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast report`: everything about a run on one page that needs no network and no other file."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from torch import Tensor

from stic_fast.api.evaluation import OUTLIER_SCORES, drawn_folder
from stic_fast.cli.terminal import say
from stic_fast.evaluation.drawn_images import DrawnImages, read_about
from stic_fast.evaluation.out_of_distribution import SCORE_LABELS, SCORE_NAMES
from stic_fast.evaluation.record_form import (
    AttackScores,
    Bins,
    ClassifierScores,
    Evaluation,
    ImageScores,
    OutlierScores,
)
from stic_fast.evaluation.records import sweep_rows
from stic_fast.plots.curves import training_figure
from stic_fast.plots.grid import image_grid
from stic_fast.plots.histograms import score_histograms
from stic_fast.plots.manifold import sweep_figure
from stic_fast.plots.page import Page
from stic_fast.plots.reliability import reliability_figure
from stic_fast.stored import damaged, read_tensors
from stic_fast.training import TrainedRun, open_run
from stic_fast.training.pretrained import PretrainedFolder

SHOWN = 8  # images of each class
MOST_CLASSES = 20  # rows of a grid
RELIABILITIES = (
    (
        "reliability",
        "As it is",
        "Where the bars meet the diagonal, the classifier is as often right as it is sure. Below: how many images each "
        "bar rests on.",
    ),
    (
        "reliability_after",
        "After temperature scaling",
        "The same with logits divided by the temperature, which changes no answer, only how sure the classifier is of "
        "it.",
    ),
)


@dataclass(frozen=True)
class Report:
    """Put a run on one page: samples, scores, calibration, outliers, attacks, curves and settings."""

    # Folder of a trained run, or pretrained:NAME; what `stic-fast evaluate` found there is on the page.
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    # The page; None for report.html in the run's folder.
    out: Path | None = None
    # Where the run's images lie, as --data of a training names them; None for where they were when it was trained.
    # The images of some pretrained runs do not come with them.
    data: str | None = None

    def execute(self) -> None:
        """Writes the page."""
        run = open_run(self.run, data=self.data)
        record = run.folder.evaluation()
        target = self.out or run.folder.path / "report.html"
        with run.folder.one_writer(target):
            page = Page(f"Run {self.run.resolve().name}", _subtitle(run, record))
            if record is not None:
                _parts(page, run, record)
            _training(page, run)
            _settings(page, run, record)
            page.write(target)
        say(f"page: {target}")


def _parts(page: Page, run: TrainedRun, record: Evaluation) -> None:
    for name, part in record.parts().items():
        if name in run.method.evaluation:
            heading, write = SECTIONS[name]
            page.section(heading)
            if part.note:
                page.paragraph(f"{part.note}.", warning=True)
            if name not in record.unmeasured:
                write(page, run, record, part)


def _subtitle(run: TrainedRun, record: Evaluation | None) -> str:
    shape = "×".join(map(str, run.image_shape[1:]))
    kinds = f"{run.model.num_classes} classes" if run.method.labelled else "real and drawn images"
    text = f"A classifier of {kinds} that also draws, for images of {shape} pixels."
    if run.images.at_hand:
        train, test = run.splits.train, run.splits.test
        text += f" It learnt from {len(train):,} images ({train.name}); {len(test):,} real test images were held out."
    if record is None or not record.parts():
        text += f" It has not been evaluated yet: `stic-fast evaluate {shlex.quote(run.folder.address)}` does."
    return text


def _images(page: Page, run: TrainedRun, record: Evaluation, part: ImageScores) -> None:
    judge = part.judge
    page.paragraph(
        "Each row is one class. None was chosen by hand or by its score: they are the first that the seed gives, "
        "drawn by fresh chains."
    )
    _grids(page, run, drawn_folder(run.folder.path, record.checkpoint, record.seed, part.steps or 0), part.n)
    page.section("Scores of the images")
    sure = f", which reads {judge.accuracy:.1%} of the real test images rightly" if judge.accuracy else ""
    page.paragraph(
        f"The judge is `{judge.name}`{sure}; it is not the classifier that drew. Beside the {part.n:,} drawn "
        f"images stand {part.n_real:,} real test images and {part.n:,} images of uniform noise under the same "
        "judge: no generator should be expected to do better than the real ones, and one as bad as noise has learnt "
        "nothing."
    )
    columns = {"name": "score", "drawn": "drawn", "spread": "spread", "drawn_at_n_real": f"drawn@{part.n_real}"}
    columns |= {"real": f"real@{part.n_real}", "noise": "noise", "better": "better", "what": "what it is"}
    fewer = part.n_real < part.n
    if fewer:
        page.paragraph(
            "A score that depends on the number of images is also taken of only as many drawn ones as there are real "
            f"ones: `drawn@{part.n_real}` and `real@{part.n_real}` can be compared."
        )
    else:
        del columns["drawn_at_n_real"]
    _table(page, part.rows, columns)
    page.paragraph(
        f"A drawn image lies {part.nearest.drawn:.2f} from the training image nearest to it, a real test image "
        f"{part.nearest.real:.2f} (Euclidean, pixels in [−1, 1], means): much nearer would be copies."
    )
    drawn = part.sweep["drawn_at_n_real" if fewer else "drawn"]
    sweeps = {"drawn": sweep_rows(drawn), "real": sweep_rows(part.sweep["real"])}
    if any(sweeps.values()):
        page.picture(
            sweep_figure(sweeps),
            caption=f"Precision and recall, density and coverage of {part.n_real:,} images each, for 1 to 10 "
            "neighbours. Precision asks how many images lie among real ones, recall how much of the real images they "
            "cover.",
            alt="Two panels of curves for drawn and for real test images",
        )


def _grids(page: Page, run: TrainedRun, folder: Path, count: int) -> None:
    classes = min(run.model.num_classes, MOST_CLASSES)
    names = list(run.class_names[:classes])
    about = read_about(folder)
    if about is not None:
        images, labels = DrawnImages(folder, count, num_classes=run.model.num_classes, about=about).all()
        page.picture(_grid(images, labels, names), caption="Drawn images.", alt="Grid of drawn images, a row per class")
    if run.images.at_hand:
        page.picture(
            _grid(run.splits.test.images, run.splits.test.labels, names),
            caption="Real test images, for comparison.",
            alt="Grid of real images, a row per class",
        )


def _grid(images: Tensor, labels: Tensor, names: list[str]) -> Any:
    rows = [torch.nonzero(labels == number)[:SHOWN, 0] for number in range(len(names))]
    shown = [number for number, row in enumerate(rows) if len(row) == SHOWN]
    chosen = torch.cat([rows[number] for number in shown]) if shown else torch.arange(min(SHOWN, len(images)))
    return image_grid(images[chosen], columns=SHOWN, row_labels=[names[number] for number in shown] or None)


def _classifier(page: Page, run: TrainedRun, record: Evaluation, part: ClassifierScores) -> None:
    page.paragraph(f"On {part.n:,} real test images.")
    _table(page, part.rows, {"name": "score", "value": "value", "better": "better", "what": "what it is"})
    for key, title, caption in RELIABILITIES:
        bins: Bins | None = getattr(part, key)
        if bins is not None:
            page.picture(
                reliability_figure(bins.reliability(), title=title),
                caption=caption,
                alt=f"Reliability diagram: {title.lower()}",
            )


def _outliers(page: Page, run: TrainedRun, record: Evaluation, part: OutlierScores) -> None:
    sets = list(dict.fromkeys(row.outliers for row in part.rows))
    aurocs = part.areas()
    page.paragraph(
        f"How well a score tells {part.n:,} real test images from as many outliers of each kind: the area under the "
        "receiver operating characteristic, 1 for always, 0.5 for guessing, below for the wrong way round."
    )
    page.table(["score", *sets], [[SCORE_NAMES[score], *found.values()] for score, found in aurocs.items()])
    known = {key: each for key, each in aurocs.items() if set(each.values()) != {None}}
    file = run.folder.path / "evaluation" / OUTLIER_SCORES
    if known and file.exists():
        hint = f"evaluate again with stic-fast evaluate {shlex.quote(run.folder.address)}"
        values = read_tensors(file, hint)
        keys = {score: {name: f"{score}/{name}" for name in (part.inside, *sets)} for score in aurocs}
        if not all(key in values and values[key].dim() == 1 for each in keys.values() for key in each.values()):
            raise damaged(file, "it holds the scores of another evaluation", hint)
        ordered = {SCORE_LABELS[score]: {name: values[key] for name, key in keys[score].items()} for score in known}
        areas: dict[str, Any] = {SCORE_LABELS[score]: each for score, each in known.items()}
        page.picture(
            score_histograms(ordered, inside=part.inside, aurocs=areas),
            caption="Each panel holds the real test images against one kind of outlier; higher scores are more like "
            "the training images.",
            alt="Histograms of the scores of real images and of outliers",
        )


def _attacks(page: Page, run: TrainedRun, record: Evaluation, part: AttackScores) -> None:
    page.paragraph(
        f"How well the classifier stands {part.n:,} test images that were changed so that it reads them wrongly. "
        "Pixels are in [0, 1]; PGD may change each of them by up to ε (L∞), C&W looks for the shortest change (L2)."
    )
    columns = {"name": "attack", "value": "value", "n": "images", "better": "better", "what": "what it is"}
    _table(page, part.rows, columns)
    if part.cw and part.cw.note:
        page.paragraph(f"{part.cw.note}.")
    page.paragraph(part.masking.verdict, warning=part.masking.masked)


SECTIONS: dict[str, tuple[str, Callable[[Page, TrainedRun, Evaluation, Any], None]]] = {
    "images": ("Drawn images", _images),
    "classifier": ("The classifier", _classifier),
    "outliers": ("Out of distribution", _outliers),
    "attacks": ("Under attack", _attacks),
}
"""The heading of each part, and what writes it."""


def _table(page: Page, rows: Sequence[Any], columns: Mapping[str, str]) -> None:
    """A table of these attributes of the rows under these headings."""
    page.table(list(columns.values()), [[getattr(row, name) for name in columns] for row in rows])


def _training(page: Page, run: TrainedRun) -> None:
    metrics = run.folder.read_metrics()
    if metrics:
        page.section("Training")
        page.picture(
            training_figure(metrics, run.method.curves),
            caption="Losses, accuracy and chains along the run.",
            alt="Training curves",
        )


def _settings(page: Page, run: TrainedRun, record: Evaluation | None) -> None:
    page.section("How it was made")
    if record is not None:
        page.paragraph(f"Evaluated by `{record.command}`, stic_fast {record.version}, checkpoint {record.checkpoint}.")
        page.table(["part", "seconds"], [[name, value] for name, value in record.seconds.items()])
    if isinstance(run.folder, PretrainedFolder):
        about = run.folder.about
        page.paragraph(
            f"It came with stic_fast {about.version}, made by `{about.command}` in {about.seconds:,.0f} seconds on "
            f"{about.machine} from {about.source}."
        )
    method, settings = run.folder.read_config()
    page.paragraph(f"Trained by the method {method} with these settings:")
    page.table(["setting", "value"], [[name, json.dumps(value, ensure_ascii=False)] for name, value in _flat(settings)])


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Settings with dotted names.

    >>> list(_flat({"seed": 0, "pool": {"chains": 9}}))
    [('seed', 0), ('pool.chains', 9)]
    """
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value
