# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a run is asked for from Python is what the command line and the parts beneath it give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import stic_fast
from stic_fast import Images, Run
from stic_fast.cli.main import main
from stic_fast.errors import InputError
from stic_fast.evaluation import ood_scores
from stic_fast.evaluation.record_form import read_record
from stic_fast.pixels import to_unit
from stic_fast.training import ImageSampler, Progress


def test_a_run_opens_and_says_what_it_is(tiny_run: Run) -> None:
    path = tiny_run.folder.path
    for place in (path, str(path)):
        run = stic_fast.load(place)
        assert isinstance(run, Run) and run.config == tiny_run.config
        assert repr(run) == f"Run({str(path)!r}: stic, 10 classes of (1, 8, 8) images)"
    assert run.class_names == tuple(map(str, range(10)))
    first = stic_fast.load(path, pass_number=1)
    assert isinstance(tiny_run.after_pass(1), Run)
    for name, value in tiny_run.after_pass(1).model.state_dict().items():
        assert torch.equal(value, first.model.state_dict()[name])


@pytest.mark.parametrize("place", ["nowhere", "pretrained:nothing"])
def test_runs_that_are_not_there(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=place):
        stic_fast.load(place)


def test_samples_are_those_of_the_command_line(tiny_run: Run, tmp_path: Path) -> None:
    out, run = tmp_path / "x.npz", str(tiny_run.folder.path)
    assert main(["sample", run, "--labels", "8,0", "--n", "6", "--seed", "3", "--out", str(out)]) == 0
    images = tiny_run.sample(["8", 0], n=3, seed=3)
    assert isinstance(images, Images) and images.shape == (6, 1, 8, 8) and images.device.type == "cpu"
    assert images.labels.tolist() == [8, 8, 8, 0, 0, 0]
    with np.load(out) as arrays:
        assert np.array_equal(images.permute(0, 2, 3, 1), arrays["arr_0"])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (None, list(range(10))),
        (3, [3]),
        ("3", [3]),
        (np.int64(3), [3]),
        ([3, "8"], [3, 8]),
        (torch.tensor([8, 3, 8]), [8, 3, 8]),
        (torch.tensor(8), [8]),
        (np.array([1, 1]), [1, 1]),
        (range(2), [0, 1]),
    ],
)
def test_labels_in_all_their_forms(tiny_run: Run, labels: Any, expected: list[int]) -> None:
    images = tiny_run.sample(labels, steps=0)
    assert images.labels.tolist() == expected
    assert len(images.flatten(1).unique(dim=0)) == len(expected), "each is another image"


def test_an_image_depends_on_class_seed_and_place_among_its_class(tiny_run: Run) -> None:
    alone = tiny_run.sample(8, n=2)
    together = tiny_run.sample([3, 8, 8], batch_size=1)
    assert torch.equal(together[1:], alone)
    assert not torch.equal(alone, tiny_run.sample(8, n=2, seed=1))


