# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""An evaluation as typed records, which evaluation.json holds: its one form, its one reader and its one writer.

Every score is a row with a short key, by which it is asked for, and what it is called in full. A number that does not
exist is None, and the part's note says why.
"""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import torch

from stic_fast.evaluation.calibration import Reliability
from stic_fast.evaluation.image_table import image_table
from stic_fast.evaluation.manifold import ManifoldScores
from stic_fast.evaluation.out_of_distribution import SCORE_NAMES
from stic_fast.formats import Format
from stic_fast.stored import damaged, read_json

RECORD = "evaluation.json"
FORMAT = Format(oldest=2)
LARGEST = 1e300  # numbers are smaller, so that they can be drawn
PARTS = ("images", "classifier", "outliers", "attacks")  # of an evaluation, in their order
Better = Literal["higher", "lower"]
Whole = Annotated[int, msgspec.Meta(ge=0)]


class Record(msgspec.Struct, omit_defaults=True):
    """The base of all that is written down; what has a default is left out where it is that."""


Kind = TypeVar("Kind", bound=Record)


class ImageRow(Record):
    """A score of drawn images, beside those of real test images and of noise in their place."""

    key: str
    name: str
    better: Better | None
    what: str
    drawn: float | None
    spread: float | None
    drawn_at_n_real: float | None  # of as many drawn images as there are real ones, if fewer and it depends on that
    real: float | None
    noise: float | None


class JudgeAbout(Record):
    """Who judged: the iterations are those of cnn's training, the accuracy that on real test images."""

    name: str
    iterations: Whole
    accuracy: float | None


class Nearest(Record):
    """The mean distance to the nearest training image."""

    drawn: float
    real: float


class ImageScores(Record):
    """Drawn images: n of them, beside n_real real ones."""

    judge: JudgeAbout
    n: Whole
    n_real: Whole
    rows: tuple[ImageRow, ...]
    sweep: dict[str, tuple[ManifoldScores, ...]]
    """The manifold scores over k: "drawn", "real", and "drawn_at_n_real" where there are fewer real ones."""
    nearest: Nearest
    steps: Whole | None = None  # of each chain, where chains drew the images
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("drawn", "real", *["drawn_at_n_real"] * (self.n_real < self.n)):
            _require(name in self.sweep, f"sweep.{name}")

    def __str__(self) -> str:
        return image_table(self)


class ScoreRow(Record):
    """A score of the classifier."""

    key: str
    value: float | None
    name: str
    better: Better | None
    what: str


class Bins(Record):
    """A reliability diagram."""

    edges: tuple[float, ...]
    counts: tuple[float, ...]
    accuracy: tuple[float | None, ...]
    confidence: tuple[float | None, ...]

    def __post_init__(self) -> None:
        sizes = {len(self.edges) - 1, len(self.counts), len(self.accuracy), len(self.confidence)}
        _require(len(sizes) == 1, "some bins")

    @classmethod
    def of(cls, found: Reliability) -> Bins:
        """The bins as numbers."""
        bins: Any = (tuple(map(number, getattr(found, name).tolist())) for name in cls.__struct_fields__)
        return cls(*bins)

    def reliability(self) -> Reliability:
        """The bins as they were measured."""
        each = ([math.nan if at is None else at for at in getattr(self, name)] for name in self.__struct_fields__)
        return Reliability(*(torch.tensor(values, dtype=torch.float64) for values in each))


class ClassifierScores(Record):
    """The classifier on n real test images."""

    n: Whole
    rows: tuple[ScoreRow, ...]
    reliability: Bins | None
    reliability_after: Bins | None  # after temperature scaling
    note: str = ""


class OutlierRow(Record):
    """An area under the receiver operating characteristic."""

    score: str
    outliers: str
    auroc: float | None


class OutlierScores(Record):
    """What the classifier's scores say of outliers: n of each set beside n images from inside the distribution."""

    inside: str
    n: Whole
    rows: tuple[OutlierRow, ...]
    note: str = ""

    def __post_init__(self) -> None:
        for score, areas in self.areas().items():
            _require(score in SCORE_NAMES, f"a known name for the score {score!r}")
            for row in self.rows:
                _require(row.outliers in areas, f"the AUROC of {score} against {row.outliers}")

    def areas(self) -> dict[str, dict[str, float | None]]:
        """AUROC by score, then by set of outliers."""
        areas: dict[str, dict[str, float | None]] = {}
        for row in self.rows:
            areas.setdefault(row.score, {})[row.outliers] = row.auroc
        return areas


