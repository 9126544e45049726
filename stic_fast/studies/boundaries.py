# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How far apart a classifier's last features hold the classes, and where its own drawings lie (STIC, figure 9).

t-SNE is for the eye. The numbers beside it are taken in the feature space itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stic_fast.counts import Count, Range
from stic_fast.errors import InputError
from stic_fast.evaluation.noise_seed import noise_seed
from stic_fast.evaluation.records import subset
from stic_fast.models import Classifier
from stic_fast.models.frozen import frozen
from stic_fast.pixels import to_unit
from stic_fast.plots.looks import legend, mark, new_figure, panels
from stic_fast.studies.other_runs import open_beside
from stic_fast.studies.study import DrawingStudy, StudyResult
from stic_fast.training import Progress, TrainedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEIGHBOURS = 5
PERPLEXITY = 30.0
"""Of t-SNE: about how many neighbours an image keeps near."""
# Paul Tol's "muted" scheme (personal.sron.nl/~pault) with an orange for its pale grey: nine of the ten are told apart
# with every common colour blindness, and each class has its name beside it.
COLOURS = ("#332288", "#CC6677", "#88CCEE", "#117733", "#DDCC77", "#AA4499", "#44AA99", "#882255", "#999933", "#EE7733")
MOST_CLASSES = len(COLOURS)
PANEL = 5.4  # inches a side


@dataclass(frozen=True)
class Boundaries(DrawingStudy):
    """Map real and drawn images by the classifier's last features."""

    # Another run on the same images, for a second panel.
    baseline: Path | None = None
    # Drawn images, spread evenly over the classes.
    n: Count = 100
    # Real test images, at most.
    real: Count = 1000
    # Classes shown, the first ones; the rest are left out of picture and numbers.
    classes: Annotated[int, Range(2, MOST_CLASSES)] = MOST_CLASSES

    def compute(self, progress: Progress) -> StudyResult:
        """Draws, reads features, and maps them."""
        run = self.opened()
        runs = open_beside(run, [] if self.baseline is None else [self.baseline], self.data)
        names = run.class_names[: self.classes]
        images, labels = self._real(run, len(names))
        rows = [self._row(name, each, images, labels, len(names), progress) for name, each in runs.items()]
        record = {"n_real": len(images), "n_drawn": self.n, "classes": list(names), "neighbours": NEIGHBOURS}
        captions = [
            f"Silhouette of the {len(images)} real images in feature space: {row['silhouette']:.2f}\n"
            f"Among images of their class (most of the {NEIGHBOURS} nearest real ones):\n"
            f"{row['drawn_among_own']:.0%} of the {self.n} drawn, {row['real_among_own']:.0%} of the real ones"
            for row in rows
        ]
        return StudyResult(boundary_figure(rows, names, captions), {**record, "runs": rows})

    def _real(self, run: TrainedRun, classes: int) -> tuple[Tensor, Tensor]:
        """Real test images of the classes shown, on the CPU."""
        test = run.splits.test
        images, labels = test.images.cpu(), test.labels.cpu()
        shown = labels < classes
        images, labels = subset(images[shown], labels[shown], self.real, self.seed)
        if len(images) <= NEIGHBOURS or len(labels.bincount().nonzero()) < 2:
            raise InputError(
                f"boundaries need more than {NEIGHBOURS} real test images of at least 2 classes, got {len(images)}; "
                "raise --real or --classes"
            )
        return images, labels

    def _row(
        self, name: str, run: TrainedRun, images: Tensor, labels: Tensor, classes: int, progress: Progress
    ) -> dict[str, Any]:
        asked = torch.arange(self.n) % classes
        drawn = self.image_sampler(run).of_classes(asked, progress)
        real_features, drawn_features = (
            last_features(run.model, each, batch_size=self.batch_size) for each in (images, drawn)
        )
        places = embedded(torch.cat([real_features, drawn_features]), seed=self.seed)
        points = [[*at, label] for at, label in zip(places.tolist(), [*labels.tolist(), *asked.tolist()], strict=True)]
        return {
            "name": name,
            "silhouette": compactness(real_features, labels),
            "drawn_among_own": share_among_own(drawn_features, asked, real_features, labels),
            "real_among_own": share_among_own(real_features, labels, real_features, labels, leave_out_self=True),
            "real": points[: len(images)],
            "drawn": points[len(images) :],
        }


def last_features(model: Classifier, images: Tensor, *, batch_size: int = 250) -> Tensor:
    """The last named layer of uint8 images (N, C, H, W), its mean over positions: float32 (N, d) on the CPU."""
    layer, device = model.layer_names[-1], next(model.parameters()).device
    parts = []
    with frozen(model), torch.no_grad():
        for batch in torch.split(images, batch_size):
            _, (feature,) = model.logits_and_features(to_unit(batch.to(device)), [layer])
            parts.append((feature.flatten(2).mean(2) if feature.dim() > 2 else feature).float().cpu())
    return torch.cat(parts)


