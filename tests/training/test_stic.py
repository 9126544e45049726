# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""STIC's four terms, its fakes, and that training by them learns."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from stic_fast.data import ImageSet, Splits
from stic_fast.errors import InputError
from stic_fast.models import WideResNet
from stic_fast.noise_addresses import BATCH_ROWS, MIXUP_ORDER, REAL_ORDER
from stic_fast.ops import vrm_batch
from stic_fast.pixels import to_unit
from stic_fast.sampling import ChainPool
from stic_fast.training import (
    OptimiserConfig,
    Progress,
    RunFolder,
    Stic,
    SticConfig,
    VicinityConfig,
    build_network,
    real_batches,
    train,
)
from stic_fast.training.batch_order import BatchOrder

KINDS = ["real", "mixup", "hard_fake", "soft_fake"]


class Call(NamedTuple):
    """What vrm_batch was asked for."""

    images: Tensor
    labels: Tensor
    options: dict[str, Any]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Every call of vrm_batch that the method makes."""
    made: list[Call] = []

    def recording(images: Tensor, labels: Tensor, **options: Any) -> Any:
        asked = inspect.signature(vrm_batch).bind(images, labels, **options)
        asked.apply_defaults()
        made.append(Call(images, labels, asked.kwargs))
        return vrm_batch(images, labels, **options)

    monkeypatch.setattr(real_batches, "vrm_batch", recording)
    return made


def method_of(config: SticConfig, splits: Splits) -> Stic:
    return Stic(build_network(config, splits), splits, config)


def cross_entropy(model: WideResNet, x: Tensor, y: Tensor) -> Tensor:
    logits = model(x)
    return -(y * (logits - logits.logsumexp(1, keepdim=True))).sum(1).mean()


def test_pass_one_takes_blank_images_as_fakes(tiny: SticConfig, splits: Splits, calls: list[Call]) -> None:
    method = method_of(tiny, splits)
    assert method.start_pass(1, Progress()) == []
    method.loss(0)
    assert len(calls) == 3 and method.pool is None
    for call in calls[:2]:
        assert bool((call.labels.argmax(1) < 3).all()) and len(call.images.unique()) > 2
    for call in calls[2:]:
        assert call.images.dtype == torch.uint8 and call.images.shape == (16, 1, 8, 8)
        assert bool((call.images == 255).all()) and bool((call.labels.argmax(1) == 3).all())


def test_the_four_terms_of_equation_5_by_hand(tiny: SticConfig, splits: Splits) -> None:
    options = VicinityConfig(noise_std=0.2, mixup_alpha=0.7, flip_probability=0.5, max_shift=1)
    config = dataclasses.replace(tiny, augmentation=options, seed=9)
    method = method_of(config, splits)
    method.start_pass(1, Progress())
    loss = method.loss(5)

    train_set = splits.train
    blank = torch.full((8, 1, 8, 8), 255, dtype=torch.uint8)
    expected = {}
    for place, kind in enumerate(KINDS):
        real = place < 2
        rows = BatchOrder(count=30, batch_size=8, seed=9, ids=(REAL_ORDER, MIXUP_ORDER)[place % 2]).rows(5)
        x, y = vrm_batch(
            train_set.images[rows] if real else blank,
            train_set.labels[rows] if real else torch.full((8,), 3),
            num_classes=4,
            mixup_alpha=0.7 if kind == "mixup" else None,
            noise_std=0.2,
            flip_probability=0.5 if real else 0.0,
            max_shift=1 if real else 0,
            seed=9,
            step=5,
            chain_ids=BATCH_ROWS.ids(8, start=8 * place),
        )
        expected[f"loss_{kind}"] = cross_entropy(method.model, x, y)  # type: ignore[arg-type]
        if kind == "real":
            accuracy = (method.model(x)[:, :3].argmax(1) == y.argmax(1)).float().mean()
    assert list(loss.terms) == ["loss", *expected, "accuracy"]
    for name, value in expected.items():
        torch.testing.assert_close(loss.terms[name], value.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(loss.total, sum(expected.values()), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(loss.terms["accuracy"], accuracy)
    assert loss.total.requires_grad and not any(term.requires_grad for term in loss.terms.values())


def test_the_four_batches_share_no_noise(tiny: SticConfig, splits: Splits, calls: list[Call]) -> None:
    method_of(tiny, splits).loss(2)
    ids = torch.cat([call.options["chain_ids"] for call in calls])
    assert len(ids.unique()) == 32
    # Hard fakes, all blank: what differs between their rows, and between the kinds, is the instance noise.
    fakes = [vrm_batch(call.images, call.labels, **call.options).x - 1 for call in calls[2:]]
    assert abs(float(torch.cat(fakes).std()) - 0.3) < 0.03
    flat = torch.cat(fakes).flatten(1)
    assert float(torch.corrcoef(flat).fill_diagonal_(0).abs().max()) < 0.6, "64 numbers: five sigmas are 5 / 8"


def test_batches_and_pool_conditions_share_no_noise(tiny: SticConfig, splits: Splits, calls: list[Call]) -> None:
    """Both read the mixup stream, one at the iteration, the other at the round."""
    method = method_of(tiny, splits)
    method.start_pass(2, Progress())
    method.loss(0)
    assert method.pool is not None
    assert not set(method.pool.ids.tolist()) & {int(i) for call in calls for i in call.options["chain_ids"]}


def test_without_vrm_there_are_two_terms_and_no_soft_chains(
    tiny: SticConfig, splits: Splits, calls: list[Call]
) -> None:
    method = method_of(dataclasses.replace(tiny, vrm="off"), splits)
    method.start_pass(1, Progress())
    loss = method.loss(0)
    assert list(loss.terms) == ["loss", "loss_real", "loss_hard_fake", "accuracy"]
    torch.testing.assert_close(loss.terms["loss"], loss.terms["loss_real"] + loss.terms["loss_hard_fake"])
    assert len(calls) == 2 and all(call.options["mixup_alpha"] is None for call in calls)
    method.start_pass(2, Progress())
    assert method.pool is not None and method.pool.hard == len(method.pool) == 8
    assert torch.equal(method.pool.condition.first, method.pool.condition.second)
    method.loss(6)
    assert len(calls) == 4


@pytest.mark.parametrize(("chains", "hard"), [(8, 4), (9, 5), (2, 1)])
def test_the_pool_is_half_hard_and_half_soft(tiny: SticConfig, splits: Splits, chains: int, hard: int) -> None:
    config = dataclasses.replace(tiny, pool=dataclasses.replace(tiny.pool, chains=chains))
    method = method_of(config, splits)
    method.start_pass(2, Progress())
    assert method.pool is not None and (method.pool.hard, len(method.pool)) == (hard, chains)
    assert bool((method.pool.condition.weight[hard:] < 1).all())


def test_the_pool_is_drawn_once_a_pass_and_serves_its_fakes(
    tiny: SticConfig, splits: Splits, calls: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Any, ...]] = []
    evolve, restart = ChainPool.evolve, ChainPool.restart

    def recording_evolve(pool: ChainPool, model: Any, **options: Any) -> Any:
        drawn.append(("evolve", pool.recipe.stages[0].sampler, pool.recipe.stages[0].normalize, options["batch_size"]))
        return evolve(pool, model, **options)

    def recording_restart(pool: ChainPool, probability: float) -> int:
        drawn.append(("restart", probability))
        return restart(pool, probability)

    monkeypatch.setattr(ChainPool, "evolve", recording_evolve)
    monkeypatch.setattr(ChainPool, "restart", recording_restart)
    options = dataclasses.replace(tiny.pool, restart_probability=0.25)
    config = dataclasses.replace(tiny, pool=options, normalize="relative")
    method = method_of(config, splits)
    one_draw = ("evolve", options.sampler, "relative", 8)

    records = method.start_pass(2, Progress())
    assert drawn == [one_draw], "a new pool's chains all begin on a canvas"
    assert [(record["kind"], record["step"]) for record in records] == [("chain", 0), ("chain", 1)]
    pool = method.pool
    assert pool is not None and pool.steps_done == 2
    states = pool.states.clone()
    used: list[set[int]] = [set(), set()]
    for iteration in range(6, 12):
        calls.clear()
        method.loss(iteration)
        assert bool((calls[2].labels.argmax(1) == 3).all())
        for soft, images in enumerate(calls[2].images.split(8)):
            part = states[4 * soft : 4 * soft + 4]
            matches = (images[:, None] == part[None]).flatten(2).all(2)
            assert bool(matches.any(1).all()), "every fake is a chain of its half of the pool"
            used[soft] |= set(matches.int().argmax(1).tolist())
    assert used == [{0, 1, 2, 3}] * 2, "48 draws of four chains reach them all"
    assert len(drawn) == 1 and torch.equal(pool.states, states)

    records = method.start_pass(3, Progress())
    assert drawn[1:] == [("restart", 0.25), one_draw] and method.pool is pool
    assert [record["step"] for record in records] == [2, 3], "continued chains go on with new noise"


def test_fakes_are_neither_flipped_nor_shifted_nor_mixed(tiny: SticConfig, splits: Splits, calls: list[Call]) -> None:
    options = VicinityConfig(flip_probability=0.5, max_shift=1)
    method_of(dataclasses.replace(tiny, augmentation=options), splits).loss(0)
    names = ("flip_probability", "max_shift", "mixup_alpha", "noise_std")
    asked = [tuple(call.options[name] for name in names) for call in calls]
    assert asked == [(0.5, 1, None, 0.3), (0.5, 1, 1.0, 0.3), (0.0, 0, None, 0.3)]


def test_fakes_as_floats_get_the_noise_of_fakes_as_bytes(tiny: SticConfig, splits: Splits) -> None:
    real, images, labels = method_of(tiny, splits).real, splits.train.images[:8], torch.full((8,), 3)
    (x, y), (as_bytes, same) = (real.of_drawn(form, labels, 2, 5) for form in (to_unit(images), images))
    torch.testing.assert_close(x, as_bytes)
    assert torch.equal(y, same) and y.argmax(1).tolist() == [3] * 8


def test_the_references_of_the_pool_are_as_configured(tiny: SticConfig, splits: Splits) -> None:
    method = method_of(dataclasses.replace(tiny, references=2), splits)
    method.start_pass(2, Progress())
    assert method.pool is not None and method.pool.condition.first.shape == (8, 2)


def test_fakes_differ_from_iteration_to_iteration(tiny: SticConfig, splits: Splits, calls: list[Call]) -> None:
    method = method_of(tiny, splits)
    method.start_pass(2, Progress())
    for iteration in (6, 7, 6):
        method.loss(iteration)
    first, second, again = (calls[3 * i + 2].images for i in range(3))
    assert torch.equal(first, again) and not torch.equal(first, second)
    assert not torch.equal(*first.split(8)), "hard and soft ones are others"


def test_the_end_of_a_pass_tests_and_draws(tiny: SticConfig, splits: Splits, tmp_path: Path) -> None:
    method, run = method_of(tiny, splits), RunFolder.create(tmp_path / "run", "stic", {})
    said: list[str] = []

    class Listen(Progress):
        def say(self, message: str) -> None:
            said.append(message)

    (record,) = method.end_pass(3, run, Listen())
    x = splits.test.images.float() / 127.5 - 1
    hits = (method.model(x)[:, :3].argmax(1) == splits.test.labels).float().mean()
    assert record == {"kind": "evaluation", "test_accuracy": pytest.approx(hits.item())}
    picture = run.path / "samples" / "pass_003.png"
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert said == [f"pass 3: test accuracy {hits:.3f}, samples in {picture}"]
    picture.unlink()
    method.end_pass(3, run, Progress())
    first = picture.read_bytes()
    method.end_pass(3, run, Progress())
    assert picture.read_bytes() == first


def test_a_picture_that_cannot_be_written(tiny: SticConfig, splits: Splits, tmp_path: Path) -> None:
    method, run = method_of(tiny, splits), RunFolder.create(tmp_path / "run", "stic", {})
    run.picture("samples", "pass_001.png").mkdir()
    with pytest.raises(InputError, match=r"samples/pass_001\.png cannot be written"):
        method.end_pass(1, run, Progress())


def test_the_state_goes_with_its_images(tiny: SticConfig, splits: Splits) -> None:
    method = method_of(tiny, splits)
    empty = method.state_dict()
    assert empty["pool"] is None
    method.start_pass(2, Progress())
    saved = method.state_dict()
    other = method_of(tiny, splits)
    other.load_state_dict(saved)
    assert other.pool is not None and method.pool is not None
    assert torch.equal(other.pool.states, method.pool.states) and other.pool.steps_done == 2
    other.load_state_dict(empty)
    assert other.pool is None
    changed = splits.train.images.clone()
    changed[7, 0, 0, 0] += 1
    train_set = ImageSet(changed, splits.train.labels, splits.train.class_names, "noise")
    with pytest.raises(InputError, match="training images of digits changed"):
        method_of(tiny, Splits(train_set, splits.test)).load_state_dict(saved)


@pytest.mark.parametrize("vrm", ["on", "off"])
def test_thirty_iterations_on_the_digits_learn(tiny: SticConfig, tmp_path: Path, vrm: Any) -> None:
    config = dataclasses.replace(
        tiny, vrm=vrm, passes=1, iterations=30, batch_size=32, log_every=1, optimiser=OptimiserConfig(lr=3e-3)
    )
    run = train(config, tmp_path / "run")
    records = run.folder.read_metrics()
    losses = [record["loss"] for record in records if record["kind"] == "train"]
    terms = 4 if vrm == "on" else 2
    assert sum(losses[:3]) / 3 < 2.6 * terms and sum(losses[-3:]) < 0.5 * sum(losses[:3])
    assert records[-1]["test_accuracy"] > 0.6, "chance is 0.1"


def test_refreshed_chains_come_from_the_classifier_of_the_pass_before(
    tiny: SticConfig, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(tiny, pool=dataclasses.replace(tiny.pool, refresh=3))
    method = method_of(config, splits)
    method.start_pass(2, Progress())
    before = {name: weight.clone() for name, weight in method.model.state_dict().items()}
    drawn: list[tuple[list[int], Any]] = []
    restarted: list[tuple[float, list[int]]] = []
    monkeypatch.setattr(ChainPool, "restart", lambda _, share, rows: restarted.append((share, rows.tolist())))
    monkeypatch.setattr(ChainPool, "evolve", lambda _, model, rows: drawn.append((rows.tolist(), model)))
    for iteration in range(6, 10):
        with torch.no_grad():
            for weight in method.model.parameters():
                weight += 0.1
        method.loss(iteration)
    assert [rows for rows, _ in drawn] == [[2, 3, 4], [5, 6, 7], [0, 1, 2], [3, 4, 5]], "round and round the pool of 8"
    assert restarted == [(1.0, rows) for rows, _ in drawn]
    for _, model in drawn:
        assert model is not method.model
        assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())

    other = method_of(config, splits)
    other.load_state_dict(method.state_dict())
    assert other.previous is not None
    assert all(torch.equal(weight, before[name]) for name, weight in other.previous.state_dict().items())


def test_without_refresh_no_classifier_is_copied(tiny: SticConfig, splits: Splits) -> None:
    method = method_of(tiny, splits)
    method.start_pass(2, Progress())
    assert method.previous is None and method.state_dict()["previous"] is None
