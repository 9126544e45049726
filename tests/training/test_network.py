# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The network of a configuration: either architecture, by the seed, and as older runs have it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stic_fast.data import Splits
from stic_fast.errors import InputError
from stic_fast.models import ConvNet, WideResNet
from stic_fast.sampling import GRMALA
from stic_fast.training import NetworkConfig, SticConfig, build_network, open_run, train
from stic_fast.training.config import from_plain, to_plain
from stic_fast.training.network import network_of

CONVNET = NetworkConfig(architecture="convnet", width=1, strides=(2, 1, 2))


def test_a_convnet_has_the_settings_that_it_reads(splits: Splits) -> None:
    network = network_of(CONVNET, splits, seed=3, fake_class=True)
    assert isinstance(network, ConvNet)
    assert (network.width, network.strides, network.in_channels, network.num_logits) == (1, (2, 1, 2), 1, 4)
    assert network_of(CONVNET, splits, seed=3, outputs=7).num_logits == 7
    chosen = network_of(replace(CONVNET, gram_layers=("conv2",)), splits, seed=3)
    assert chosen.gram_layers == ("conv2",)


def test_the_seed_alone_fixes_the_weights(splits: Splits) -> None:
    one, other, third = (network_of(CONVNET, splits, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["convolutions.0.weight"], third["convolutions.0.weight"])


@pytest.mark.parametrize("architecture", ["convnet", "wide_resnet"])
def test_weights_are_those_of_the_global_generator_which_stays(splits: Splits, architecture: str) -> None:
    before = torch.get_rng_state()
    ours = network_of(replace(CONVNET, architecture=architecture, depth=10), splits, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        own = type(ours)(**ours.config())  # type: ignore[operator]
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), own.parameters(), strict=True))


def test_threads_build_the_networks_of_their_seeds(splits: Splits) -> None:
    def build(seed: int) -> list[torch.Tensor]:
        return list(network_of(CONVNET, splits, seed=seed).parameters())

    alone = [build(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for found, expected in zip(pool.map(build, range(8)), alone, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_layers_of_another_network_are_refused(splits: Splits) -> None:
    with pytest.raises(InputError, match="unknown layer 'conv9'"):
        network_of(replace(CONVNET, gram_layers=("conv9",)), splits, seed=0)


def test_runs_from_before_there_were_two_architectures_load(splits: Splits) -> None:
    plain = to_plain(SticConfig(network=NetworkConfig(depth=10, width=1)))
    del plain["network"]["architecture"]
    config = from_plain(SticConfig, plain)
    assert config.network.architecture == "wide_resnet" and isinstance(build_network(config, splits), WideResNet)
    plain["network"]["architecture"] = "transformer"
    with pytest.raises(InputError, match="architecture cannot be 'transformer'"):
        from_plain(SticConfig, plain)


def test_a_convnet_trains_and_opens(tiny: SticConfig, tmp_path: Path) -> None:
    config = replace(tiny, network=CONVNET, passes=2, iterations=2, sampler=GRMALA(steps=1))
    trained = train(config, tmp_path / "run").model
    opened = open_run(tmp_path / "run").model
    assert isinstance(opened, ConvNet)
    assert all(torch.equal(trained.state_dict()[name], value) for name, value in opened.state_dict().items())
