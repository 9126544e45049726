# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Prepared weights change the speed of a pass: not the model, and its results by rounding at most."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.models import Classifier, FixedPasses, WideResNet, wrap
from stic_fast.models import fixed_passes as module
from stic_fast.models.fixed_passes import PreparedWeights, multiplies_bf16
from stic_fast.models.packed_convolution import PackedConvolution, packs

LAYOUTS = ["plain", "channels_last", "packed"]
needs_packing = pytest.mark.skipif(not packs(torch.float32), reason="packs on x86 with oneDNN only")


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


@pytest.fixture(autouse=True)
def _pack_small_weights_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALLEST_PACKED", 1)


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(0)
    return WideResNet(depth=10, width=1, num_classes=3, in_channels=1).requires_grad_(False).eval()


@pytest.fixture
def x() -> Tensor:
    return torch.rand((6, 1, 9, 8), generator=torch.Generator().manual_seed(1)) * 2 - 1


def everything(passes: Any, x: Tensor, layers: tuple[str, ...] = ("conv4", "conv10")) -> list[Tensor]:
    """Logits, features, and the gradient of a function of all of them in x."""
    x = x.detach().clone().requires_grad_(True)
    logits, features = passes(x, layers)
    total = logits.float().logsumexp(1).sum() + sum(feature.float().square().mean() for feature in features)
    return [logits.detach(), *(feature.detach() for feature in features), torch.autograd.grad(total, x)[0]]


def under_autocast(model: Classifier) -> Any:
    def passes(x: Tensor, layers: tuple[str, ...]) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return model.logits_and_features(x, layers)

    return passes


def assert_all_close(ours: list[Tensor], theirs: list[Tensor], share: float) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype and mine.shape == other.shape
        assert (mine - other).norm() <= share * other.norm()


def state(model: nn.Module) -> list[tuple[Any, ...]]:
    return [(n, id(p), p.data_ptr(), p.dtype, p.stride(), p._version) for n, p in model.named_parameters()]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fp32_agrees_within_rounding(model: Classifier, x: Tensor, layout: Any) -> None:
    before = state(model)
    ours = everything(FixedPasses(model, layout=layout), x)
    assert state(model) == before
    theirs = everything(model.logits_and_features, x)
    assert_all_close(ours, theirs, 0.0 if layout == "plain" else 1e-5)
    for feature in ours[1:3]:
        assert feature.is_contiguous(memory_format=torch.channels_last) == (layout != "plain")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bf16_is_autocast(model: Classifier, x: Tensor, layout: Any) -> None:
    before = state(model)
    theirs = everything(under_autocast(model), x)
    ours = everything(FixedPasses(model, precision="bf16", layout=layout), x)
    assert state(model) == before
    assert ours[0].dtype == torch.float32 and ours[1].dtype == torch.bfloat16
    if layout == "plain":
        assert all(map(torch.equal, ours, theirs)), "prepared weights must give the bits of autocast"
    assert_all_close(ours, theirs, 0.02)


