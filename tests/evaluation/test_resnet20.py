# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""ResNet-20 checkpoints give the network of the paper, and files of other networks are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.evaluation.features import read_images
from stic_fast.evaluation.judges import JudgeNetwork, load_judge
from stic_fast.evaluation.resnet20 import IMAGENET_MEAN, IMAGENET_STD, ResNet20, load_resnet20_judge

pytestmark = pytest.mark.usefixtures("one_thread")

COLOURED = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def checkpoint_weights(num_classes: int = 10) -> dict[str, Tensor]:
    """Random weights under the names of the files in use, which lack num_batches_tracked."""
    draw = torch.Generator().manual_seed(2)
    weights = {}
    with torch.random.fork_rng():
        wanted = ResNet20(num_classes).state_dict()
    for key, value in wanted.items():
        if not key.endswith("num_batches_tracked"):
            fan_in = max(1, value[0].numel())
            random = torch.randn(value.shape, generator=draw) / fan_in**0.5
            weights[f"module.{key}"] = random.abs() + 0.5 if key.endswith("running_var") else random
    return weights


def written_out(weights: dict[str, Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
    """The paper's network step by step, as a second implementation."""

    def convolved(x: Tensor, name: str, number: int, stride: int = 1) -> Tensor:
        x = F.conv2d(x, weights[f"module.{name}conv{number}.weight"], stride=stride, padding=1)
        norm = f"module.{name}bn{number}"
        mean, var = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
        return F.batch_norm(x, mean, var, weights[f"{norm}.weight"], weights[f"{norm}.bias"])

    scaled = images.double() / 255
    x = (scaled - torch.tensor(IMAGENET_MEAN).double().view(3, 1, 1)) / torch.tensor(IMAGENET_STD).double().view(
        3, 1, 1
    )
    weights = {key: value.double() for key, value in weights.items()}
    x = convolved(x, "", 1).relu()
    for stage in (1, 2, 3):
        for block in range(3):
            stride = 2 if stage > 1 and block == 0 else 1
            name = f"layer{stage}.{block}."
            y = convolved(convolved(x, name, 1, stride).relu(), name, 2)
            if stride == 2:
                zeros = torch.zeros(len(x), x.shape[1] // 2, *y.shape[2:], dtype=x.dtype)
                x = torch.cat([zeros, x[:, :, ::2, ::2], zeros], dim=1)
            x = (x + y).relu()
    features = x.mean((2, 3))
    return features, features @ weights["module.linear.weight"].T + weights["module.linear.bias"]


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("bare", [True, False])
def test_resnet20_reads_the_checkpoint_format(tmp_path: Path, legacy: bool, bare: bool) -> None:
    weights = checkpoint_weights()
    content: Any = {"best_prec1": 91.7, "state_dict": weights}
    if bare:
        content = {key.removeprefix("module."): value for key, value in weights.items()}
    torch.save(content, tmp_path / "net.th", _use_new_zipfile_serialization=not legacy)
    state = torch.get_rng_state()
    judge = load_judge(f"resnet20:{tmp_path}/net.th", COLOURED, torch.tensor([0, 1, 2]), 10)
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(judge, JudgeNetwork) and (judge.name, judge.num_classes) == ("resnet20", 10)
    features, logits = written_out(weights, COLOURED)
    read = read_images(judge, COLOURED, batch_size=2, keep_features=True)
    assert read.features is not None and read.features.shape == (3, 64)
    torch.testing.assert_close(read.features.double(), features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(read.logits.double(), logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(judge(COLOURED.float() / 127.5 - 1), read.logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("prefix", "entry"),
    [("model.", "state_dict"), ("_orig_mod.module.", None), ("net.", "model_state_dict"), ("", "model")],
)
def test_what_wrappers_put_before_the_names_does_not_matter(tmp_path: Path, prefix: str, entry: str | None) -> None:
    weights = {prefix + key.removeprefix("module."): value for key, value in checkpoint_weights().items()}
    other = {"loss.weight": torch.ones(2)} if prefix else {}
    torch.save({entry: {**weights, **other}, "epoch": 3} if entry else weights, tmp_path / "net.th")
    judge = load_judge(f"resnet20:{tmp_path}/net.th", COLOURED, torch.tensor([0, 1, 2]), 10)
    _, logits = written_out(checkpoint_weights(), COLOURED)
    torch.testing.assert_close(read_images(judge, COLOURED, batch_size=2).logits.double(), logits, rtol=1e-4, atol=1e-5)


def without(weights: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if name != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: without(w, "module.layer3.2.conv2.weight"), "it has no layer3.2.conv2.weight instead of"),
        (lambda w: without(w, "module.linear.weight"), "no matrix linear.weight"),
        (
            lambda w: {**w, "module.layer1.3.conv1.weight": torch.ones(1)},
            "layer1.3.conv1.weight, which a ResNet-20 lacks",
        ),
        (lambda w: {**w, "module.conv1.weight": torch.ones(64, 3, 7, 7)}, r"conv1.weight of shape \(64, 3, 7, 7\)"),
        (lambda w: {**w, "epoch": 3}, "has no state dict"),
        (lambda w: [1, 2], "has no state dict"),
    ],
)
def test_checkpoints_of_other_networks_are_named(tmp_path: Path, change: Callable[[Any], Any], message: str) -> None:
    torch.save(change(checkpoint_weights()), tmp_path / "net.th")
    with pytest.raises(InputError, match=message):
        load_resnet20_judge(tmp_path / "net.th")


def test_missing_and_broken_checkpoints_and_grey_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        load_resnet20_judge(tmp_path / "absent.th")
    with pytest.raises(InputError, match="is damaged"):
        load_resnet20_judge(tmp_path)
    file = tmp_path / "net.th"
    torch.save({"state_dict": checkpoint_weights()}, file)
    content = file.read_bytes()
    for broken in (b"", b"nonsense", content[:1000], content[: len(content) // 2]):
        file.write_bytes(broken)
        with pytest.raises(InputError, match=r"net\.th"):
            load_resnet20_judge(file)
    file.write_bytes(content)
    with pytest.raises(InputError, match="'resnet20' has a mean for 3 channels, got images with 1"):
        load_judge(f"resnet20:{file}", COLOURED[:, :1], torch.tensor([0, 1, 2]), 3)
