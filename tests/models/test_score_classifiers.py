# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What holds of both score classifiers."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import AtNoise, FixedPasses, ScoreClassifier, ScoreUNet, ScoreWideResNet

Make = Callable[..., ScoreClassifier]
FIRST_OPTIONS: dict[type[ScoreClassifier], dict[str, Any]] = {
    ScoreUNet: {"channels": (4, 8)},
    ScoreWideResNet: {"depth": 10, "width": 1},
}
SIGMA = 0.3
LAYOUTS = ["plain", "channels_last", "packed"]


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


@pytest.fixture(params=FIRST_OPTIONS, ids=lambda kind: kind.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    """make(**options): a small network of three classes, none of whose weights is zero."""

    def build(**options: Any) -> ScoreClassifier:
        torch.manual_seed(0)
        model = request.param(**{"num_classes": 3, "sigma_read": SIGMA, **FIRST_OPTIONS[request.param], **options})
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() < 2:
                    parameter.add_(0.1)
        return model.eval()

    return build


def images(*shape: int, **options: Any) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), **options)


def everything(passes: Callable[..., AtNoise], x: Tensor, layers: tuple[str, ...]) -> list[Tensor]:
    """Logits, denoised images, features, and the gradient of a function of all of them in x."""
    x = x.detach().clone().requires_grad_(True)
    logits, denoised, features = passes(x, SIGMA, layers=layers)
    values = [logits, denoised, *features.values()]
    total = sum((value.float().square().mean() for value in values), logits.new_zeros(()))
    return [*(value.detach() for value in values), torch.autograd.grad(total, x)[0]]


def assert_all_close(ours: list[Tensor], theirs: list[Tensor], share: float) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype and mine.shape == other.shape
        assert (mine - other).norm() <= share * other.norm()


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 12, 4), (1, 5, 7), (3, 1, 2), (4, 9, 16)])
def test_any_image_size_and_channels(make: Make, channels: int, height: int, width: int) -> None:
    model, x = make(in_channels=channels), images(3, channels, height, width)
    logits, denoised, features = model.at_noise(x, SIGMA, layers=model.gram_layers)
    assert logits.shape == (3, 4) and denoised.shape == x.shape and tuple(features) == model.gram_layers
    assert all(value.isfinite().all() for value in (logits, denoised, *features.values()))
    assert model.score(x[:0], SIGMA).shape == (0, channels, height, width) and model(x[:0]).shape == (0, 4)


@pytest.mark.parametrize(("height", "width"), [(5, 8), (8, 6), (3, 7)])
def test_other_sizes_are_those_of_the_edge_repeated(make: Make, height: int, width: int) -> None:
    model, x = make(in_channels=1), images(2, 1, height, width)
    whole = nn.functional.pad(x, (0, -width % 4, 0, -height % 4), mode="replicate")
    torch.testing.assert_close(model.score(x, SIGMA), model.score(whole, SIGMA)[:, :, :height, :width])
    torch.testing.assert_close(model(x), model(whole))


def test_features_are_those_asked_for(make: Make) -> None:
    model, x = make(in_channels=1), images(2, 1, 8, 8)
    asked = [model.layer_names[-1], model.layer_names[0]]
    logits, features = model.logits_and_features(x, asked)
    assert all(feature.dim() == 4 for feature in features)
    of_all = model.at_noise(x, SIGMA, layers=model.layer_names)
    assert tuple(of_all.features) == model.layer_names
    assert all(torch.equal(feature, of_all.features[name]) for name, feature in zip(asked, features, strict=True))
    assert torch.equal(logits, of_all.logits) and set(model.gram_layers) < set(model.layer_names)
    assert model.at_noise(x, SIGMA).features == {}
    assert make(in_channels=1, gram_layers=[model.layer_names[0]]).gram_layers == model.layer_names[:1]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_so_many_are_denoised(make: Make, count: int) -> None:
    model, x = make(in_channels=3), images(3, 3, 8, 8)
    some, all_of_them = model.at_noise(x, SIGMA, denoised=count), model.at_noise(x, SIGMA)
    torch.testing.assert_close(some.denoised, all_of_them.denoised[:count])
    assert some.denoised.shape == (count, 3, 8, 8) and torch.equal(some.logits, all_of_them.logits)


