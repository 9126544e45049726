# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study chain-parts`: every chain is the run's own with what its part says, and what that costs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from stic_fast.errors import Diverged, InputError
from stic_fast.sampling import AnnealedGRMALA, ClassScore, Guidance, NoiseSpace, Recipe, Stage
from stic_fast.studies import STUDIES, Judged
from stic_fast.studies.chain_parts import PASSES, ChainParts
from stic_fast.studies.diversity import Diversity
from stic_fast.studies.gram_layers import GramLayers
from stic_fast.studies.step_sizes import StepSizes
from stic_fast.training import ImageSampler, Progress, open_run, train
from stic_fast.training.config import ScoreNetworkConfig
from stic_fast.training.score_stic import FakesConfig, ScoreConfig, ScoreSticConfig

OWN = AnnealedGRMALA(steps=3, sigma_max=20.0)
QUICK: dict[str, Any] = {"n": 20, "judge_iterations": 5}


@pytest.fixture(scope="module")
def score_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One pass on the digits, trained in a second."""
    path = tmp_path_factory.mktemp("studies") / "score"
    config = ScoreSticConfig(
        passes=1,
        iterations=3,
        batch_size=2,
        network=ScoreNetworkConfig(channels=(8, 8)),
        score=ScoreConfig(denoised=8),
        fakes=FakesConfig(images=2, sampler=OWN),
        sampler=OWN,
        log_every=1,
    )
    train(config, path)
    return path


def test_chains_are_the_runs_own_with_one_part_changed(score_run: Path) -> None:
    study = ChainParts(
        score_run,
        labels=(1.0, 2.5),
        classifiers=(0.0, 1.0),
        beside=(0.0,),
        up_to=(5.0,),
        above=(0.5,),
        correctors=(0, 2),
        gram=(0.0, 3.0),
        levels=(3, 5),
        first_level=(10.0,),
        **QUICK,
    )
    parts = {part.title: part.chains for part in study.parts((OWN, Guidance()))}
    corrected = replace(OWN, correctors=1)
    assert parts == {
        "label": {1.0: (OWN, Guidance()), 2.5: (OWN, Guidance(2.5))},
        "classifier, g = 1": {0.0: (OWN, Guidance()), 1.0: (OWN, Guidance(1.0, 1.0))},
        "classifier, g = 0": {0.0: (OWN, Guidance(0.0)), 1.0: (OWN, Guidance(0.0, 1.0))},
        "guided up to, g = 2.5": {5.0: (OWN, Guidance(2.5, highest=5.0))},
        "guided above, g = 2.5": {0.5: (OWN, Guidance(2.5, lowest=0.5))},
        "correctors": {0: (OWN, Guidance()), 2: (replace(OWN, correctors=2), Guidance())},
        "Gram term, correctors 1": {0.0: (corrected, Guidance()), 3.0: (replace(corrected, eps2=3.0), Guidance())},
        "noise levels": {3: (OWN, Guidance()), 5: (replace(OWN, steps=5), Guidance())},
        "first level": {10.0: (replace(OWN, sigma_max=10.0), Guidance())},
    }
    finding = study.compute(Progress())
    record = finding.record
    assert json.loads(json.dumps(record)) == record and record["own"]["steps"] == 3 and record["own"]["label"] == 1.0
    rows = {(part["part"], index): row for part in record["parts"] for index, row in enumerate(part["chains"])}
    assert rows["noise levels", 1]["differs"] == {"steps": 5} and rows["label", 0]["differs"] == {}
    assert rows["guided above, g = 2.5", 0]["differs"] == {"label": 2.5, "lowest": 0.5}

    run = open_run(score_run)
    judged = Judged.of(run, n=20, seed=0, judge_iterations=5, progress=Progress())
    for place, (sampler, guidance) in {
        ("label", 0): (OWN, Guidance()),
        ("classifier, g = 0", 1): (OWN, Guidance(0.0, 1.0)),
        ("Gram term, correctors 1", 1): (replace(OWN, correctors=1, eps2=3.0), Guidance()),
        ("first level", 0): (replace(OWN, sigma_max=10.0), Guidance()),
    }.items():
        recipe = Recipe(Stage(sampler, ClassScore(guidance)), NoiseSpace(sigma=sampler.sigma_max))
        images = ImageSampler(run, 0, recipe=recipe).of_numbers(torch.arange(20), Progress())
        wanted = judged.scores(images, torch.arange(20) % 10)
        for name in ("FD", "recall", "Cls_R"):
            assert rows[place][f"{name}-cnn@20"]["value"] == pytest.approx(wanted[name].value, rel=1e-6)
    assert record["real"].keys() == {"FD-cnn@20", "recall-cnn@20", "Cls_R-cnn@20"}

    passes = {place: row[PASSES]["value"] for place, row in rows.items()}
    assert passes["label", 0] == pytest.approx(5, rel=0.01), "two at each level, one at the last"
    assert passes["label", 1] == pytest.approx(10, rel=0.01), "with and without the label"
    assert passes["correctors", 1] == pytest.approx(9, rel=0.01)
    assert passes["noise levels", 1] == pytest.approx(9, rel=0.01)
    assert 5 < passes["classifier, g = 1", 1] < 15 and passes["Gram term, correctors 1", 1] > 9
    assert passes["Gram term, correctors 1", 0] == pytest.approx(7, rel=0.01)

    figure = finding.figure
    FigureCanvasAgg(figure).draw()
    grid = [axes.get_subplotspec() for axes in figure.axes]
    assert len(figure.axes) == 4 * len(parts) and {place.rowspan.start for place in grid} == {0, 1, 2, 3}
    assert [axes.get_title(loc="left") for axes in figure.axes[: len(parts)]] == list(parts)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["1", "2.5"]
    assert "FD-cnn@20" in figure.axes[0].get_ylabel()
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"as many real images", "the run's own chain"} < legend


def test_a_chain_that_diverges_leaves_its_place_empty(score_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = AnnealedGRMALA.run

    def guarded(sampler: AnnealedGRMALA, *args: Any, **options: Any) -> Any:
        if sampler.eps2 > 1e30:
            raise Diverged("all chains diverged to NaN")
        return run(sampler, *args, **options)

    monkeypatch.setattr(AnnealedGRMALA, "run", guarded)
    empty = ("labels", "classifiers", "up_to", "above", "correctors", "levels", "first_level")
    study = ChainParts(score_run, gram=(0.0, 3e38), steps=2, **dict.fromkeys(empty, ()), **QUICK)
    finding = study.compute(Progress())
    (gram,) = finding.record["parts"]
    assert PASSES in gram["chains"][0] and gram["chains"][1] == {"ε2": 3e38, "differs": {"correctors": 1, "eps2": 3e38}}
    assert finding.record["own"]["steps"] == 2, "--steps is of every chain"
    assert [text.get_text() for axes in finding.figure.axes for text in axes.texts] == ["diverged"] * 4


@pytest.mark.parametrize("study", [StepSizes, GramLayers, Diversity])
def test_studies_of_chains_at_one_level_refuse_it(score_run: Path, study: Any) -> None:
    with pytest.raises(InputError, match="noise levels"):
        study(score_run).compute(Progress())


def test_nothing_to_draw_is_refused(score_run: Path) -> None:
    empty = ("labels", "classifiers", "up_to", "above", "correctors", "gram", "levels", "first_level")
    with pytest.raises(InputError, match="--labels"):
        ChainParts(score_run, **dict.fromkeys(empty, ()), **QUICK).compute(Progress())


def test_a_run_of_another_kind_is_refused(tiny_run: Path) -> None:
    assert STUDIES["chain-parts"] is ChainParts
    with pytest.raises(InputError, match="noise levels"):
        ChainParts(tiny_run, **QUICK).compute(Progress())
