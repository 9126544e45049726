# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The cached judge is the trained one, no judge's file can run code, and texts that name no judge are refused."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.evaluation import judges
from stic_fast.evaluation.features import JudgeNetwork
from stic_fast.evaluation.judges import (
    JudgeRequest,
    cached_judge,
    judge_forms,
    load_judge,
    register_judge,
    torchscript_spec,
)
from stic_fast.evaluation.kept import default_cache
from stic_fast.evaluation.resnet20 import load_resnet20_judge
from stic_fast.evaluation.torchscript_judge import load_torchscript_judge

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGES = torch.randint(0, 256, (12, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 3


def cached(folder: Path, images: Tensor = IMAGES, labels: Tensor = LABELS, classes: int = 3, **settings: Any) -> Any:
    said: list[str] = []
    settings = {"iterations": 3, "batch_size": 8, "say": said.append, **settings}
    return cached_judge(images, labels, classes, cache=folder, **settings), said


def untrainable(*arguments: Any, **settings: Any) -> Any:
    raise AssertionError("trained although a judge was kept")


def test_a_judge_is_trained_once_and_then_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, said = cached(tmp_path / "new" / "folder")
    monkeypatch.setattr(judges, "train_judge", untrainable)
    again, _ = cached(tmp_path / "new" / "folder")
    assert said == []
    assert first.state_dict().keys() == again.state_dict().keys()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())
    assert not again.training and not any(parameter.requires_grad for parameter in again.parameters())
    assert torch.equal(first(IMAGES), again(IMAGES))
    assert isinstance(again, JudgeNetwork) and (again.name, again.num_classes) == ("cnn", 3)
    (file,) = (tmp_path / "new" / "folder").iterdir()
    assert file.name.startswith("cnn-") and file.suffix == ".safetensors"


def test_other_data_or_settings_are_another_judge_and_a_view_is_the_same(tmp_path: Path) -> None:
    brighter, relabelled = IMAGES.clone(), LABELS.clone()
    brighter[11, 0, 3, 3] ^= 1
    relabelled[0] = 1
    cached(tmp_path)
    cached(tmp_path, IMAGES.transpose(2, 3).contiguous().transpose(2, 3), LABELS.int())  # equal values, other bytes
    assert len(list(tmp_path.iterdir())) == 1
    cached(tmp_path, brighter)
    cached(tmp_path, labels=relabelled)
    cached(tmp_path, classes=4)
    cached(tmp_path, IMAGES.view(12, 1, 2, 8).repeat_interleave(2, 2)[:, :, :4, :4])
    for settings in ({"seed": 1}, {"iterations": 4}, {"batch_size": 7}, {"learning_rate": 1e-3}):
        cached(tmp_path, **settings)
    assert len(list(tmp_path.iterdir())) == 9


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def spoil(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-40] ^= 1  # one bit of one weight
    file.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "incomplete|invalid|Error|InvalidOffset|deserializing"),
        (spoil, "its numbers are not those"),
        (lambda file: file.write_bytes(b""), "deserializing"),
        (lambda file: file.write_bytes(pickle.dumps({"key": 1})), "deserializing"),
    ],
)
def test_a_damaged_file_is_said_and_replaced(tmp_path: Path, damage: Callable[[Path], None], reason: str) -> None:
    first, _ = cached(tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    damage(file)
    second, said = cached(tmp_path)
    assert len(said) == 1 and "is damaged" in said[0] and "made anew and replaced" in said[0]
    assert any(word in said[0] for word in reason.split("|"))
    assert torch.equal(first.head.weight, second.head.weight)
    assert file.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [file]
    assert cached(tmp_path)[1] == []


def test_a_file_of_another_judge_is_not_taken_for_this_one(tmp_path: Path) -> None:
    cached(tmp_path)
    (mine,) = tmp_path.iterdir()
    cached(tmp_path, seed=1)
    (other,) = set(tmp_path.iterdir()) - {mine}
    mine.write_bytes(other.read_bytes())
    assert "of something else" in cached(tmp_path)[1][0]
    assert cached(tmp_path)[1] == []


def test_a_cache_that_cannot_be_written_is_said_and_costs_nothing_else(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    judge, said = cached(blocked)
    assert judge(IMAGES).shape == (12, 3)
    assert len(said) == 1 and "could not be kept" in said[0]
    with pytest.warns(UserWarning, match="could not be kept"):
        cached(blocked, say=None)


def test_the_default_cache_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "stic_fast" / "judges"
    assert isinstance(load_judge("cnn", IMAGES, LABELS, 3, iterations=1), JudgeNetwork)
    assert len(list(default_cache().iterdir())) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache" / "stic_fast" / "judges"


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


def test_no_checkpoint_runs_code(tmp_path: Path) -> None:
    mark, file = tmp_path / "mark", tmp_path / "net.th"
    torch.save({"state_dict": {}, "more": Bomb(mark)}, file)
    for load in (load_resnet20_judge, lambda path: load_torchscript_judge(path, image_shape=(3, 16, 16))):
        with pytest.raises(InputError, match="pickle"):
            load(file)
    file.write_bytes(pickle.dumps(Bomb(mark)))
    for load in (load_resnet20_judge, lambda path: load_torchscript_judge(path, image_shape=(3, 16, 16))):
        with pytest.raises(InputError, match="a pickle can run any code"):
            load(file)
    assert not mark.exists()


def test_torchscript_specs_are_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert torchscript_spec("~/net.pt") == (Path("/home/somebody/net.pt"), {})
    path, options = torchscript_spec("C:/a b.pt?mean=0.5&std=0.1,0.2,0.3&range=-1..1&resize=299&name=inception")
    assert path == Path("C:/a b.pt")
    assert options == {
        "mean": (0.5,),
        "std": (0.1, 0.2, 0.3),
        "value_range": (-1.0, 1.0),
        "resize": (299, 299),
        "name": "inception",
    }


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("inception", "'inception'.* cnn, resnet20:PATH, torchscript:PATH"),
        ("", "no judge ''"),
        ("cnn:3", "cnn:3"),
        ("resnet20", "resnet20:PATH"),
        ("torchscript: ?mean=1", "torchscript:PATH"),
        ("torchscript:a.pt?means=1", "'means=1'.* mean="),
        ("torchscript:a.pt?mean", "option 'mean'"),
        ("torchscript:a.pt?mean=1&", "option ''"),
        ("torchscript:a.pt?mean=1,x", "'mean=1,x'.* mean=0.485"),
        ("torchscript:a.pt?range=1", "range=0..255"),
        ("torchscript:a.pt?resize=1x2x3", "resize=299 or"),
        ("torchscript:a.pt?resize=9.5", "resize=299 or"),
    ],
)
def test_bad_specs_are_named(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_judge(spec, IMAGES, LABELS, 3)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(judges, "_LOADERS", dict(judges._LOADERS))


def toy_network(classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, classes))