def test_the_score_is_what_takes_the_noise_away(make: Make) -> None:
    model, x = make(in_channels=1), images(2, 1, 8, 8)
    expected = (model.at_noise(x, SIGMA).denoised - x) / SIGMA**2
    assert torch.equal(model.score(x, SIGMA), expected) and expected.abs().sum() > 0
    torch.testing.assert_close(model.score(x, torch.tensor([SIGMA, SIGMA])), expected)
    torch.testing.assert_close(model.score(x, torch.tensor(SIGMA)), expected)
    assert torch.equal(model(x), model.at_noise(x, SIGMA).logits)


def test_no_image_sees_another(make: Make) -> None:
    """No statistics of the batch: not in training either."""
    model, x = make(in_channels=1).train(), images(4, 1, 8, 8)
    kinds = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.Dropout)
    assert not any(isinstance(module, kinds) for module in model.modules())
    together, other = model.at_noise(x, SIGMA), x.clone()
    other[1:] = 100 * images(3, 1, 8, 8)
    alone = model.at_noise(other, SIGMA)
    torch.testing.assert_close(alone.logits[0], together.logits[0])
    torch.testing.assert_close(alone.denoised[0], together.denoised[0])


def test_first_and_second_derivatives_in_float64(make: Make) -> None:
    model = make(in_channels=1).double()
    x = images(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)

    def numbers(x: Tensor) -> tuple[Tensor, Tensor]:
        logits, denoised, _ = model.at_noise(x, SIGMA)
        return logits, denoised

    assert {value.dtype for value in numbers(x)} == {torch.float64}
    assert torch.autograd.gradcheck(numbers, (x,), fast_mode=True)
    assert torch.autograd.gradgradcheck(numbers, (x,), fast_mode=True)


def test_bf16_autocast_keeps_float32_results(make: Make) -> None:
    model, x = make(in_channels=3), images(2, 3, 8, 8)
    expected = model.at_noise(x, SIGMA)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, denoised, features = model.at_noise(x, SIGMA, layers=model.gram_layers)
    assert logits.dtype == denoised.dtype == torch.float32
    assert {feature.dtype for feature in features.values()} == {torch.bfloat16}
    torch.testing.assert_close(logits, expected.logits, atol=0.03, rtol=0.05)
    torch.testing.assert_close(denoised, expected.denoised, atol=0.03, rtol=0.05)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fixed_passes(make: Make, layout: Any, precision: Any) -> None:
    model, x = make(in_channels=1).eval().requires_grad_(False), images(3, 1, 8, 8)
    passes = FixedPasses(model, precision=precision, layout=layout)

    def ours(x: Tensor, *rest: Any, **options: Any) -> AtNoise:
        return passes.through(model.at_noise, x, *rest, **options)

    def plain(x: Tensor, *rest: Any, **options: Any) -> AtNoise:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return model.at_noise(x, *rest, **options)

    before = [(parameter.data_ptr(), parameter._version) for parameter in model.parameters()]
    theirs = everything(plain, x, model.gram_layers)
    for _ in range(2):
        found = everything(ours, x, model.gram_layers)
        assert_all_close(found, theirs, 0.0 if layout == "plain" else 0.03 if precision == "bf16" else 1e-5)
    assert [(parameter.data_ptr(), parameter._version) for parameter in model.parameters()] == before


