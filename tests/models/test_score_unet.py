# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The U-shaped network: labels and noise levels that it is told, sizes that stay, and where it starts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.models import ScoreUNet
from stic_fast.models.score_unet import BRANCH


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


def small(*, fresh: bool = False, **options: Any) -> ScoreUNet:
    """Unless it is fresh, the gains are not those of the start, which leave out what they multiply."""
    torch.manual_seed(0)
    model = ScoreUNet(**{"channels": (4, 8), "num_classes": 3, "in_channels": 1, **options}).eval()
    if not fresh:
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 0:
                    parameter.add_(0.5)
    return model


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_layers_are_the_convolutions_on_the_way_down() -> None:
    model = small(channels=(4, 6, 8))
    blocks = ("down1", "down2", "down3", "middle")
    assert model.layer_names == tuple(f"{block}.{part}" for block in blocks for part in ("first", "second"))
    assert model.gram_layers == ("middle.first", "middle.second")
    _, _, features = model.at_noise(images(2, 1, 16, 24), 0.1, layers=model.layer_names)
    shapes = [tuple(feature.shape[1:]) for feature in features.values()]
    assert shapes == [shape for shape in ((4, 8, 12), (6, 4, 6), (8, 2, 3), (8, 2, 3)) for _ in range(2)]


def test_a_label_that_is_withheld_is_none_or_a_row_of_zeros() -> None:
    """Sampling withholds labels by None, training by rows of zeros: the network must be the same to both."""
    model, x = small(), images(3, 1, 8, 8)
    labels = torch.eye(3)
    labels[1] = 0
    none, zeros, told = (model.at_noise(x, 0.5, given) for given in (None, torch.zeros(3, 3), labels))
    torch.testing.assert_close(none, zeros)
    torch.testing.assert_close((told.logits[1], told.denoised[1]), (none.logits[1], none.denoised[1]))
    for row in (0, 2):
        assert not torch.allclose(told.denoised[row], none.denoised[row])
        assert not torch.allclose(told.logits[row], none.logits[row])


def test_soft_labels_lie_between_hard_ones() -> None:
    model, x = small(), images(1, 1, 8, 8)
    one, half, other = (
        model.score(x, 0.5, torch.tensor([label])) for label in ([1.0, 0, 0], [0.5, 0.5, 0], [0, 1.0, 0])
    )
    assert not torch.allclose(one, half) and not torch.allclose(half, other)
    assert (half - (one + other) / 2).norm() < (one - other).norm()


def test_noise_levels_are_told_apart() -> None:
    model, x = small(), images(3, 1, 8, 8)
    sigma = torch.tensor([0.002, 0.5, 80.0])
    together = model.at_noise(x, sigma)
    for row, level in enumerate(sigma.tolist()):
        alone = model.at_noise(x[row : row + 1], level)
        torch.testing.assert_close(together.denoised[row], alone.denoised[0])
        torch.testing.assert_close(together.logits[row], alone.logits[0])
    assert together.denoised.isfinite().all()
    assert not torch.allclose(model.at_noise(x, 0.1).logits, model.at_noise(x, 1.0).logits)


@pytest.mark.parametrize("sigma_data", [0.5, 0.25])
def test_at_the_start_it_shrinks_the_image_as_noise_demands(sigma_data: float) -> None:
    """D = x·σ_d²/(σ² + σ_d²) is best for white noise images: every level starts with a loss of 1."""
    model, x = small(fresh=True, sigma_data=sigma_data), images(3, 1, 8, 8)
    sigma = torch.tensor([0.01, 0.5, 10.0])
    expected = x * (sigma_data**2 / (sigma**2 + sigma_data**2)).view(-1, 1, 1, 1)
    torch.testing.assert_close(model.at_noise(x, sigma, torch.eye(3)).denoised, expected)


@pytest.mark.parametrize("channels", [(32,), (32, 64), (32, 32, 32, 48)])
def test_activations_have_the_sizes_that_filters_are_built_for(channels: tuple[int, ...]) -> None:
    model, sizes = small(fresh=True, channels=channels, in_channels=3), dict[str, float]()

    def note(name: str) -> Any:
        def hook(block: Any, _: object, out: Tensor) -> None:
            sizes[name] = out.square().mean().sqrt().item() / block.size

        return hook

    for name, module in model.named_modules():
        if hasattr(module, "size"):
            module.register_forward_hook(note(name))
    # Images without detail, since a mean over four pixels, on the way down, keeps the size of such alone.
    x = F.interpolate(images(16, 3, 2, 2), scale_factor=32, mode="bilinear")
    x = 0.5 * x / x.std()
    with torch.no_grad():
        logits, _, features = model.at_noise(x, 1e-3, torch.eye(3)[torch.arange(16) % 3], layers=model.layer_names)
    assert len(sizes) == 2 * len(channels) + 1
    assert all(0.6 < size < 1.4 for size in sizes.values()), sizes
    for name, feature in features.items():
        expected = 1.0 if name.endswith("first") else BRANCH * model.get_submodule(_block(name, model)).around
        assert 0.5 < feature.square().mean().sqrt().item() / expected < 1.6, name
    assert 0.3 < logits.square().mean().sqrt().item() < 1.5


def _block(name: str, model: nn.Module) -> str:
    """A block's place in the model."""
    block = name.split(".")[0]
    return "middle" if block == "middle" else f"down.{int(block[4:]) - 1}"


def test_the_gradient_of_the_start_reaches_every_weight_in_two_steps() -> None:
    """What gains of zero leave out at first comes in once they have moved."""
    model, x = small(fresh=True).train(), images(2, 1, 8, 8)
    descent = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        made = model.at_noise(x, 0.5, torch.eye(3)[:2])
        descent.zero_grad()
        (made.logits.square().sum() + made.denoised.square().sum()).backward()
        descent.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "value"),
    [("channels", ()), ("channels", (4, 0)), *(("sigma_data", wrong) for wrong in (0.0, float("inf"), float("nan")))],
)
def test_errors_name_the_argument(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{name}\b"):
        small(**{name: value})
