# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""INN, ICN and WINN: what each head learns, what a critic's zero is, and the networks that images go through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from stic_fast.data import Splits
from stic_fast.noise_addresses import POOL
from stic_fast.pixels import to_bytes
from stic_fast.sampling import Adam, draw_hard, draw_images
from stic_fast.training import (
    Icn,
    IcnConfig,
    Igm,
    IgmConfig,
    Inn,
    InnConfig,
    RunConfig,
    TrainedRun,
    Winn,
    WinnConfig,
    open_run,
    train,
)
from stic_fast.training.config import DiscriminatorConfig
from stic_fast.training.igm import NegativesConfig, PatchConfig, Told

pytestmark = pytest.mark.usefixtures("one_thread")

NETWORK = DiscriminatorConfig(channels=(4,), whole="on")


def method_of(kind: type[Inn], config: InnConfig, splits: Splits) -> Inn:
    torch.manual_seed(0)
    return kind(kind.build(config, splits), splits, config)


def told(seed: int, classes: int = 3) -> Told:
    generator = torch.Generator().manual_seed(seed)
    odds = torch.randn(6, classes, 1, 1, generator=generator)
    return Told(torch.randn(6, 1, 8, 8, generator=generator), torch.arange(6) % classes, odds)


def terms_of(kind: type[Inn], config: InnConfig, splits: Splits) -> tuple[Mapping[str, Tensor], Told, Told]:
    real, drawn = told(1), told(2)
    loss = method_of(kind, config, splits).told_apart(real, drawn, 0)
    descended = [term for name, term in loss.terms.items() if name.startswith("loss_")]
    torch.testing.assert_close(cast(Tensor, loss.total), torch.stack(descended).sum())
    return loss.terms, real, drawn


def test_each_head_learns_of_its_own_class_alone(splits: Splits) -> None:
    config = InnConfig(network=NETWORK, batch_size=6, negatives=NegativesConfig(chains=9))
    terms, real, drawn = terms_of(Inn, config, splits)
    rows = range(6)
    own = [torch.stack([each.odds[row, row % 3, 0, 0] for row in rows]) for each in (real, drawn)]
    torch.testing.assert_close(terms["loss_real"], softplus(-own[0]).mean())
    torch.testing.assert_close(terms["loss_drawn"], softplus(own[1]).mean())
    method = method_of(Inn, config, splits)
    assert method.classes.tolist() == [0, 1, 2] * 3, "chains ask for each class in turn"
    loss = method.loss(3)
    real_rows, of = method.real.patches(0, 3, (8, 8))
    odds = cast(Any, method.model).logits_and_features(real_rows, ["log_odds"])[1][0]
    expected = torch.stack([softplus(-odds[row, splits.train.labels[of[row]], 0, 0]) for row in range(6)]).mean()
    torch.testing.assert_close(loss.terms["loss_real"], expected)


def test_icn_weighs_classes_against_introspection(splits: Splits) -> None:
    for share in (0.0, 0.25, 1.0):
        config = IcnConfig(network=NETWORK, introspection=share, negatives=NegativesConfig(chains=9))
        terms, real, drawn = terms_of(Icn, config, splits)
        logits = real.odds[:, :, 0, 0]
        of_class = -logits.log_softmax(1)[torch.arange(6), real.classes].mean()
        torch.testing.assert_close(terms["loss_class"], (1 - share) * of_class)
        torch.testing.assert_close(terms["loss_drawn"], share * softplus(drawn.own).mean())
        assert terms["accuracy"] == (logits.argmax(1) == real.classes).float().mean()


