# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the Gram term's layers do to the drawn images: none of them, the shallow, the deep, or all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from torch import Tensor

from stic_fast.counts import MOST, Range
from stic_fast.errors import Diverged, InputError
from stic_fast.evaluation import nearest_distances
from stic_fast.evaluation.records import subset
from stic_fast.models.frozen import frozen
from stic_fast.pixels import to_unit
from stic_fast.plots.gram_layers import Quantity, Row, sample_rows_figure
from stic_fast.studies.judged import Judged
from stic_fast.studies.options import JudgingOptions
from stic_fast.studies.study import StudyResult
from stic_fast.training import Progress, TrainedRun, open_run

COLUMNS, LINES = 10, 2  # samples shown of each set of layers


@dataclass(frozen=True)
class GramLayers(JudgingOptions):
    """Draw with none, the shallow, the deep and all layers in the Gram term."""

    # Images for each set of layers, of the same classes and from the same canvases.
    n: Annotated[int, Range(2, MOST)] = 300

    def compute(self, progress: Progress) -> StudyResult:
        """Draws with each set, and judges."""
        run = open_run(self.run)
        if not any(stage.sizes.with_gram for stage in run.recipe.stages):
            raise InputError(f"{self.run} draws without a Gram term, eps2 being 0; study a run that has one")
        sets = layer_sets(layers_with_positions(run), run.recipe.stages[0].compared(run.model))
        judged = self.judged(run, self.n, progress)
        test, training = run.splits.test, run.splits.train.images.cpu()
        held_out, _ = subset(test.images, test.labels, self.n, self.seed)
        real = {name: score.value for name, score in judged.real().items()}
        real["nearest"] = float(nearest_distances(held_out.cpu(), training).mean())
        found = {name: self._measured(run, judged, layers, training, progress) for name, layers in sets.items()}
        rows = [{"name": name, "layers": list(sets[name]), **values} for name, (_, values) in found.items()]
        record = {"n": self.n, "judge": judged.judge.name, "rows": rows, "real": real}
        return StudyResult(self._figure(run, judged, sets, found, real), record)

    def _measured(
        self, run: TrainedRun, judged: Judged, layers: tuple[str, ...], training: Tensor, progress: Progress
    ) -> tuple[Tensor | None, dict[str, float]]:
        """The images drawn with these layers and their numbers; nothing where a chain diverged."""
        recipe = run.recipe if layers else run.recipe.with_samplers(eps2=0.0)
        recipe = replace(recipe, stages=tuple(replace(stage, gram_layers=layers) for stage in recipe.stages))
        numbers, begun = torch.arange(self.n), time.perf_counter()
        try:
            image_sampler = self.image_sampler(run, recipe)
            images = image_sampler.of_numbers(numbers, progress)
        except Diverged:
            return None, {}
        seconds = time.perf_counter() - begun
        scores = judged.scores(images, numbers % run.model.num_classes)
        values = {name: score.value for name, score in scores.items()}
        values["nearest"] = float(nearest_distances(images, training).mean())
        values["seconds_per_image"] = seconds / self.n
        return images, values

    def _figure(
        self,
        run: TrainedRun,
        judged: Judged,
        sets: dict[str, tuple[str, ...]],
        found: dict[str, tuple[Tensor | None, dict[str, float]]],
        real: dict[str, float],
    ) -> Any:
        shown = {
            "FD": (judged.name("FD"), "lower is better", 2),
            "Cls_R": (judged.name("Cls_R"), "higher is better", 3),
            "nearest": ("distance to the nearest\ntraining image", "left of the line: copying", 2),
            "seconds_per_image": ("seconds per image", "lower is faster", 4),
        }
        shown = {key: about for key, about in shown.items() if any(key in values for _, values in found.values())}
        rows = [
            Row(
                f"{name}\n{_span(sets[name])}",
                None if images is None else images[: COLUMNS * LINES],
                {label: values[key] for key, (label, *_) in shown.items() if key in values},
            )
            for name, (images, values) in found.items()
        ]
        quantities = [Quantity(*about, line=real.get(key)) for key, about in shown.items()]
        classes = run.splits.train.class_names
        repeats = COLUMNS % len(classes) == 0
        labels = [classes[column % len(classes)] for column in range(COLUMNS)] if repeats else None
        return sample_rows_figure(
            rows, quantities, columns=COLUMNS, line_label="real test images", column_labels=labels
        )


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


def _span(layers: Sequence[str]) -> str:
    """First and last of the layers.

    >>> _span(["conv21", "conv22", "conv24"]), _span(["conv9"]), _span([])
    ('conv21 – conv24', 'conv9', 'ε2 = 0')
    """
    if not layers:
        return "ε2 = 0"
    return layers[0] if len(layers) == 1 else f"{layers[0]} – {layers[-1]}"