def test_steps_are_told_and_counted(tiny_run: Run) -> None:
    class Counting(Progress):
        total = done = 0

        @contextmanager
        def task(self, description: str, total: int) -> Iterator[Callable[..., None]]:
            self.total += total

            def advance(*_: object) -> None:
                self.done += 1

            yield advance

    states: list[Tensor] = []
    counting = Counting()
    images = tiny_run.sample(8, n=3, steps=5, on_step=lambda state: states.append(state.x.clone()), progress=counting)
    assert counting.total == counting.done == len(states) == 5
    assert states[0].dtype == torch.float32 and torch.equal(stic_fast.sampling.to_bytes(states[-1]), images)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda run: run.sample("cat"), "'cat'"),
        (lambda run: run.sample(10), "10"),
        (lambda run: run.sample(-1), "-1"),
        (lambda run: run.sample([]), "labels"),
        (lambda run: run.sample(1.5), "1.5"),
        (lambda run: run.sample(n=0), "n must"),
        (lambda run: run.sample(steps=-1), "steps"),
        (lambda run: run.sample(seed=-1), "seed"),
        (lambda run: run.sample(batch_size=0), "batch_size"),
        (lambda run: run.logits([[0.0]]), "list"),
        (lambda run: run.logits(torch.zeros(8, 8)), r"\(8, 8\)"),
        (lambda run: run.logits(torch.zeros(2, 3, 8, 8)), r"\(2, 3, 8, 8\)"),
        (lambda run: run.logits(torch.zeros(0, 1, 8, 8)), r"\(0, 1, 8, 8\)"),
        (lambda run: run.logits(torch.zeros(1, 8, 8, dtype=torch.int64)), "int64"),
        (lambda run: run.logits(torch.full((1, 8, 8), 255.0)), "255"),
        (lambda run: run.logits(torch.full((1, 8, 8), torch.nan)), "nan"),
        (lambda run: run.logits(torch.zeros(1, 8, 8), batch_size=0), "batch_size"),
        (lambda run: run.evaluate(judg="cnn"), "'judg'.* judge"),
        (lambda run: run.evaluate(n=0), "^n must"),
        (lambda run: run.evaluate(batch_size=0), "^batch_size must"),
        (lambda run: run.evaluate(metrics="beauty"), "^metrics must.*'beauty'"),
        (lambda run: run.evaluate(metrics=" ,"), "^metrics must"),
    ],
)
def test_what_cannot_be_is_named(tiny_run: Run, ask: Callable[[Run], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(tiny_run)


def test_scores_are_those_of_the_evaluation(any_run: Run) -> None:
    test = any_run.splits.test
    images, classes = test.images[:30], any_run.model.num_classes
    expected = ood_scores(any_run.model, images, classes)
    density = any_run.log_density(images, batch_size=7)
    assert density.dtype == torch.float64 and torch.allclose(density, expected["log_density"], atol=1e-4)
    if any_run.model.has_fake_class:
        fake = any_run.fake_probability(images)
        assert torch.allclose(fake, torch.sigmoid(-expected["real_log_odds"]), atol=1e-5)
        assert torch.allclose(fake, any_run.logits(images).double().softmax(1)[:, -1])
    else:
        with pytest.raises(InputError, match="fake"):
            any_run.fake_probability(images)
    if "score_norm" in expected:
        assert torch.allclose(any_run.score_norm(images, batch_size=7), -expected["score_norm"], atol=1e-4)
    else:
        with pytest.raises(InputError, match="score"):
            any_run.score_norm(images)


def test_images_in_all_their_forms(tiny_run: Run) -> None:
    images = tiny_run.splits.test.images[:5]
    expected = tiny_run.logits(images)
    assert expected.shape == (5, 11) and expected.dtype == torch.float32 and not expected.requires_grad
    for same in (images.numpy(), to_unit(images), to_unit(images).numpy(), to_unit(images).double()):
        assert torch.equal(tiny_run.logits(same), expected)
    one = tiny_run.logits(images[0])
    assert one.shape == (1, 11) and torch.allclose(one[0], expected[0], atol=1e-5)
    assert torch.equal(tiny_run.predict(images), expected[:, :10].argmax(1))


def test_a_reader_reads(reader: Run) -> None:
    test = reader.splits.test
    assert (reader.predict(test.images) == test.labels).float().mean() > 0.8
    assert all(parameter.requires_grad for parameter in reader.model.parameters()), "the model is left as it was"


def test_an_evaluation_is_that_of_the_command_line(own_run: Run, tmp_path: Path) -> None:
    record = own_run.evaluate(metrics="images,classifier", n=20, judge_iterations=2, seed=1)
    assert record == read_record(own_run.folder.path) and record.classifier is not None
    file = own_run.folder.path / "evaluation.json"
    of_python = json.loads(file.read_text())
    command = ["evaluate", str(own_run.folder.path), "--metrics", "images,classifier", "--n", "20", "--seed", "1"]
    assert main([*command, "--judge-iterations", "2"]) == 0
    of_command = json.loads(file.read_text())
    for written in (of_python, of_command):
        del written["seconds"]
    assert of_python == of_command


def test_an_evaluation_is_of_the_newest_checkpoint(own_run: Run) -> None:
    with pytest.raises(InputError, match="newest checkpoint"):
        own_run.after_pass(1).evaluate(metrics="classifier")
    with torch.no_grad():
        next(own_run.model.parameters()).add_(1)
    with pytest.raises(InputError, match="newest checkpoint"):
        own_run.evaluate(metrics="classifier")
    assert not (own_run.folder.path / "evaluation.json").exists()


def test_a_run_is_what_the_parts_beneath_take(tiny_run: Run) -> None:
    drawn = ImageSampler(tiny_run, seed=0).of_classes(torch.tensor([8, 8]), Progress())
    assert torch.equal(drawn, tiny_run.sample(8, n=2))