def test_auto_is_bf16_where_the_hardware_multiplies_it(
    model: Classifier, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for capabilities, precision in (
        ({"amx_bf16": True, "avx512_bf16": True}, "bf16"),
        ({"amx_bf16": False, "avx512_bf16": True}, "bf16"),
        ({"avx512_f": True}, "fp32"),
        ({}, "fp32"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda answer=capabilities: answer, raising=False)
        automatic = everything(FixedPasses(model, precision="auto"), x)
        assert all(map(torch.equal, automatic, everything(FixedPasses(model, precision=precision), x)))
    assert not multiplies_bf16(torch.device("meta"))


def test_none_is_what_suits_the_device(model: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(model: Classifier) -> tuple[str, str]:
        passes = FixedPasses(model)
        return passes.precision, passes.layout

    compiled = wrap(torch.compile(nn.Flatten(), backend="eager"), gram_layers=[], num_classes=72)
    assert chosen(model) == chosen(compiled) == ("fp32", "plain")
    monkeypatch.setattr(module, "_is_on_gpu", lambda _: True)
    assert chosen(model) == ("auto", "channels_last") and chosen(compiled) == ("auto", "plain")
    passes = FixedPasses(model, precision="fp32", layout="packed")
    assert (passes.precision, passes.layout) == ("fp32", "packed")


def count_conversions(passes: FixedPasses, x: Tensor) -> int:
    """How often a pass converts or lays out anything as large as a weight of the model."""
    smallest = min(p.numel() for p in passes.model.parameters() if p.dim() == 4 and p.shape[1] > 1)
    with torch.profiler.profile(record_shapes=True) as profile:
        passes(x, ())
    shapes = {tuple(p.shape) for p in passes.model.parameters() if p.numel() >= smallest}
    copies = [event for event in profile.events() if event.name in ("aten::_to_copy", "aten::copy_", "aten::clone")]
    return sum(tuple(event.input_shapes[0]) in shapes for event in copies)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_are_converted_once(model: Classifier, x: Tensor, layout: Any) -> None:
    passes = FixedPasses(model, precision="bf16", layout=layout)
    assert count_conversions(passes, x[:2]) > 0
    assert count_conversions(passes, x[:2]) == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_assigned_to_meanwhile_are_seen(model: Classifier, x: Tensor, layout: Any) -> None:
    passes = FixedPasses(model, precision="bf16", layout=layout)
    everything(passes, x)
    for parameter in model.parameters():
        parameter.mul_(0.5).add_(0.01)
    again = everything(FixedPasses(model, precision="bf16", layout=layout), x)
    assert all(map(torch.equal, everything(passes, x), again))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_that_learn_are_left_alone(model: Classifier, x: Tensor, layout: Any) -> None:
    model.requires_grad_(True)
    logits, _ = FixedPasses(model, layout=layout)(x, ())
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


class Assorted(nn.Module):
    """Convolutions that cannot be packed beside ones that can, a weight used twice, and one used in full precision."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding="same")
        self.reflecting = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.twice = nn.Conv2d(8, 8, 3, padding=1)
        self.along = nn.Conv1d(8, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(F.relu(self.norm(self.grouped(self.reflecting(self.first(x)))), inplace=True))
        x = F.conv2d(x, weight=self.twice.weight, stride=2) + self.twice(x)[..., 1:-1:2, 1:-1:2]
        x = self.along(x.flatten(2)).mean(2)
        with torch.autocast("cpu", enabled=False):
            return self.head(x.float())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_network_of_ones_own(x: Tensor, layout: Any, precision: Any) -> None:
    torch.manual_seed(2)
    own = Assorted()
    own(x)  # so that the batch norm has statistics
    model = wrap(own.eval().requires_grad_(False), gram_layers=["first", "grouped"], num_classes=3)
    plain = under_autocast(model) if precision == "bf16" else model.logits_and_features
    theirs = everything(plain, x, model.gram_layers)
    ours = everything(FixedPasses(model, precision=precision, layout=layout), x, model.gram_layers)
    assert_all_close(ours, theirs, 0.03 if precision == "bf16" else 1e-5)


@needs_packing
def test_large_weights_alone_are_packed(model: Classifier, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = sorted(p.numel() for p in model.parameters() if p.dim() == 4)
    monkeypatch.setattr(module, "SMALLEST_PACKED", sizes[-2])
    with PreparedWeights(model, "packed") as weights:
        model(x)
    packed = [made for _, made in weights._made.values() if isinstance(made, PackedConvolution)]
    assert len(packed) == sum(size >= sizes[-2] for size in sizes)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_a_compiled_model_keeps_its_layout(x: Tensor, layout: Any) -> None:
    compiled = wrap(torch.compile(nn.Flatten(), backend="eager"), gram_layers=[], num_classes=72)
    with pytest.raises(InputError, match=f"^layout='{layout}' "):
        FixedPasses(compiled, layout=layout)
    assert torch.equal(FixedPasses(compiled, precision="bf16")(x, ())[0], x.flatten(1))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_double_precision_stays(model: Classifier, x: Tensor, layout: Any) -> None:
    model, x = model.double(), x.double()
    ours = everything(FixedPasses(model, layout=layout), x)
    assert_all_close(ours, everything(model.logits_and_features, x), 1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_errors_are_those_of_the_model(model: Classifier, layout: Any) -> None:
    convolution = wrap(nn.Conv2d(2, 4, 3).requires_grad_(False), gram_layers=[], num_classes=4)
    passes = FixedPasses(convolution, layout=layout)
    with pytest.raises(RuntimeError, match=r"expected input.* to have 2 channels"):
        passes(torch.zeros(1, 3, 8, 8), ())
    with pytest.raises(RuntimeError, match="Kernel size"):
        passes(torch.zeros(1, 2, 2, 2), ())