def test_threads_share_a_model(make: Make) -> None:
    model, x = make(in_channels=1).eval().requires_grad_(False), images(8, 1, 8, 8)
    alone = [everything(model.at_noise, image[None], model.gram_layers) for image in x]
    model.load_state_dict(copy.deepcopy(model.state_dict()))  # what was made ready of the weights is made anew
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda image: everything(model.at_noise, image[None], model.gram_layers), x))
    for found, expected in zip(together, alone, strict=True):
        assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_stand_on_their_own(make: Make, copied: Callable[[ScoreClassifier], ScoreClassifier]) -> None:
    model, x = make(in_channels=1), images(2, 1, 8, 8)
    with torch.no_grad():
        before = model.score(x, SIGMA)  # what is made ready of the weights is copied along
        other = copied(model)
        assert torch.equal(other.score(x, SIGMA), before) and torch.equal(other(x), model(x))
        for parameter in other.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
        assert torch.equal(model.score(x, SIGMA), before) and not torch.equal(other.score(x, SIGMA), before)


def test_config_and_state_rebuild_the_model(make: Make) -> None:
    model = make(in_channels=1, fake_class=False, sigma_read=0.2)
    rebuilt = type(model)(**json.loads(json.dumps(model.config())))
    x = images(2, 1, 9, 9)
    with torch.no_grad():
        rebuilt(x)
        rebuilt.load_state_dict(model.state_dict())
        assert torch.equal(rebuilt(x), model(x)) and torch.equal(rebuilt.score(x, 0.2), model.score(x, 0.2))
    assert rebuilt.config() == model.config() and rebuilt.sigma_read == 0.2 and rebuilt.gram_layers == model.gram_layers
    assert model(x).shape == (2, 3) and model.fake_class is None and make().fake_class == 3


def test_weights_assigned_to_meanwhile_are_seen(make: Make) -> None:
    model, x = make(in_channels=1).eval(), images(2, 1, 8, 8)
    with torch.no_grad():
        before, weights = model.score(x, SIGMA), copy.deepcopy(model.state_dict())
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
        changed = model.score(x, SIGMA)
        assert not torch.allclose(changed, before)
        assert torch.equal(changed, copy.deepcopy(model).score(x, SIGMA))
        model.load_state_dict(weights)
        assert torch.equal(model.score(x, SIGMA), before)


def test_a_pass_in_inference_mode_leaves_the_model_trainable(make: Make) -> None:
    model, x = make(in_channels=1), images(2, 1, 8, 8)
    with torch.inference_mode():
        expected = model.score(x, SIGMA)
    with torch.no_grad():
        assert torch.equal(model.score(x, SIGMA), expected)
    made = model.at_noise(x, SIGMA)
    (made.logits.square().sum() + made.denoised.square().sum()).backward()
    of_labels = {name for name, _ in model.named_parameters() if name.startswith("label.")}
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert moved | of_labels == {name for name, _ in model.named_parameters()}
    frozen = model.requires_grad_(False).score(x.clone().requires_grad_(True), SIGMA)
    assert frozen.requires_grad and torch.allclose(frozen, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_channels", 0),
        ("num_classes", 0),
        ("gram_layers", ["conv99"]),
        *(("sigma_read", wrong) for wrong in (0.0, -1.0, float("inf"), float("nan"))),
    ],
)
def test_errors_name_the_argument(make: Make, name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{name}\b"):
        make(**{name: value})


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 1, 8, 8), (2, 3, 0, 8)])
def test_wrong_image_shapes_are_refused(make: Make, shape: tuple[int, ...]) -> None:
    model = make(in_channels=3)
    for ask in (model, lambda x: model.score(x, SIGMA)):
        with pytest.raises(InputError, match=r"^x .*\(B, 3, H, W\)"):
            ask(torch.zeros(shape))


@pytest.mark.parametrize("sigma", [torch.tensor([SIGMA] * 3), torch.full((2, 1), SIGMA)])
def test_a_noise_level_for_each_image_or_one_for_all(make: Make, sigma: Tensor) -> None:
    with pytest.raises(InputError, match=r"^sigma must be one noise level or one for each of 2 images"):
        make(in_channels=1).at_noise(images(2, 1, 8, 8), sigma)