@pytest.mark.usefixtures("registry")
def test_a_registered_judge_is_found_by_its_name_and_listed() -> None:
    told: list[JudgeRequest] = []

    def loader(request: JudgeRequest) -> nn.Module:
        told.append(request)
        return toy_network()

    register_judge("toy", loader, form="toy:SIZE")
    judge = load_judge("toy:big:one", IMAGES, LABELS, 3, seed=4)
    assert (told[0].text, told[0].seed, told[0].num_classes) == ("big:one", 4, 3)
    assert isinstance(judge, JudgeNetwork) and judge.features(IMAGES).shape == (12, 5)
    assert judge_forms()[:2] == ("cnn", "resnet20:PATH") and "toy:SIZE" in judge_forms()
    with pytest.raises(InputError, match=r"'tow'.* toy:SIZE"):
        load_judge("tow", IMAGES, LABELS, 3)
    for name in ("cnn", "a:b", " "):
        with pytest.raises(InputError, match=f"{name!r}"):
            register_judge(name, loader)


def test_judges_of_other_packages_are_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_judges.py").write_text(
        "from torch import nn\n"
        "def load(request):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(16, request.num_classes))\n"
    )
    about = tmp_path / "toy_judges-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy_judges\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[stic_fast.judges]\ntoy = toy_judges:load\nlost = toy_judges:none\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert judge_forms()[-2:] == ("toy", "lost")
    assert load_judge("toy", IMAGES, LABELS, 3).num_classes == 3
    with pytest.raises(InputError, match="judge lost of toy_judges:none"):
        load_judge("lost", IMAGES, LABELS, 3)
