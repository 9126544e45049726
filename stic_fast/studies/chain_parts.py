# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What each part of Score-STIC's chain is worth: one after the other taken away, weakened and strengthened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias, cast

import torch
from torch.utils.flop_counter import FlopCounterMode

from stic_fast.counts import MOST, Count, CountOrZero, NotNegative, Positive, Range
from stic_fast.errors import InputError
from stic_fast.evaluation.image_scores import MEANINGS
from stic_fast.models import ScoreClassifier
from stic_fast.pixels import to_unit
from stic_fast.plots.lines import Line, LinePanel, plot_lines
from stic_fast.plots.looks import BLUE, VERMILION, legend, new_figure
from stic_fast.sampling import AnnealedGRMALA, Guidance
from stic_fast.studies.drawing_with import annealed_chain_of, with_annealed_chain
from stic_fast.studies.judged import Judged
from stic_fast.studies.sampling_error import Measured, error_of_distance, share_with_error
from stic_fast.studies.study import JudgingStudy, StudyResult
from stic_fast.training import Progress, TrainedRun, open_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = ("recall", "Cls_R")
PASSES = "network passes per image"
SHOWN = ("FD", *SHARES, PASSES)
"""A row of the picture each."""
COLUMN, ROW = 1.9, 1.75  # inches of a panel

Chain: TypeAlias = tuple[AnnealedGRMALA, Guidance]
Found: TypeAlias = dict[str, Measured] | None
"""By the names in `SHOWN`; nothing where a chain diverged."""


class Part(NamedTuple):
    """A part of the chain in several strengths."""

    title: str
    strength: str
    """What the numbers below the axis are."""
    chains: Mapping[float, Chain]
    """By this number."""

    @classmethod
    def of(cls, title: str, strength: str, base: Chain, name: str, values: Sequence[float]) -> Part:
        """A chain with one setting, of its sampler or its guidance, at each of these values."""
        sampler, guidance = base
        chains: dict[float, Chain] = {}
        for value in values:
            change: dict[str, Any] = {name: value}
            guides = hasattr(guidance, name)
            chains[value] = (sampler, replace(guidance, **change)) if guides else (replace(sampler, **change), guidance)
        return cls(title, strength, chains)


@dataclass(frozen=True)
class ChainParts(JudgingStudy):
    """Draw with each part of a Score-STIC chain left out, weaker and stronger."""

    # Guidance g by the label.
    labels: tuple[NotNegative, ...] = (0.0, 1.0, 1.5, 2.0, 3.0)
    # Guidance w by the classifier.
    classifiers: tuple[NotNegative, ...] = (0.0, 0.5, 1.0, 2.0)
    # The g that w is tried beside, after the run's own: chains that are not told their label, or exaggerate it.
    beside: tuple[NotNegative, ...] = (0.0, 2.0)
    # Noise levels up to which chains are guided, by the first of `labels` above 1 if the run does not exaggerate.
    up_to: tuple[NotNegative, ...] = (0.5, 2.0, 8.0, 80.0)
    # Noise levels above which they are guided, likewise.
    above: tuple[NotNegative, ...] = (0.0, 0.1, 0.5, 2.0)
    # Corrector steps at each level.
    correctors: tuple[CountOrZero, ...] = (0, 1, 2)
    # Weights ε2 of the Gram term in one corrector at each level, or in as many as the run has.
    gram: tuple[NotNegative, ...] = (0.0, 1.0, 10.0, 100.0)
    # Noise levels of a chain.
    levels: tuple[Count, ...] = (6, 12, 18, 36)
    # The first of them.
    first_level: tuple[Positive, ...] = (5.0, 20.0, 80.0)
    # Images for each chain, of the same classes and from the same noise.
    n: Annotated[int, Range(2, MOST)] = 300

    def compute(self, progress: Progress) -> StudyResult:
        """Draws by every chain once, and judges."""
        run = open_run(self.run)
        sampler, guidance = annealed_chain_of(run)
        own = (sampler if self.steps is None else replace(sampler, steps=self.steps)), guidance
        parts = self.parts(own)
        judged = self.judged(run, self.n, progress)
        chains = list(dict.fromkeys(chain for part in parts for chain in part.chains.values()))
        found: dict[Chain, Found] = {}
        for number, chain in enumerate(chains, 1):
            found[chain] = self._measured(run, judged, chain, progress)
            told = ", ".join(f"{name} {value:.3g}" for name, (value, _) in (found[chain] or {}).items()) or "diverged"
            changed = ", ".join(f"{name} {value:g}" for name, value in _differences(chain, own).items()) or "the run's"
            progress.say(f"chain {number} of {len(chains)}, {changed}: {told}")
        names = {name: judged.name(name) if name in MEANINGS else name for name in SHOWN}
        real = {name: score.value for name, score in judged.real().items() if name in SHOWN}
        record = {
            "n": self.n,
            "judge": judged.judge.name,
            "own": _settings(own),
            "parts": [
                {
                    "part": part.title,
                    "chains": [
                        {part.strength: at, "differs": _differences(chain, own)} | _scores(found[chain], names)
                        for at, chain in part.chains.items()
                    ],
                }
                for part in parts
            ],
            "real": {names[name]: value for name, value in real.items()},
        }
        return StudyResult(chain_parts_figure(parts, found, own=own, names=names, real=real), record)

    def parts(self, own: Chain) -> list[Part]:
        """The chains of each part that has some; a setting that it does not name is the run's own.

        Raises:
            InputError: none has.
        """
        sampler, guidance = own
        exaggerated = max(guidance.label, next((label for label in self.labels if label > 1), 0.0))
        led = sampler, replace(guidance, label=exaggerated)
        corrected = replace(sampler, correctors=max(sampler.correctors, 1)), guidance
        beside = [
            Part.of(
                f"classifier, g = {g:g}", "w", (sampler, replace(guidance, label=g)), "classifier", self.classifiers
            )
            for g in dict.fromkeys((guidance.label, *self.beside))
        ]
        parts = [
            Part.of("label", "g", own, "label", self.labels),
            *beside,
            Part.of(f"guided up to, g = {exaggerated:g}", "σ", led, "highest", self.up_to),
            Part.of(f"guided above, g = {exaggerated:g}", "σ", led, "lowest", self.above),
            Part.of("correctors", "steps at a level", own, "correctors", self.correctors),
            Part.of(f"Gram term, correctors {corrected[0].correctors}", "ε2", corrected, "eps2", self.gram),
            Part.of("noise levels", "N", own, "steps", self.levels),
            Part.of("first level", "σ", own, "sigma_max", self.first_level),
        ]
        parts = [part for part in parts if part.chains]
        if not parts:
            raise InputError("there is no chain to draw by; give some strengths of a part, such as --labels 1 2")
        return parts

    def _measured(self, run: TrainedRun, judged: Judged, chain: Chain, progress: Progress) -> Found:
        recipe, whole = with_annealed_chain(run, *chain), replace(self, steps=None)
        images = whole.draw_unless_diverged(run, self.n, progress, recipe)
        if images is None:
            return None
        reading, real = judged.read(images), judged.reference.everything.statistics
        assert reading.features is not None
        scores = judged.scores(reading, torch.arange(self.n) % run.model.num_classes)
        return {
            "FD": Measured(scores["FD"].value, error_of_distance(real, reading.features)),
            **{name: share_with_error(scores[name].value, self.n) for name in SHARES if name in scores},
            PASSES: Measured(passes_of(run, lambda n: whole.draw(run, n, progress, recipe)), 0.0),
        }


