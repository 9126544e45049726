# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Runs that come with the package: written whole, checked when read, and small."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import stic_fast
from stic_fast.errors import InputError
from stic_fast.training import ImageSampler, Progress, open_run, pretrained_writer, resume, train
from stic_fast.training.pretrained import PLACE, PretrainedFolder, folder_of, pretrained_names
from stic_fast.training.pretrained_writer import MOST_BYTES, halved, write_pretrained

FILES = ["SHA256SUMS", "about.json", "config.json", "evaluation.json", "model.safetensors"]


def test_those_of_the_package_are_small_and_whole() -> None:
    assert sum(file.stat().st_size for file in PLACE.rglob("*") if file.is_file()) <= MOST_BYTES == 20_000_000
    for name in pretrained_names():
        run = open_run(f"pretrained:{name}")
        assert all(weights.isfinite().all() for weights in run.model.state_dict().values())
        assert run.folder.evaluation() is not None


def test_what_is_written(made: dict[str, Any], pretrained_made: Path, pretrained_place: Path) -> None:
    assert pretrained_names() == ["far", "gram", "plain"]
    trained = open_run(pretrained_made.parent / "far")
    folder = PretrainedFolder("far")
    assert sorted(file.name for file in folder.source.iterdir()) == FILES
    about = folder.about
    assert {name: getattr(about, name) for name in made} == made
    assert about.class_names == trained.class_names == ("0", "1", "2")
    assert about.image_shape == trained.image_shape == (3, 8, 12)
    assert (about.seed, about.pass_number, about.version) == (0, 1, stic_fast.__version__)
    evaluation = folder.evaluation()
    assert evaluation is not None and evaluation.command.startswith("stic-fast evaluate pretrained:far --")
    assert evaluation.command.endswith(" --data npz:PATH") and "/" not in evaluation.command
    of_images = {row.name: row.drawn for row in evaluation.images.rows} if evaluation.images else {}
    assert about.scores["FD-cnn@20"] == of_images["FD-cnn@20"] and "accuracy" in about.scores
    config = (folder.source / "config.json").read_text()
    assert '"npz:"' in config and str(pretrained_made.parent) not in config
    stored = load_file(folder.source / "model.safetensors")
    assert {each.dtype for each in stored.values()} == {torch.float16}


@pytest.mark.parametrize("name", ["plain", "far"])
def test_half_precision_comes_back_as_the_nearest_and_draws(
    name: str, pretrained_made: Path, pretrained_place: Path
) -> None:
    trained, run = open_run(pretrained_made.parent / name), open_run(f"pretrained:{name}")
    assert run.config.network == trained.config.network
    for key, weights in trained.model.state_dict().items():
        came = run.model.state_dict()[key]
        assert came.dtype == torch.float32 and torch.equal(came.cpu(), weights.half().float().cpu())
    states: list[torch.Tensor] = []
    sampler = ImageSampler(run, 0, on_step=lambda state: states.append(state.x))
    images = sampler.of_numbers(torch.arange(6), Progress())
    assert images.shape == (6, *run.image_shape) and torch.stack(states).isfinite().all()


def test_images_are_those_beside_the_data(pretrained_place: Path, npz_images: Path) -> None:
    """The same with and without the images at hand."""
    alone, beside = (open_run("pretrained:far", data=data) for data in (None, f"npz:{npz_images}"))
    drawn = [ImageSampler(run, 0).of_numbers(torch.arange(6), Progress()) for run in (alone, beside)]
    assert torch.equal(*drawn)
    assert len(beside.splits.train) == 60
    with pytest.raises(InputError, match=r"pretrained:far .* --data npz:PATH, .* data='npz:PATH'"):
        _ = alone.splits
    with pytest.raises(InputError, match="digits are not those that pretrained:far was trained on"):
        open_run("pretrained:far", data="digits")


def test_no_folder_of_the_machine_is_told(pretrained_place: Path, npz_images: Path) -> None:
    texts = [file.read_text() for file in (pretrained_place / "far").glob("*.json")]
    assert len(texts) == 3 and not any(str(npz_images.parent) in text for text in texts)
    assert any(f"npz:{npz_images.name} test" in text for text in texts)


def test_a_gram_term_finds_images_that_come_with_a_library(pretrained_place: Path) -> None:
    run = open_run("pretrained:gram")
    assert ImageSampler(run, 0).of_numbers(torch.arange(3), Progress()).shape == (3, 1, 8, 8)
    assert "splits" in vars(run.images)


