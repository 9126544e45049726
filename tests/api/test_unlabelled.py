# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A run of IGM on images whose labels it does not read: it draws images of no class, and is judged without labels."""

from __future__ import annotations

import pytest

import stic_fast
from stic_fast.api.run import Run
from stic_fast.errors import InputError
from stic_fast.training.config import DiscriminatorConfig
from stic_fast.training.igm import NegativesConfig

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return stic_fast.train(
        "igm",
        preset="digits",
        out=tmp_path_factory.mktemp("run") / "igm",
        passes=2,
        iterations=3,
        batch_size=8,
        network=DiscriminatorConfig(channels=(4,), whole="on"),
        negatives=NegativesConfig(chains=10),
        sampler={"steps": 2},
    )


def test_it_draws_images_of_no_class(run: Run) -> None:
    assert run.class_names == ("image",)
    images = run.sample(n=5, seed=1)
    assert images.shape == (5, 1, 8, 8) and images.class_names == ("image",)
    with pytest.raises(InputError, match="there is no class '3'"):
        run.sample("3")


def test_its_images_are_judged_by_what_needs_no_label(
    run: Run, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    record = run.evaluate(n=30, judge_iterations=5)
    assert record.images is not None and record.classifier is None and record.attacks is None
    keys = {row.key for row in record.images.rows}
    assert {"FD", "recall", "IS"} <= keys and not keys & {"Cls_R", "Cls_G", "MIS"}
    with pytest.raises(InputError, match="a run of igm has no classifier to evaluate; let metrics name some of images"):
        run.evaluate(n=30, metrics="classifier")
