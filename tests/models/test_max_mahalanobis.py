# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The centres are Algorithm 2's, and the classifier around them is equation 11 of the GMMC paper."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import FixedPasses, MaxMahalanobisClassifier, WideResNet, fixed_passes, wrap
from stic_fast.models.max_mahalanobis import max_mahalanobis_centres

SIZES = [(2, 1), (2, 2), (2, 7), (3, 2), (3, 3), (3, 4), (10, 9), (10, 10), (10, 64), (11, 10), (100, 99), (100, 128)]


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


def network(dimension: int = 5) -> WideResNet:
    torch.manual_seed(0)
    return WideResNet(depth=10, width=1, num_classes=dimension, in_channels=1, fake_class=False)


def classifier(num_classes: int = 3, **options: Any) -> MaxMahalanobisClassifier:
    """In float64, of 8×8 grey images, φ(x) in five dimensions, its spread not the one it starts with."""
    model = MaxMahalanobisClassifier(network(), num_classes=num_classes, **options).double()
    model.variance.fill_(0.7)
    return model


def images(count: int = 6) -> Tensor:
    return torch.rand((count, 1, 8, 8), dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def algorithm_2(classes: int, dimension: int, scale: float) -> list[list[float]]:
    """GenerateOptMeans(C, d, S), line by line. For C = d + 1 the last line 7 writes a zero one place beyond d."""
    size = max(classes, dimension)
    mu = [[0.0] * size for _ in range(classes)]
    mu[0][0] = 1.0
    for i in range(1, classes):
        for j in range(i):
            product = sum(a * b for a, b in zip(mu[i], mu[j], strict=True))
            mu[i][j] = -(1 + product * (classes - 1)) / (mu[j][j] * (classes - 1))
        rest = 1 - sum(value**2 for value in mu[i])
        mu[i][i] = math.sqrt(max(rest, 0.0))
    assert all(abs(value) < 1e-6 for row in mu for value in row[dimension:])
    return [[scale * value for value in row[:dimension]] for row in mu]


@pytest.mark.parametrize(("classes", "dimension"), SIZES)
def test_the_centres_are_those_of_algorithm_2(classes: int, dimension: int) -> None:
    for scale in (10.0, 0.3):
        centres = max_mahalanobis_centres(classes, dimension, scale)
        assert centres.dtype == torch.float32 and centres.shape == (classes, dimension)
        expected = torch.tensor(algorithm_2(classes, dimension, scale), dtype=torch.float64)
        # The last corner's own coordinate is the root of rounding, 1e-7 at most, in the literal form.
        torch.testing.assert_close(centres.double(), expected, rtol=1e-6, atol=2e-7 * scale)


@pytest.mark.parametrize(("classes", "dimension"), SIZES)
def test_the_centres_are_the_corners_of_a_simplex(classes: int, dimension: int) -> None:
    centres = max_mahalanobis_centres(classes, dimension, 10.0).double()
    products = torch.full((classes, classes), -100 / (classes - 1), dtype=torch.float64).fill_diagonal_(100)
    torch.testing.assert_close(centres @ centres.T, products, rtol=0, atol=1e-4)
    torch.testing.assert_close(
        centres.norm(dim=1), torch.full((classes,), 10.0, dtype=torch.float64), rtol=1e-6, atol=0
    )
    assert float(centres.sum(0).abs().max()) < 1e-4, "around the origin"


def test_numbers_that_have_no_centres() -> None:
    with pytest.raises(InputError, match="two classes or more, got 1"):
        max_mahalanobis_centres(1, 8)
    with pytest.raises(InputError, match=r"10 classes .*dimension=8; .*9 or more"):
        MaxMahalanobisClassifier(network(8), num_classes=10)
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match=rf"^scale .*{scale}"):
            max_mahalanobis_centres(3, 8, scale)


def test_the_spread_before_training_is_that_of_embeddings_at_the_origin() -> None:
    model = MaxMahalanobisClassifier(network(), num_classes=3, scale=4.0)
    at_the_origin = model.squared_distances(torch.zeros(1, 5)) / 5
    assert model.variance.shape == () and model.variance.dtype == torch.float32
    torch.testing.assert_close(at_the_origin, model.variance.expand(1, 3))


def test_the_softmax_is_equation_11() -> None:
    model, x = classifier(), images()
    variance = float(model.variance)
    centres, embeddings = model.centres.tolist(), model.network(x).tolist()
    probabilities, log_densities = [], []
    for embedding in embeddings:
        distances = [sum((a - b) ** 2 for a, b in zip(embedding, centre, strict=True)) for centre in centres]
        least = min(distances)
        weights = [math.exp(-(distance - least) / (2 * variance)) for distance in distances]
        probabilities.append([weight / sum(weights) for weight in weights])
        # log p(x) of a mixture of C Gaussians with equal weights, in five dimensions
        mixture = math.log(sum(weights) / 3) - least / (2 * variance)
        log_densities.append(mixture - 5 / 2 * math.log(2 * math.pi * variance))
    logits = model(x).detach()
    torch.testing.assert_close(logits.softmax(1), torch.tensor(probabilities, dtype=torch.float64))
    assert float(logits.softmax(1).max()) < 1 - 1e-3, "or there were nothing to compare"
    shift = logits.logsumexp(1) - torch.tensor(log_densities, dtype=torch.float64)
    expected = math.log(3) + 5 / 2 * math.log(2 * math.pi * variance)
    torch.testing.assert_close(shift, torch.full_like(shift, expected))


