# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The base class: names are checked, features come in the order asked, the fake class is the last logit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import Classifier


class Doubler(Classifier):
    """Layer k is x * 2^k; the logits are the means of x over positions."""

    def __init__(self, *, has_fake_class: bool = True, num_classes: int = 2, depth: int = 3) -> None:
        names = [f"layer{k}" for k in range(depth)]
        super().__init__(
            num_classes=num_classes, has_fake_class=has_fake_class, layer_names=names, gram_layers=names[-1:]
        )
        self.asked: list[frozenset[str]] = []

    def forward_keeping(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        self.asked.append(names)
        return x.mean((2, 3)), {name: x * 2 ** int(name.removeprefix("layer")) for name in names}


def test_features_come_in_the_order_asked_from_one_pass() -> None:
    model = Doubler()
    x = torch.randn(4, 3, 2, 2)
    logits, features = model.logits_and_features(x, ["layer2", "layer0", "layer2"])
    assert torch.equal(logits, x.mean((2, 3)))
    assert [torch.equal(f, x * k) for f, k in zip(features, (4, 1, 4), strict=True)] == [True] * 3
    assert model.asked == [frozenset({"layer0", "layer2"})]


def test_forward_asks_for_no_feature() -> None:
    model = Doubler()
    x = torch.randn(4, 3, 2, 2)
    assert torch.equal(model(x), x.mean((2, 3)))
    assert model.asked == [frozenset()]


def test_fake_class_is_the_last_logit() -> None:
    with_fake, without = Doubler(), Doubler(has_fake_class=False)
    assert (with_fake.fake_class, with_fake.num_logits) == (2, 3)
    assert (without.fake_class, without.num_logits) == (None, 2)


def test_class_logits_leave_out_the_fake_class() -> None:
    logits = torch.tensor([[1.0, 2.0, 9.0]])
    assert Doubler().class_logits(logits).tolist() == [[1.0, 2.0]]
    assert Doubler(has_fake_class=False).class_logits(logits[:, :2]).tolist() == [[1.0, 2.0]]
    with pytest.raises(InputError, match=r"^logits .*\(1, 3\)"):
        Doubler(has_fake_class=False).class_logits(logits)


@pytest.mark.parametrize(
    ("depth", "layers", "told"),
    [
        (3, ["layer0", "layer9"], "'layer9'; close matches: .*layer2.*all 3"),
        (3, ["zzz"], "'zzz'; .*layer0, layer1, layer2$"),
        (50, ["zzz"], "layer39, and 10 more "),
        (3, "layer1", r"\['layer1'\]"),
    ],
)
def test_unknown_layers_name_the_close_ones_or_all(depth: int, layers: list[str], told: str) -> None:
    with pytest.raises(InputError, match=f"^layers .*{told}"):
        Doubler(depth=depth).logits_and_features(torch.zeros(1, 3, 2, 2), layers)


def test_bytes_and_no_classes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^x .*uint8"):
        Doubler()(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
    with pytest.raises(InputError, match=r"^num_classes "):
        Doubler(num_classes=0)


def test_a_subclass_must_define_the_pass() -> None:
    bare = Classifier(num_classes=2, has_fake_class=False, layer_names=[], gram_layers=[])
    with pytest.raises(NotImplementedError, match="forward_keeping"):
        bare(torch.zeros(1, 3, 2, 2))
