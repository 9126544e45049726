# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Each outlier set has the law it promises, the run's shape, and nothing in common with the chains' canvases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chisquare
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.evaluation.outliers import (
    constant_images,
    fit_images,
    gaussian_noise,
    interpolated,
    outlier_sets,
    shuffled_pixels,
    uniform_noise,
)
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.sampling.canvas import canvas


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (7, 3, 6, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_uniform_noise_is_even_over_all_bytes_and_no_canvas_of_a_chain() -> None:
    noise = uniform_noise(50, (3, 32, 32), seed=4)
    assert noise.shape == (50, 3, 32, 32) and noise.dtype == torch.uint8
    assert chisquare(torch.bincount(noise.flatten().long(), minlength=256).numpy()).pvalue > 1e-3
    start = to_bytes(canvas("uniform", (3, 32, 32), torch.arange(50), seed=4))
    assert (noise == start).float().mean() < 0.01


def test_gaussian_noise_has_the_deviation_asked_for_and_stays_in_the_box() -> None:
    x = to_unit(gaussian_noise(50, (1, 32, 32), seed=0, deviation=0.2))
    assert float(x.std()) == pytest.approx(0.2, rel=0.01)
    assert float(x.mean()) == pytest.approx(0.0, abs=0.005)
    wide = gaussian_noise(50, (1, 32, 32), seed=0)
    assert float((wide == 255).float().mean()) == pytest.approx(0.159, abs=0.01)  # beyond one deviation


def test_constant_images_have_one_colour_each() -> None:
    images = constant_images(200, (3, 4, 5), seed=0)
    assert (images == images[:, :, :1, :1]).all()
    colours = images[:, :, 0, 0].long()
    assert len(colours.unique(dim=0)) > 195
    assert chisquare(torch.bincount(colours.flatten() // 32, minlength=8).numpy()).pvalue > 1e-3


@pytest.mark.parametrize("draw", [uniform_noise, gaussian_noise, constant_images])
def test_noise_depends_on_seed_and_number_alone(draw: object) -> None:
    few, many, other = (draw(count, (1, 8, 8), seed=seed) for count, seed in ((2, 0), (9, 0), (2, 1)))  # type: ignore[operator]
    assert torch.equal(few, many[:2])
    assert not torch.equal(few, other)
    assert not torch.equal(few[0], few[1])


def test_shuffling_keeps_an_image_s_pixels_and_moves_them_anew_in_each(images: Tensor) -> None:
    shuffled = shuffled_pixels(images, seed=0)
    assert not torch.equal(shuffled, images)
    for before, after in zip(images, shuffled, strict=True):
        colours = [{tuple(pixel) for pixel in image.flatten(1).T.tolist()} for image in (before, after)]
        assert colours[0] == colours[1]
    ramp = torch.arange(48, dtype=torch.uint8).view(1, 1, 6, 8).repeat(2, 1, 1, 1)
    first, second = shuffled_pixels(ramp, seed=0)
    assert not torch.equal(first, second)
    assert torch.equal(shuffled_pixels(images[:3], seed=0), shuffled[:3])


def test_interpolation_is_the_mean_with_another_image(images: Tensor) -> None:
    mixed = interpolated(images, seed=3).double()
    for number, image in enumerate(mixed):
        means = (images.double() + images[number].double()) / 2
        partners = [other for other, mean in enumerate(means) if (mean - image).abs().max() <= 0.5]
        assert len(partners) == 1 and partners[0] != number
    for seed in range(20):  # a cycle through all: none stays alone, whatever the seed
        pair = interpolated(torch.tensor([0, 100, 200], dtype=torch.uint8).view(3, 1, 1, 1), seed=seed).flatten()
        assert sorted(pair.tolist()) == [50, 100, 150]


def test_another_set_is_cut_to_its_middle_and_recoloured_as_pillow_does(images: Tensor) -> None:
    grey = fit_images(images, (1, 6, 8))
    pillow = [np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")) for image in images]
    assert (grey[:, 0].int() - torch.tensor(np.stack(pillow)).int()).abs().max() <= 1
    assert torch.equal(fit_images(grey, (3, 6, 8)), grey.expand(-1, 3, -1, -1))
    assert torch.equal(fit_images(images, (3, 6, 6)), images[:, :, :, 1:7])
    assert torch.equal(fit_images(images, (3, 6, 8)), images)


def test_resizing_averages_as_pillow_does() -> None:
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    pillow = Image.fromarray(ramp[0, 0].numpy()).resize((4, 4), Image.Resampling.BILINEAR)
    wanted = torch.from_numpy(np.array(pillow)).int()
    assert (fit_images(ramp, (1, 4, 4))[0, 0].int() - wanted).abs().max() <= 1
    assert fit_images(ramp.expand(5, 3, 16, 16), (3, 21, 50), batch_size=2).shape == (5, 3, 21, 50)
    assert fit_images(torch.full((1, 1, 7, 13), 9, dtype=torch.uint8), (1, 31, 5)).unique().tolist() == [9]


def test_all_sets_take_the_run_s_shape_and_number(images: Tensor) -> None:
    other = torch.zeros(20, 1, 28, 28, dtype=torch.uint8)
    sets = outlier_sets(images, seed=0, others={"Fashion-MNIST": other, "few": other[:2]})
    names = ["uniform noise", "Gaussian noise", "constant", "shuffled pixels", "interpolated", "Fashion-MNIST", "few"]
    assert list(sets) == names
    assert [len(values) for values in sets.values()] == [7] * 6 + [2]
    assert all(values.shape[1:] == (3, 6, 8) and values.dtype == torch.uint8 for values in sets.values())
    again = outlier_sets(images, seed=0, others={"Fashion-MNIST": other, "few": other[:2]})
    assert all(torch.equal(values, again[name]) for name, values in sets.items())


def test_bad_input_is_refused_in_words(images: Tensor) -> None:
    with pytest.raises(InputError, match="images with 3 channels cannot be given 2"):
        fit_images(images, (2, 6, 8))
    with pytest.raises(InputError, match="images"):
        interpolated(images[:1], seed=0)
    with pytest.raises(InputError, match="'constant' is built in"):
        outlier_sets(images, seed=0, others={"constant": images})
    with pytest.raises(InputError, match="seed"):
        uniform_noise(1, (1, 2, 2), seed=-1)
    with pytest.raises(InputError, match="deviation"):
        gaussian_noise(1, (1, 2, 2), seed=0, deviation=0)
    with pytest.raises(InputError, match="images"):
        shuffled_pixels(images.float(), seed=0)
