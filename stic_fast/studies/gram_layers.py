# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the Gram term's layers do to the drawn images: none of them, the shallow, the deep, or all."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor

from stic_fast.counts import MOST, Range
from stic_fast.errors import InputError
from stic_fast.evaluation import nearest_distances
from stic_fast.evaluation.records import subset
from stic_fast.models.frozen import frozen
from stic_fast.pixels import to_unit
from stic_fast.plots.image_rows import Block, Labels, plot_image_rows
from stic_fast.plots.looks import BLUE, DASHED, axes_at, finish, mark, new_figure
from stic_fast.studies.drawing_with import gram_layers_of, step_sizes_of, with_gram_layers
from stic_fast.studies.judged import Judged
from stic_fast.studies.study import JudgingStudy, StudyResult
from stic_fast.training import Progress, TrainedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, LINES = 10, 2  # samples shown of each set of layers
TILE, GAP = 0.44, 0.22  # inches across a sample, and between rows
LETTER = 0.085  # inches of a letter of the rows' names
DOTS, BETWEEN = 1.75, 0.35  # inches: a panel of dots, and between panels
ABOVE, BELOW = 0.65, 0.62  # inches over and under the rows
QUANTITIES = {
    "FD": ("lower is better", 2),
    "Cls_R": ("higher is better", 3),
    "nearest": ("left of the line: copying", 2),
    "seconds_per_image": ("lower is faster", 4),
}
"""In the picture: how to read them, and digits after the point."""
Drawn = tuple[Tensor | None, dict[str, float]]
"""Images, uint8 (N, C, H, W), and what was measured of them; nothing where a chain diverged."""


@dataclass(frozen=True)
class GramLayers(JudgingStudy):
    """Draw with none, the shallow, the deep and all layers in the Gram term."""

    # Images for each set of layers, of the same classes and from the same canvases.
    n: Annotated[int, Range(2, MOST)] = 300

    def compute(self, progress: Progress) -> StudyResult:
        """Draws with each set, and judges."""
        run = self.opened()
        if not step_sizes_of(run)[1]:
            raise InputError(f"{self.run} draws without a Gram term, eps2 being 0; study a run that has one")
        sets = layer_sets(layers_with_positions(run), gram_layers_of(run))
        judged = self.judged(run, self.n, progress)
        test, training = run.splits.test, run.splits.train.images.cpu()
        held_out, _ = subset(test.images, test.labels, self.n, self.seed)
        real = {name: score.value for name, score in judged.real().items()}
        real["nearest"] = float(nearest_distances(held_out.cpu(), training).mean())
        found = {name: self._measured(run, judged, layers, training, progress) for name, layers in sets.items()}
        rows = [{"name": name, "layers": list(sets[name]), **values} for name, (_, values) in found.items()]
        record = {"n": self.n, "judge": judged.judge.name, "rows": rows, "real": real}
        titles = {"nearest": "distance to the nearest\ntraining image", "seconds_per_image": "seconds per image"}
        titles = {key: titles.get(key) or judged.name(key) for key in QUANTITIES}
        named = {f"{name}\n{_span(sets[name])}": drawn for name, drawn in found.items()}
        return StudyResult(gram_layers_figure(named, titles, real, run.class_names), record)

    def _measured(
        self, run: TrainedRun, judged: Judged, layers: tuple[str, ...], training: Tensor, progress: Progress
    ) -> Drawn:
        begun = time.perf_counter()
        images = self.draw_unless_diverged(run, self.n, progress, with_gram_layers(run, layers))
        seconds = time.perf_counter() - begun
        if images is None:
            return None, {}
        scores = judged.scores(images, torch.arange(self.n) % run.model.num_classes)
        values = {name: score.value for name, score in scores.items()}
        values["nearest"] = float(nearest_distances(images, training).mean())
        values["seconds_per_image"] = seconds / self.n
        return images, values


def layers_with_positions(run: TrainedRun) -> tuple[str, ...]:
    """The layers that have a Gram matrix over positions, in the order of the forward pass."""
    names, image = run.model.layer_names, run.splits.train.images[:1].to(next(run.model.parameters()).device)
    with frozen(run.model), torch.no_grad():
        _, features = run.model.logits_and_features(to_unit(image), names)
    return tuple(name for name, feature in zip(names, features, strict=True) if feature.dim() > 2)


