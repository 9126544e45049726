# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""An animation shows every image of a drawing from its canvas to its end, and changes nothing of what is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from stic_fast import Images, Run
from stic_fast.api.animation import Animation, shown
from stic_fast.errors import InputError
from stic_fast.plots.animation import HELD, LONGEST, MOST_PIXELS
from stic_fast.sampling import GRMALA, PixelSpace, Recipe, Stage, Stop, to_bytes
from stic_fast.training import ImageSampler, Progress


def frames_of(path: Path) -> list[np.ndarray]:
    """All that were asked for: one that stands for several is shown for as long as they are."""
    frames: list[np.ndarray] = []
    with Image.open(path) as film:
        for frame in ImageSequence.Iterator(film):
            picture = np.asarray(frame.convert("L"))
            moving = frame.info["duration"] - (HELD - LONGEST if film.tell() == film.n_frames - 1 else 0)
            frames += [picture] * (moving // LONGEST)
    return frames


def grid_of(images: Tensor, drawn: Images) -> np.ndarray:
    return np.asarray(Images(images, drawn.labels, drawn.class_names).grid().convert("L"))


def test_every_method_from_canvas_to_image(any_run: Run, tmp_path: Path) -> None:
    film = tmp_path / "film.webp"
    drawn = any_run.sample(n=2, steps=3, animate=film)
    assert torch.equal(drawn, any_run.sample(n=2, steps=3)) and torch.equal(drawn.labels, torch.arange(20) // 2)
    frames = frames_of(film)
    assert len(frames) == 1 + any_run.recipe.with_samplers(steps=3).steps
    if any_run.method.name == "score-stic":
        assert len(np.unique(frames[0])) > 100, "noise of many times the range of images is brought into it"
    else:
        assert np.array_equal(frames[0], grid_of(any_run.sample(n=2, steps=0), drawn))
    assert np.array_equal(frames[-1], grid_of(drawn, drawn))


def test_frames_hold_all_batches_at_steps_evenly_along_the_chains(tiny_run: Run, tmp_path: Path) -> None:
    states: list[Tensor] = []
    options: dict[str, Any] = {"labels": ["3", 8, "3"], "n": 3, "steps": 10, "seed": 4}
    drawn = tiny_run.sample(**options, on_step=lambda state: states.append(to_bytes(state.x)))
    told: list[int] = []
    film, whole = tmp_path / "film.webp", tmp_path / "whole.webp"
    tiny_run.sample(**options, batch_size=4, animate=film, frames=4, on_step=lambda state: told.append(len(state.x)))
    assert told == [4] * 10 + [4] * 10 + [1] * 10
    canvas = tiny_run.sample(**{**options, "steps": 0})
    expected = [canvas, *(states[step - 1] for step in (3, 6, 10))]
    frames = frames_of(film)
    assert len(frames) == 4
    for frame, images in zip(frames, expected, strict=True):
        assert np.array_equal(frame, grid_of(images, drawn))
    tiny_run.sample(**options, animate=whole, frames=4)
    assert film.read_bytes() == whole.read_bytes()


def test_bytes_depend_on_the_seed_alone(tiny_run: Run, tmp_path: Path) -> None:
    for kind in ("webp", "gif"):
        written = []
        for number, seed in enumerate((0, 0, 1)):
            film = tmp_path / f"{number}.{kind}"
            tiny_run.sample("3", n=2, seed=seed, animate=str(film))
            written.append(film.read_bytes())
        assert written[0] == written[1] != written[2]


def test_forty_frames_of_long_chains_and_one_a_step_of_short_ones(tiny_run: Run, tmp_path: Path) -> None:
    asked = torch.tensor([3, 8])
    for steps, frames, expected in ((300, None, 40), (7, None, 8), (1, None, 2), (300, 2, 2), (300, 301, 301)):
        sampler = ImageSampler(tiny_run, 0, steps)
        kept = Animation(tmp_path / "film.webp", sampler, asked, frames).steps
        assert len(kept) == expected and kept[0] == 0 and kept[-1] == steps
        gaps = np.diff(kept)
        assert gaps.min() >= 1 and gaps.max() - gaps.min() <= 1
    assert not list(tmp_path.iterdir()), "nothing is written before anything is drawn"


def test_chains_that_stop_early_stay_where_they_are(tiny_run: Run, tmp_path: Path) -> None:
    seen: list[Tensor] = []
    recipe = Recipe(
        [Stage(GRMALA(), stop=Stop(level=0.0, window=2)), Stage(GRMALA(eps1=0.2))],
        references=tiny_run.recipe.references,
    )
    sampler = ImageSampler(tiny_run, 0, 6, recipe=recipe, batch_size=2, on_step=lambda now: seen.append(now.x.clone()))
    classes = torch.tensor([3, 8, 5])
    film = Animation(tmp_path / "film.webp", sampler, classes)
    images = film.draw(Progress())
    film.save()
    assert len(seen) == 2 * 8, "two steps of the first stage, six of the second, of two batches"
    drawn, frames = Images(images, classes, tiny_run.class_names), frames_of(film.path)
    assert len(frames) == 13
    states = [to_bytes(torch.cat([seen[step], seen[8 + step]])) for step in range(8)]
    assert torch.equal(states[0], states[1]) and torch.equal(states[-1], images)
    for frame, state in zip(frames[1:], [states[0]] * 6 + states[2:], strict=True):
        assert np.array_equal(frame, grid_of(state, drawn))


@dataclass(frozen=True)
class Doubled(PixelSpace):
    """Images of which chains move the half."""

    def decode(self, x: Tensor) -> Tensor:
        return x / 2


def test_states_are_shown_as_the_images_they_stand_for(tiny_run: Run, tmp_path: Path) -> None:
    recipe = Recipe(GRMALA(eps2=0.0, clamp=(-2, 2)), Doubled())
    film = Animation(tmp_path / "film.webp", ImageSampler(tiny_run, 0, 2, recipe=recipe), torch.tensor([3]))
    images = film.draw(Progress())
    film.save()
    canvas = ImageSampler(tiny_run, 0, 0, recipe=recipe).of_classes(torch.tensor([3]), Progress())
    drawn = Images(images, torch.tensor([3]), tiny_run.class_names)
    frames = frames_of(film.path)
    assert np.array_equal(frames[0], grid_of(canvas, drawn)) and np.array_equal(frames[-1], grid_of(images, drawn))


def test_states_far_outside_the_box_are_shown_within_it() -> None:
    inside = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(shown(inside), to_bytes(inside))
    assert torch.equal(shown(torch.full((1, 1, 8, 8), 1.0)), to_bytes(torch.full((1, 1, 8, 8), 1.0)))
    noise = 80 * torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    clamped, scaled = to_bytes(noise), shown(noise)
    extremes = [((each == 0) | (each == 255)).float().mean().item() for each in (clamped, scaled)]
    assert extremes[0] > 0.95 and extremes[1] < 0.35
    assert torch.equal(shown(torch.cat([noise, noise / 10]))[:4], scaled), "each by its own size"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"animate": "film.png"}, r"film\.png; let it end in \.webp or \.gif"),
        ({"animate": "film"}, r"let it end in \.webp or \.gif"),
        ({"animate": "film.webp", "frames": 1}, "^frames must be from 2 to 1000, got 1"),
        ({"animate": "film.webp", "frames": 1001}, "^frames must be from 2 to 1000, got 1001"),
        ({"animate": "film.webp", "steps": 0}, "steps above 0"),
        ({"animate": "folder.gif"}, "folder.gif is a folder; name a file in it"),
        ({"frames": 5}, "give animate too"),
    ],
)
def test_what_cannot_be_is_named_before_anything_is_drawn(
    options: dict[str, Any], message: str, tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.gif").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ImageSampler, "_draw", lambda *_: pytest.fail("drawing was begun"))
    with pytest.raises(InputError, match=message):
        tiny_run.sample(**options)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.gif"]


def test_a_grid_larger_than_a_file_can_be_is_refused(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MOST_PIXELS, ".webp", 521)
    Animation(tmp_path / "film.gif", ImageSampler(tiny_run, 0), torch.arange(10))
    with pytest.raises(InputError, match=r"film\.webp would have 101x522 pixels, and 521 a side are the most"):
        Animation(tmp_path / "film.webp", ImageSampler(tiny_run, 0), torch.arange(10))


def test_memory_is_asked_for_first(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stic_fast.memory.available", lambda _: 10_000_000.0)
    sampler = ImageSampler(tiny_run, 0)
    Animation(tmp_path / "film.webp", sampler, torch.arange(10))
    with pytest.raises(InputError, match=r"an animation of 1000 images needs about .*for fewer frames"):
        Animation(tmp_path / "film.webp", sampler, torch.arange(1000) % 10)