def test_the_gradient_of_a_logit_is_that_of_the_distance() -> None:
    model, x = classifier(), images(2).requires_grad_(True)
    (gradient,) = torch.autograd.grad(model(x)[:, 1].sum(), x)
    embedding = model.network(x)
    pull = (model.centres[1] - embedding.detach()) / model.variance
    (expected,) = torch.autograd.grad(embedding, x, pull)
    torch.testing.assert_close(gradient, expected)


def test_the_embedding_is_a_layer_beside_those_of_the_network() -> None:
    model, x = classifier(), images()
    assert model.layer_names == (*model.network.layer_names, "embedding")
    assert model.gram_layers == model.network.gram_layers == ("conv9", "conv10")
    logits, (conv10, embedding, conv3) = model.logits_and_features(x, ["conv10", "embedding", "conv3"])
    phi, (own_conv10, own_conv3) = model.network.logits_and_features(x, ["conv10", "conv3"])
    assert torch.equal(embedding, phi) and torch.equal(conv10, own_conv10) and torch.equal(conv3, own_conv3)
    assert torch.equal(logits, model(x)) and logits.shape == (6, 3)
    assert set(model.forward_keeping(x, frozenset({"conv9"}))[1]) == {"conv9"}
    assert set(model.forward_keeping(x, frozenset({"embedding"}))[1]) == {"embedding"}
    assert (model.num_logits, model.fake_class) == (3, None)
    assert model(images(0)).shape == (0, 3)
    with pytest.raises(InputError, match=r"^layers .*'conv99'"):
        model.logits_and_features(x, ["conv99"])


def test_a_network_with_a_layer_of_that_name_is_refused() -> None:
    own = nn.Sequential()
    own.add_module("embedding", nn.Flatten())
    with pytest.raises(InputError, match="layer 'embedding' already"):
        MaxMahalanobisClassifier(wrap(own, gram_layers=[], num_classes=64), num_classes=3)


def test_a_network_of_ones_own() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 4))
    own = wrap(layers, gram_layers=["0"], num_classes=4).double()
    model = MaxMahalanobisClassifier(own, num_classes=5).double()
    logits, (feature, embedding) = model.logits_and_features(images(), ["0", "embedding"])
    assert feature.shape == (6, 2, 6, 6) and torch.equal(embedding, own(images()))
    torch.testing.assert_close(logits, -torch.cdist(embedding, model.centres).square() / (2 * model.variance))


@pytest.mark.parametrize("layout", ["plain", "channels_last", "packed"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fixed_passes(precision: Any, layout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixed_passes, "SMALLEST_PACKED", 1)
    model, layers = classifier().float().requires_grad_(False).eval(), ["embedding", "conv10"]
    x = images().float().requires_grad_(True)

    def autocast(x: Tensor, layers: list[str]) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return model.logits_and_features(x, layers)

    results = []
    for passes in (FixedPasses(model, precision=precision, layout=layout), autocast):
        logits, (embedding, conv10) = passes(x, layers)
        assert logits.dtype == torch.float32, "distances are taken in full precision"
        results.append([logits, embedding, conv10, torch.autograd.grad(logits[:, 0].sum(), x)[0]])
    share = 0.0 if layout == "plain" else 0.05 if precision == "bf16" else 1e-5
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).norm() <= share * theirs.norm()


def test_the_state_keeps_centres_and_spread(tmp_path: Path) -> None:
    model, other = classifier(), classifier(scale=3.0)
    other.variance.fill_(0.1)
    state = model.state_dict()
    assert {"centres", "variance"} <= set(state)
    save_file(state, tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(other.centres, model.centres) and torch.equal(other.variance, model.variance)
    assert torch.equal(other(images()), model(images()))


def test_only_the_network_learns() -> None:
    model = classifier()
    assert [name for name, _ in model.named_parameters()] == [
        f"network.{n}" for n, _ in model.network.named_parameters()
    ]
    model(images()).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert not model.centres.requires_grad and not model.variance.requires_grad


def test_compiles_to_one_graph() -> None:
    model, x = classifier(), images()
    torch.compiler.reset()
    compiled = torch.compile(model.logits_and_features, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, ["embedding"]), model.logits_and_features(x, ["embedding"]))