def passes_of(run: TrainedRun, draw: Callable[[int], object]) -> float:
    """The multiplications that one image more costs to draw, over those of one pass of the whole network.

    The part that classifies is less than a pass, and its gradient takes it backwards as well.

    Args:
        draw: draws so many images.
    """

    def cost(work: Callable[[], object]) -> int:
        with FlopCounterMode(display=False) as counted, torch.no_grad():
            work()
        return int(counted.get_total_flops())

    image = to_unit(run.splits.train.images[:1]).to(next(run.model.parameters()).device)
    one, two = (cost(partial(draw, count)) for count in (1, 2))
    return (two - one) / cost(lambda: cast(ScoreClassifier, run.model).at_noise(image, 1.0))


def chain_parts_figure(
    parts: Sequence[Part],
    found: Mapping[Chain, Found],
    *,
    own: Chain,
    names: Mapping[str, str],
    real: Mapping[str, float],
) -> Figure:
    """A column for each part and a row for each number, on one axis: what moves it, and which way.

    Args:
        names: titles of the numbers in `SHOWN`.
        real: those of real images.
    """
    figure = new_figure(COLUMN * len(parts) + 0.8, ROW * len(SHOWN) + 0.9)
    grid = figure.subplots(len(SHOWN), len(parts), sharey="row", squeeze=False)
    for row, name in enumerate(SHOWN):
        for column, part in enumerate(parts):
            axes, measured = grid[row, column], [found[chain] for chain in part.chains.values()]
            known = {at: scores[name] for at, scores in enumerate(measured) if scores and name in scores}
            plot_lines(
                axes,
                LinePanel(
                    [Line("drawn images (bars: ±2 standard errors)", list(known), list(known.values()), BLUE)],
                    title="" if row else part.title,
                    x=part.strength if name == SHOWN[-1] else "",
                    y="" if column else _title(name, names),
                    levels={"as many real images": real[name]} if name in real else {},
                    share=name in SHARES,
                    scale="linear" if name in SHARES else "log",
                ),
            )
            for at, chain in enumerate(part.chains.values()):
                if at not in known:
                    axes.text(at, 0.5, "diverged", rotation=90, transform=axes.get_xaxis_transform(), ha="center")
                elif chain == own:
                    look = {"linestyle": "none", "color": VERMILION, "label": "the run's own chain", "zorder": 4}
                    axes.plot(at, known[at].value, marker="D", markersize=7, **look)
            axes.set_xticks(range(len(part.chains)), [f"{strength:g}" for strength in part.chains])
            axes.set_xlim(-0.4, len(part.chains) - 0.6)
    legend(figure, place="upper left")
    return figure


def _title(name: str, names: Mapping[str, str]) -> str:
    return (
        f"{names[name]}\n{MEANINGS[name].better} is better"
        if name in MEANINGS
        else names[name].replace(" per", "\nper")
    )


def _scores(found: Found, names: Mapping[str, str]) -> dict[str, Any]:
    return {} if found is None else {names[name]: measured._asdict() for name, measured in found.items()}


def _settings(chain: Chain) -> dict[str, Any]:
    sampler, guidance = chain
    return {**asdict(sampler), **asdict(guidance)}


def _differences(chain: Chain, own: Chain) -> dict[str, float]:
    """The settings of a chain that are not those of the run's own."""
    kept = _settings(own)
    return {name: value for name, value in _settings(chain).items() if value != kept[name]}