def layer_sets(layers: Sequence[str], own: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Sets of layers by name: none, the first third, the last third, all, and the run's own; equal ones share a name.

    >>> layer_sets(["a", "b", "c"], own=["c"])
    {'none': (), 'shallow': ('a',), "deep (the run's own)": ('c',), 'all': ('a', 'b', 'c')}
    """
    third = max(1, len(layers) // 3)
    named = {"none": (), "shallow": layers[:third], "deep": layers[-third:], "all": layers, "the run's own": own}
    names: dict[tuple[str, ...], list[str]] = {}
    for name, members in named.items():
        names.setdefault(tuple(layer for layer in layers if layer in members), []).append(name)
    return {first + (f" ({', '.join(more)})" if more else ""): members for members, (first, *more) in names.items()}


def gram_layers_figure(
    rows: Mapping[str, Drawn], titles: Mapping[str, str], real: Mapping[str, float], class_names: Sequence[str]
) -> Figure:
    """A strip of samples for each set of layers, and beside it a dot for each of its numbers.

    Args:
        rows: by what stands beside them, in lines.
        titles: of the quantities, by key.
        real: the same of real images, as a line across all rows.

    Raises:
        InputError: all have diverged.
    """
    shown = [images[: COLUMNS * LINES] for images, _ in rows.values() if images is not None]
    if not shown:
        raise InputError("there are no samples to show; every chain diverged, so lower the step sizes")
    wide, high = COLUMNS * TILE, -(-len(shown[0]) // COLUMNS) * TILE * shown[0].shape[2] / shown[0].shape[3]
    left, step = LETTER * max(len(line) for name in rows for line in name.splitlines()) + 0.25, high + GAP
    keys = [key for key in QUANTITIES if any(key in values for _, values in rows.values())]
    height = step * len(rows)
    figure = new_figure(left + wide + len(keys) * (DOTS + BETWEEN) + 0.3, ABOVE + height + BELOW, layout=None)
    half = high / step / 2
    blocks = [
        Block(None if images is None else images[: COLUMNS * LINES], COLUMNS, 0, COLUMNS, at - half, at + half)
        for at, (images, _) in enumerate(rows.values())
    ]
    strips = axes_at(figure, left=left, top=ABOVE, width=wide, height=height)
    columns: Labels = []
    if COLUMNS % len(class_names) == 0:
        columns = [(at + 0.5, class_names[at % len(class_names)]) for at in range(COLUMNS)]
    plot_image_rows(strips, blocks, rows=list(enumerate(rows)), columns=columns)
    strips.tick_params(axis="x", labelrotation=90 if max((len(name) for _, name in columns), default=0) > 4 else 0)
    strips.set_ylim(len(rows) - 0.5, -0.5)
    for number, key in enumerate(keys):
        place = left + wide + BETWEEN + number * (DOTS + BETWEEN)
        axes = axes_at(figure, left=place, top=ABOVE, width=DOTS, height=height)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        values = {at: found[key] for at, (_, found) in enumerate(rows.values()) if key in found}
        _plot_dots(axes, titles[key], key, values, real.get(key))
    corner = left / figure.get_figwidth(), (BELOW - 0.08) / figure.get_figheight()
    handle = mark("real test images", **DASHED)
    figure.legend(handles=[handle], loc="upper left", bbox_to_anchor=corner, frameon=False, fontsize=10)
    return figure


def _plot_dots(axes: Axes, title: str, key: str, values: Mapping[int, float], line: float | None) -> None:
    """Each value at the height of its row, on a stem from zero."""
    note, digits = QUANTITIES[key]
    if line is not None:
        axes.axvline(line, **DASHED, zorder=1)
    axes.hlines(list(values), 0, list(values.values()), color=BLUE, linewidth=1.4, alpha=0.4, zorder=2)
    axes.plot(list(values.values()), list(values), marker="o", markersize=8, linestyle="none", color=BLUE, zorder=3)
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    for place, value in values.items():
        text = axes.annotate(f"{value:.{digits}f}", (value, place), xytext=(0, 9), textcoords="offset points")
        text.set(ha="center", fontsize=9, bbox=ground, zorder=4)
    finish(axes, title=title, x=note, grid="x")
    axes.set_xlim(0, 1.2 * max([*values.values(), line or 0.0, 1e-9]))
    axes.locator_params(axis="x", nbins=4)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _span(layers: Sequence[str]) -> str:
    """First and last of the layers.

    >>> _span(["conv21", "conv22", "conv24"]), _span(["conv9"]), _span([])
    ('conv21 – conv24', 'conv9', 'ε2 = 0')
    """
    if not layers:
        return "ε2 = 0"
    return layers[0] if len(layers) == 1 else f"{layers[0]} – {layers[-1]}"
