# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`texture` and `stylize` of images in every form, and with every network; what they refuse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import stic_fast
from stic_fast import api
from stic_fast.api.textures import PREVIEW_EVERY, as_large_as, read_picture
from stic_fast.errors import InputError
from stic_fast.pixels import to_unit

pytestmark = pytest.mark.usefixtures("one_thread")


def picture(channels: int = 3, height: int = 20, width: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(channels)
    return torch.randint(0, 256, (channels, height, width), generator=generator, dtype=torch.uint8)


def test_one_image_in_every_form(tmp_path: Path) -> None:
    image = picture()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / "image.png")
    forms: list[Any] = [
        image,
        image.numpy(),
        to_unit(image),
        image[None],
        tmp_path / "image.png",
        f"{tmp_path}/image.png",
    ]
    drawn = [stic_fast.texture(form, size=(16, 18), steps=2) for form in forms]
    assert drawn[0].shape == (3, 16, 18) and all(torch.equal(drawn[0], other) for other in drawn[1:])


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 1), ("RGBA", 3), ("P", 3), ("1", 1)])
def test_files_with_one_channel_with_alpha_and_with_a_palette(mode: str, channels: int, tmp_path: Path) -> None:
    grey = Image.fromarray(np.tile(np.arange(0, 200, 10, dtype=np.uint8), (20, 1)))
    grey.convert("RGBA").convert(mode).save(tmp_path / "image.png")
    assert stic_fast.texture(tmp_path / "image.png", size=(16, 17), steps=1).shape == (channels, 16, 17)


def test_networks_and_tiles() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    options: dict[str, Any] = {"size": (17, 33), "steps": 2, "tile": True}
    by_module = stic_fast.texture(picture(), network=module, layers=["1"], **options)
    assert by_module.shape == (3, 17, 33) and not torch.equal(by_module, stic_fast.texture(picture(), **options))
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())


def test_a_runs_classifier_brings_the_source_to_its_colours(tmp_path: Path) -> None:
    run = api.train("softmax", out=tmp_path / "run", passes=1, iterations=1, sampler={"steps": 1})
    assert run.image_shape[0] == 1
    assert stic_fast.texture(picture(), size=(16, 20), steps=1, network=run).shape == (1, 16, 20)
    assert stic_fast.stylize(picture(), picture(), steps=1, network=run, layers=["conv1"]).shape == (1, 20, 24)


def test_previews_and_progress() -> None:
    shown: list[Tensor] = []
    steps = 2 * PREVIEW_EVERY + 5
    drawn = stic_fast.texture(picture(), size=(16, 20), steps=steps, on_preview=shown.append)
    assert len(shown) == 2 and {tuple(image.shape) for image in shown} == {(3, 16, 20)}
    assert (to_unit(shown[-1]) - to_unit(drawn)).abs().mean() < 0.5


@pytest.mark.parametrize(
    ("content", "style", "size", "shape"),
    [
        (picture(1), picture(3), None, (3, 20, 24)),
        (picture(3), picture(1), None, (1, 20, 24)),
        (picture(3), picture(3, 40, 30), (17, 35), (3, 17, 35)),
    ],
)
def test_styles_of_other_colours_and_sizes(content: Tensor, style: Tensor, size: Any, shape: tuple[int, ...]) -> None:
    drawn = stic_fast.stylize(content, style, size=size, steps=2)
    assert drawn.dtype == torch.uint8 and tuple(drawn.shape) == shape


def test_a_style_is_brought_to_about_as_many_pixels_as_the_result() -> None:
    sizes = {(80, 96): (20, 24), (10, 12): (20, 24), (120, 40): (38, 16), (20, 24): (20, 24)}
    for (height, width), expected in sizes.items():
        style = as_large_as(picture()[None], picture(1, height, width)[None])
        assert style.shape == (1, 1, *expected)
    assert torch.equal(as_large_as(picture()[None], picture()[None]), picture()[None])


def test_photographs_of_many_pixels_can_be_read(tmp_path: Path) -> None:
    Image.new("L", (5000, 4000)).save(tmp_path / "large.png")
    assert read_picture(tmp_path / "large.png").shape == (1, 1, 4000, 5000)
    assert stic_fast.stylize(tmp_path / "large.png", picture(1), size=(16, 20), steps=1).shape == (1, 16, 20)


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (picture(3, 15, 24), {}, "the source must have from 16 to 20,000 pixels a side, got 15x24"),
        (picture(2), {}, "a picture must be one image (C, H, W), grey or RGB, got shape (1, 2, 20, 24)"),
        (torch.stack([picture(), picture()]), {}, "got shape (2, 3, 20, 24)"),
        (picture()[0], {}, "images must have the shape (3, 16, 16)"),
        (picture().float(), {}, "float images must lie in [-1, 1]"),
        ("nowhere.png", {}, "there is no image file nowhere.png"),
        (".", {}, "there is no image file ."),
        (None, {}, "images must be a tensor or an array, got NoneType"),
        (picture(), {"size": (0, 16)}, "the height of what is drawn must be from 16 to 20000, got 0"),
        (picture(), {"size": (16, 10**9)}, "the width of what is drawn must be from 16 to 20000"),
        (picture(), {"engine": "magic"}, "unknown engine 'magic'; choose one of gram"),
        (picture(), {"steps": 0}, "steps must be from 1"),
        (picture(), {"layers": ["1"]}, "layers are those of a network"),
    ],
)
def test_what_cannot_be_drawn_from(image: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        stic_fast.texture(image, **options)


def test_sixteen_bits_and_a_broken_file(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    for name, message in (("deep.png", "more than 8 bits"), ("broken.png", "cannot be read as an image")):
        with pytest.raises(InputError, match=message):
            stic_fast.stylize(picture(), tmp_path / name)
    with pytest.raises(InputError, match="fidelity must be from 0 to 1"):
        stic_fast.stylize(picture(), picture(), fidelity=1.5)