def compactness(features: Tensor, labels: Tensor) -> float:
    """The mean silhouette (b − a)/max(a, b) of features (N, d), with a the mean distance to an image's own class and b
    to the nearest other: 1 for classes that are points, 0 for classes that touch, below for images in the wrong one.

    >>> compactness(torch.tensor([[0.0], [1.0], [100.0], [101.0]]), torch.tensor([0, 0, 1, 1])) > 0.98
    True
    """
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(_distances(features, features).numpy(), labels.numpy(), metric="precomputed"))


def share_among_own(
    features: Tensor, labels: Tensor, real: Tensor, real_labels: Tensor, *, leave_out_self: bool = False
) -> float:
    """The share of features (N, d) of whose five nearest real ones (M, d) at least three have the same label.

    Args:
        leave_out_self: the features are the real ones, and none is its own neighbour.

    >>> real, labels = torch.tensor([[0.0]] * 5 + [[9.0]] * 5), torch.tensor([0] * 5 + [1] * 5)
    >>> share_among_own(torch.tensor([[1.0], [8.0]]), torch.tensor([0, 0]), real, labels)
    0.5
    """
    distances = _distances(features, real)
    if leave_out_self:
        distances.fill_diagonal_(torch.inf)
    nearest = real_labels[distances.topk(min(NEIGHBOURS, len(real) - leave_out_self), largest=False).indices]
    agree = (nearest == labels[:, None]).sum(1)
    return float((2 * agree > nearest.shape[1]).double().mean())


def _distances(left: Tensor, right: Tensor) -> Tensor:
    """Euclidean, float64 (N, M), of summed differences: ‖a‖² + ‖b‖² − 2a·b would lose those of features much alike."""
    return torch.cdist(left.double(), right.double(), compute_mode="donot_use_mm_for_euclid_dist")


def embedded(features: Tensor, *, seed: int) -> Tensor:
    """t-SNE of features (N, d): places in a plane, float32 (N, 2)."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    state = noise_seed(seed, "t-SNE") % 2**32
    places = TSNE(perplexity=perplexity, init="pca", random_state=state).fit_transform(features.double().numpy())
    return torch.from_numpy(places)


def boundary_figure(rows: Sequence[Mapping[str, Any]], class_names: Sequence[str], captions: Sequence[str]) -> Figure:
    """A panel for each run: real images as dots in the colour of their class, drawn ones as stars with a dark edge.

    Args:
        rows: as in the record: name, and real and drawn points, each with its class.
        captions: below the panels.
    """
    figure = new_figure(PANEL * len(rows), PANEL + 0.9)
    for axes, row, caption in zip(panels(figure, len(rows), columns=len(rows)), rows, captions, strict=True):
        dots: dict[str, Any] = {"s": 16, "linewidths": 0, "alpha": 0.75, "zorder": 2}
        stars: dict[str, Any] = {"s": 75, "linewidths": 0.8, "edgecolors": "black", "marker": "*", "zorder": 3}
        for points, look in ((row["real"], dots), (row["drawn"], stars)):
            across, up, classes = zip(*points, strict=True)
            axes.scatter(across, up, c=[COLOURS[label] for label in classes], **look)
        places = np.array([*row["real"], *row["drawn"]])
        for number, name in enumerate(class_names):
            _plot_name(axes, places[places[:, 2] == number, :2], name)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"{row['name']}: t-SNE of the last features", loc="left", fontsize=12)
        axes.set_xlabel(caption, fontsize=9.5, loc="left")
        axes.spines[:].set_color("0.8")
        axes.margins(x=0.04, y=0.06)
    star = mark(
        "drawn image, in the colour of the class asked for",
        **{"marker": "*", "markersize": 12, "markerfacecolor": "0.75", "markeredgecolor": "black"},
    )
    legend(figure, mark("real test image", marker="o", markersize=5, color="0.5"), star, place="upper left")
    return figure


def _plot_name(axes: Axes, points: NDArray[np.float64], name: str) -> None:
    """The name above the nine tenths of the points that are nearest to their median: nobody depends on colours."""
    from matplotlib.patheffects import withStroke

    if not len(points):
        return
    middle = np.median(points, axis=0)
    gaps = np.linalg.norm(points - middle, axis=1)
    top = points[gaps <= np.quantile(gaps, 0.9), 1].max()
    text = axes.annotate(name, (middle[0], top), xytext=(0, 7), textcoords="offset points", ha="center", zorder=4)
    text.set(fontsize=12, fontweight="bold", path_effects=[withStroke(linewidth=3, foreground="white")])