class AttackRow(ScoreRow):
    """A score of n images under attack."""

    n: Whole


class Masking(Record):
    """Whether the accuracies under attack can be believed."""

    masked: bool
    verdict: str
    accuracy: float | None = None


class CarliniWagner(Record):
    """What is known of the L2 attack as a whole."""

    n: Whole | None = None
    note: str = ""


class AttackScores(Record):
    """The classifier under attack, on n images."""

    n: Whole
    rows: tuple[AttackRow, ...]
    masking: Masking
    cw: CarliniWagner | None = None
    note: str = ""


class Unmeasured(Record):
    """A part of which nothing could be measured, and why."""

    note: str
    n: Whole | None = None


class Evaluation(Record):
    """A whole evaluation; a part that was not asked for, or of which nothing could be measured, is None."""

    version: str
    command: str
    method: str
    data: dict[str, tuple[str, Whole]]  # name and number of the train and the test images
    seed: Whole
    checkpoint: str
    seconds: dict[str, float]
    images: ImageScores | None = None
    classifier: ClassifierScores | None = None
    outliers: OutlierScores | None = None
    attacks: AttackScores | None = None
    unmeasured: dict[str, Unmeasured] = {}  # by name, the parts of which nothing could be measured

    def __post_init__(self) -> None:
        _require(self.images is None or self.images.steps is not None, "images.steps")

    def parts(self) -> dict[str, Any]:
        """The parts that there are, the unmeasured among them, by name and in their order."""
        found = {name: getattr(self, name) or self.unmeasured.get(name) for name in PARTS}
        return {name: part for name, part in found.items() if part is not None}


def to_plain(record: Record) -> dict[str, Any]:
    """A record as JSON can hold it."""
    plain: dict[str, Any] = msgspec.to_builtins(record)
    return plain


def written(evaluation: Evaluation) -> dict[str, Any]:
    """What stands in evaluation.json."""
    plain = to_plain(evaluation)
    unmeasured = plain.pop("unmeasured", {})
    return {**FORMAT.stamp(), **plain, **unmeasured}


def read_record(folder: Path, run: str | None = None) -> Evaluation | None:
    """The evaluation of a run, None where there is none yet; InputError where it is damaged or of another version.

    Args:
        run: what commands call it, if not by that folder.
    """
    file = folder / RECORD
    hint = f"write it anew with stic-fast evaluate {shlex.quote(run or str(folder))}"
    try:
        plain = read_json(file, hint)
    except FileNotFoundError:
        return None
    plain = FORMAT.current(plain, file, hint)
    try:
        return evaluation_of(plain)
    except ValueError as error:
        raise damaged(file, str(error), hint) from error


def evaluation_of(plain: dict[str, Any]) -> Evaluation:
    """The evaluation that a JSON object is; ValueError, naming what, where it lacks something or has another form.

    >>> evaluation_of({"seed": 0})
    Traceback (most recent call last):
    ...
    ValueError: Object missing required field `version`
    """
    parts = {name: plain[name] for name in PARTS if isinstance(plain.get(name), dict)}
    hollow = {name: part for name, part in parts.items() if "note" in part and "rows" not in part}
    whole = {name: part for name, part in plain.items() if name not in hollow}
    return record_of({**whole, "unmeasured": hollow}, Evaluation)


def record_of(plain: dict[str, Any], kind: type[Kind]) -> Kind:
    """The record that a JSON object is; ValueError, naming what, where it lacks something or has another form."""
    _check_leaves(plain, "")
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error).replace("`$.", "`")) from error


def number(value: float | None) -> float | None:
    """The number, or None for what JSON cannot hold.

    >>> number(0.5), number(float("nan")), number(None)
    (0.5, None, None)
    """
    return None if value is None or not math.isfinite(value) else value


def _check_leaves(value: Any, where: str) -> None:
    """Refuses numbers that cannot be drawn and texts, names among them, that command a terminal."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        place = f"{where}[{name}]" if isinstance(value, list) else f"{where}.{name}".lstrip(".")
        _check_leaves(name, f"a name in {where}")
        _check_leaves(each, place)
    if isinstance(value, str) and not value.isprintable():
        raise ValueError(f"its {where} must be a text in one line")
    if isinstance(value, int | float) and not abs(value) < LARGEST:
        raise ValueError(f"its {where} must be a number below {LARGEST:g}")


def _require(there: bool, what: str) -> None:
    if not there:
        raise ValueError(f"it lacks {what}")