@pytest.mark.parametrize("name", ["nothing", "", "../plain", "Plain", "plain/"])
def test_a_name_that_is_none(name: str, pretrained_place: Path) -> None:
    with pytest.raises(InputError) as error:
        open_run(f"pretrained:{name}")
    assert "use pretrained:far or pretrained:gram or pretrained:plain" in str(error.value)


def test_a_package_without_any(own_place: Path) -> None:
    shutil.rmtree(own_place)
    assert pretrained_names() == []
    with pytest.raises(InputError, match=r"no run pretrained:plain comes .* give the folder of a run"):
        open_run("pretrained:plain")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def change(key: str, value: Any) -> Callable[[Path], None]:
    def changed(file: Path) -> None:
        file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
        (file.parent / "SHA256SUMS").unlink()

    return changed


@pytest.mark.parametrize(
    ("file", "damage", "told"),
    [
        ("model.safetensors", flip, "model.safetensors is damaged .* install stic_fast again"),
        ("model.safetensors", Path.unlink, "model.safetensors is missing; install stic_fast again"),
        ("config.json", flip, "config.json is damaged"),
        ("about.json", flip, "about.json is damaged .* install stic_fast again"),
        ("about.json", change("sha256", "0" * 64), "model.safetensors is damaged .* in the about.json beside it"),
        ("about.json", change("seconds", -1), "about.json is damaged .*seconds"),
        ("about.json", change("image_shape", [1, 8]), "about.json is damaged .*image_shape"),
        ("about.json", change("machine", "\x1b[31m"), "about.json is damaged .*machine"),
        ("about.json", change("scores", {"FD": "good"}), "about.json is damaged .*scores"),
    ],
)
def test_damage_is_told_in_a_sentence(file: str, damage: Callable[[Path], None], told: str, own_place: Path) -> None:
    damage(own_place / "plain" / file)
    with pytest.raises(InputError, match=told):
        open_run("pretrained:plain")


def test_no_training_goes_on_from_one(pretrained_made: Path, pretrained_place: Path) -> None:
    with pytest.raises(InputError, match="pretrained:plain holds weights alone"):
        resume("pretrained:plain")
    with pytest.raises(InputError, match="pretrained:new names a run that comes with the package"):
        train(open_run("pretrained:plain").config, "pretrained:new")
    assert not list(Path().iterdir())
    with pytest.raises(InputError, match="no checkpoint of pass 3; passes at hand: 1"):
        open_run("pretrained:plain", pass_number=3)


def test_weights_have_a_name_of_their_own(own_place: Path) -> None:
    """So that images drawn by those of another version of the package are not taken for theirs."""
    first, second = (folder_of(f"pretrained:{name}").newest_checkpoint() for name in ("plain", "gram"))
    assert first.name.startswith("plain-") and first.name.removeprefix("plain") != second.name.removeprefix("gram")


def test_weights_beyond_half_precision() -> None:
    with pytest.raises(InputError, match="wide is not finite in half precision"):
        halved({"narrow": torch.ones(2), "wide": torch.tensor([1.0, 7e4])})


@pytest.fixture
def source(pretrained_made: Path, own_place: Path, tmp_path: Path) -> Path:
    """A run to be written."""
    return Path(shutil.copytree(pretrained_made.parent / "plain", tmp_path / "source"))


@pytest.mark.parametrize(
    ("name", "told"),
    [("plain", "plain exists; remove it first"), ("../x", r"cannot be named '\.\./x'"), ("X", "cannot be named 'X'")],
)
def test_names_that_cannot_be_taken(name: str, told: str, source: Path, made: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=told):
        write_pretrained(source, name, **made)


def test_a_run_is_written_whole_or_not_at_all(
    source: Path, own_place: Path, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pretrained_writer, "listed_file", full)
        with pytest.raises(InputError, match="new cannot be written"):
            write_pretrained(source, "new", **made)
    with monkeypatch.context() as patch:
        patch.setattr(pretrained_writer, "MOST_BYTES", 10_000)
        with pytest.raises(InputError, match=r"new takes .* 10,000 is the most"):
            write_pretrained(source, "new", **made)
    assert sorted(path.name for path in own_place.iterdir()) == ["far", "gram", "plain"]
    assert write_pretrained(source, "new", **made) == own_place / "new"
    assert open_run("pretrained:new").config == open_run("pretrained:plain").config


def test_only_weights_that_were_evaluated(source: Path, made: dict[str, Any]) -> None:
    for name in ("evaluation.json", "SHA256SUMS"):
        (source / name).unlink()
    with pytest.raises(InputError, match=r"no evaluation of pass_001; write one with stic-fast evaluate .*source"):
        write_pretrained(source, "new", **made)