def test_winns_penalty_is_that_of_its_slope(splits: Splits) -> None:
    """A linear critic has one slope everywhere, so the penalty is known: (‖w‖ − 1)² for each row's own head."""
    config = WinnConfig(network=NETWORK, batch_size=6, penalty=5.0, negatives=NegativesConfig(chains=9))
    method = method_of(Winn, config, splits)
    weights = torch.randn(3, 64, generator=torch.Generator().manual_seed(4), requires_grad=True)

    class Linear(nn.Module):
        def logits_and_features(self, x: Tensor, names: object) -> tuple[Tensor, list[Tensor]]:
            odds = x.flatten(1) @ weights.T
            return odds, [odds[:, :, None, None]]

    method.model = cast(Any, Linear())
    real, drawn = told(1), told(2)
    loss = method.told_apart(real, drawn, 0)
    distance = real.own.mean() - drawn.own.mean()
    penalty = 5.0 * (weights.norm(dim=1)[torch.arange(6) % 3] - 1).square().mean()
    torch.testing.assert_close(loss.terms["loss_distance"], -distance)
    torch.testing.assert_close(loss.terms["loss_penalty"], penalty.detach())
    (gradient,) = torch.autograd.grad(cast(Tensor, loss.total), weights)
    (expected,) = torch.autograd.grad(penalty, weights)
    torch.testing.assert_close(gradient, expected)


def test_a_critics_zero_is_its_mean_of_real_images(splits: Splits) -> None:
    method = cast(Winn, method_of(Winn, WinnConfig(network=NETWORK, negatives=NegativesConfig(chains=9)), splits))
    before = {name: value.clone() for name, value in method.model.state_dict().items()}
    method._level(7)
    after = method.model.state_dict()
    assert [name for name in after if not torch.equal(after[name], before[name])] == ["head.bias"]
    images = splits.train.images / 127.5 - 1
    odds = method.model(images)
    for label in range(3):
        own = odds[splits.train.labels == label, label]
        assert abs(own.mean()) < 0.2 * own.std(), "of all of them, within the error of a sample"


@pytest.fixture(scope="module")
def winn(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    config = WinnConfig(
        passes=6,
        iterations=3,
        batch_size=8,
        network=NETWORK,
        networks=3,
        negatives=NegativesConfig(chains=20, rounds=2, stop=1.0),
        sampler=Adam(steps=5, eps1=0.05),
    )
    return train(config, tmp_path_factory.mktemp("winn") / "run")


def test_images_go_through_each_network_as_its_last_round_left_it(winn: TrainedRun) -> None:
    """A chain that begins where the first network's last round began, and goes through all three, ends as it did."""
    opened = open_run(winn.folder.path)
    assert [len(each.recipe.stages) for each in (opened, opened.after_pass(3), opened.after_pass(2))] == [3, 2, 1]
    state = winn.folder.newest_checkpoint().load_state()["method"]
    train_set, ids = winn.splits.train, POOL.ids(20)
    classes = torch.arange(20) % 10
    asked = draw_hard(train_set.labels, classes, ids, seed=0)
    start = opened.recipe.of_images((1, 8, 8)).space.start(ids, seed=0, step=1)
    drawn = draw_images(
        opened.model, opened.recipe, asked, train_set.images, train_set.labels, seed=0, chain_ids=ids, starts=start
    )
    assert torch.equal(state["left"], state["negatives"][-1])
    assert (drawn.int() - to_bytes(state["left"]).int()).abs().max() <= 1, "but for rounding"


def test_igm_sees_no_labels(tmp_path: Path, tiny_of: Mapping[str, RunConfig]) -> None:
    config = cast(IgmConfig, tiny_of["igm"])
    whole = replace(config, patches=PatchConfig(side=None), network=DiscriminatorConfig(channels=(8,), whole="on"))
    run = train(replace(whole, passes=1), tmp_path / "run")
    assert run.class_names == ("image",) and run.model.num_classes == 1
    assert run.splits.train.num_classes == 10, "for a judge that knows them"
    assert Igm.evaluation == ("images",)
    method = Igm(run.model, run.images.seen, config)
    assert not method.splits.train.labels.any() and not open_run(tmp_path / "run").images.seen.train.labels.any()
