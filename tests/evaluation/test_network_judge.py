# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Networks of others read images on their own scale, from modules or TorchScript, and each mistake is named."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.evaluation.features import read_images
from stic_fast.evaluation.judges import load_judge
from stic_fast.evaluation.network_judge import NetworkJudge, as_judge
from stic_fast.evaluation.torchscript_judge import load_torchscript_judge

pytestmark = pytest.mark.usefixtures("one_thread")

COLOURED = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Pair(nn.Module):
    """Features and logits, with a batch normalisation that would tell training from evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3)
        self.norm = nn.BatchNorm2d(5)
        self.head = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.norm(self.stem(x)).relu().mean((2, 3))
        return features, self.head(features)


def scripted(module: nn.Module, file: Path, *, frozen: bool = False) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit as a whole
        script = torch.jit.script(module)
        torch.jit.save(torch.jit.freeze(script.eval()) if frozen else script, file)


@pytest.mark.parametrize("frozen", [True, False])
def test_torchscript_is_read_with_its_input_scale(tmp_path: Path, frozen: bool) -> None:
    network = Pair()
    scripted(network, tmp_path / "pair.pt", frozen=frozen)
    network.eval()
    spec = f"torchscript:{tmp_path}/pair.pt?mean=100,110,120&std=50&range=0..255&resize=8x12"
    judge = load_judge(spec, COLOURED, torch.tensor([0, 1, 2]), 10)
    assert (judge.name, judge.num_classes) == ("pair", 4)
    read = read_images(judge, COLOURED, batch_size=2, keep_features=True)
    x = (COLOURED.float() - torch.tensor([100.0, 110.0, 120.0]).view(3, 1, 1)) / 50
    features, logits = network(F.interpolate(x, (8, 12), mode="bilinear", antialias=True))
    assert read.features is not None
    torch.testing.assert_close(read.features, features.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(read.logits, logits.detach(), rtol=1e-4, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in judge.parameters())  # type: ignore[attr-defined]


def test_other_files_are_not_taken_for_torchscript(tmp_path: Path) -> None:
    def load(file: str) -> NetworkJudge:
        return load_torchscript_judge(tmp_path / file, image_shape=(3, 16, 16))

    with pytest.raises(InputError, match="there is no file"):
        load("absent.pt")
    torch.save(Pair(), tmp_path / "module.pt")
    with pytest.raises(InputError, match=r"module.pt is a pickle of torch.save.* not read; export"):
        load("module.pt")
    network = Pair().eval()
    torch.export.save(torch.export.export(network, (torch.zeros(2, 3, 16, 16),)), tmp_path / "net.pt2")
    with pytest.raises(InputError, match=r"torch.export archive, which torch reads through pickle"):
        load("net.pt2")
    scripted(nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), tmp_path / "single.pt")
    with pytest.raises(InputError, match=r"must return the pair .*\(1, 2\)"):
        load("single.pt")
    scripted(Pair(), tmp_path / "pair.pt")
    with pytest.raises(InputError, match=r"cannot read images \(1, 8, 8\)"):
        load_torchscript_judge(tmp_path / "pair.pt", image_shape=(1, 8, 8))
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("other/readme.txt", "no network")
    with pytest.raises(InputError, match=r"other.pt is not TorchScript; export"):
        load("other.pt")
    with zipfile.ZipFile(tmp_path / "pair.pt") as whole, zipfile.ZipFile(tmp_path / "bad.pt", "w") as damaged:
        for entry in whole.namelist():
            damaged.writestr(entry, whole.read(entry).replace(b"def forward", b"def 4orward"))
    with pytest.raises(InputError, match=r"bad.pt is damaged TorchScript, or of a version"):
        load("bad.pt")
    network = Pair()
    scripted(network, tmp_path / "flipped.pt")
    content = bytearray((tmp_path / "flipped.pt").read_bytes())
    content[content.index(network.head.weight.detach().numpy().tobytes())] ^= 1  # one bit of one weight
    (tmp_path / "flipped.pt").write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"flipped.pt is damaged TorchScript; fetch"):
        load("flipped.pt")


def small_network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(5 * 14 * 14, 4))


def test_a_module_gives_the_output_of_a_named_layer_as_features() -> None:
    network = small_network()
    judge = NetworkJudge(network, name="small", num_classes=4, feature_layer="0", mean=[0.5], std=[0.25])
    x = (COLOURED.float() / 255 - 0.5) / 0.25
    before_relu = network[0](x)
    features, logits = judge.features_and_logits(COLOURED)
    torch.testing.assert_close(features, before_relu.mean((2, 3)), rtol=1e-4, atol=1e-5)  # despite the in-place ReLU
    torch.testing.assert_close(logits, network(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(judge.features(COLOURED), features)
    assert not network.training
    assert not any(module._forward_hooks for module in network.modules())
    scaled = (COLOURED.float() / 127.5 - 1).requires_grad_()
    (gradient,) = torch.autograd.grad(judge(scaled).square().sum(), scaled)
    assert gradient.abs().sum() > 0


def test_modules_that_do_not_fit_are_named() -> None:
    def judge(network: nn.Module | None = None, **settings: Any) -> NetworkJudge:
        settings = {"name": "small", "num_classes": 4, "feature_layer": "1", **settings}
        return NetworkJudge(small_network() if network is None else network, **settings)

    with pytest.raises(InputError, match="has no layer 'pool'; its last layers are 0, 1, 2, 3"):
        judge(feature_layer="pool")
    for settings in ({"std": [0.0]}, {"mean": []}, {"std": [1.0, float("nan")]}):
        with pytest.raises(InputError, match="a mean and a positive std"):
            judge(**settings)
    with pytest.raises(InputError, match="value_range must rise"):
        judge(value_range=(1.0, 0.0))
    with pytest.raises(InputError, match="resize must be positive"):
        judge(resize=(0, 8))
    with pytest.raises(InputError, match=r"logits of shape \(3, 4\), but has num_classes=5"):
        judge(num_classes=5)(COLOURED)
    with pytest.raises(InputError, match=r"judge 'small' .* torch.int64"):
        judge()(COLOURED.long())
    with pytest.raises(InputError, match="mean for 2 channels, got images with 3"):
        judge(mean=[0.1, 0.2])(COLOURED)
    with pytest.raises(InputError, match=r"must return the pair \(features, logits\)"):
        judge(feature_layer=None)(COLOURED)
    twice = nn.ReLU()
    with pytest.raises(InputError, match="'0' of judge 'small' was called 2 times"):
        judge(nn.Sequential(twice, twice, nn.Flatten()), feature_layer="0")(COLOURED)


def test_any_module_that_gives_logits_is_a_judge() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(768, 6), nn.ReLU(inplace=True), nn.Linear(6, 4)).train()
    judge = as_judge(network, (3, 16, 16))
    x = COLOURED.float() / 127.5 - 1
    read = read_images(judge, COLOURED, keep_features=True)
    assert read.features is not None and (judge.name, judge.num_classes) == ("Sequential", 4)
    torch.testing.assert_close(read.features, network[:3](x).detach())
    torch.testing.assert_close(read.logits, network(x).detach())
    assert as_judge(judge, (3, 16, 16)) is judge, "a judge is taken as it is"
    assert network.training and network[2].training
    plain = as_judge(nn.Sequential(nn.Conv2d(3, 4, 16), nn.Flatten()), (3, 16, 16))
    read = read_images(plain, COLOURED, keep_features=True)
    assert read.features is not None and torch.equal(read.features, read.logits)


def test_what_cannot_judge_is_named() -> None:
    with pytest.raises(InputError, match=r"judge .* function"):
        as_judge(lambda x: x, (3, 16, 16))
    with pytest.raises(InputError, match=r"'Sequential' cannot read images \(1, 8, 8\)"):
        as_judge(small_network(), (1, 8, 8))
