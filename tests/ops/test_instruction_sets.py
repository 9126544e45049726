# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Every instruction set that was built and can run here gives the same bits."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stic_fast.native import kernels

# Prints one line per op: its name and the SHA-256 of all it gives, over dtypes, ragged sizes and options; of gram_loss,
# and scaled_silu, which may round differently, the greatest error against float64, as a share of the greatest value.
PROGRAM = """
import hashlib
import torch
from stic_fast.native import kernels
from stic_fast.ops import gram_loss, grmala_step, metropolis_accept, noise, scaled_silu, vrm_batch

DIGESTS = {}


def digest(name, *tensors):
    sha = DIGESTS.setdefault(name, hashlib.sha256())
    for tensor in tensors:
        sha.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())


where = dict(seed=2**63 + 77, step=12)
ids = torch.tensor([3, 2**32 - 1, 0])
generator = torch.Generator().manual_seed(5)
for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
    for size in (1, 3, 63, 64, 65, 4095, 4097, 10007):
        digest("normal", noise.normal((3, size), chain_ids=ids, dtype=dtype, **where))
        digest("uniform", noise.uniform((3, size), chain_ids=ids, dtype=dtype, **where))
        x, up, gram = (torch.randn(3, size, generator=generator).to(dtype) for _ in range(3))
        x[0, 0], up[1, 0], gram[2, 0] = float("inf"), float("-inf"), 65504
        eps = torch.rand(3, generator=generator)
        digest("grmala_step", grmala_step(x, up, eps1=0.3, eps3=0.1, **where))
        digest("grmala_step", grmala_step(x, up, gram, eps1=eps, eps2=0.95, eps3=0.01, clamp=None, **where))
        x[0, 0] = up[1, 0] = 0
        log_p = torch.linspace(0, 1, 3)
        moved = metropolis_accept(x, gram, log_p, -log_p, up, -up, eps1=eps, eps3=10 * size**0.5, **where)
        digest("metropolis_accept", *moved)
    for shape in ((3, 3, 7, 11), (2, 1, 1, 65), (3, 3, 40, 41)):
        images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        labels = torch.arange(shape[0])
        for options in ({}, dict(mixup_alpha=0.4), dict(mixup_alpha=1.0, flip_probability=0.5, max_shift=3)):
            digest("vrm_batch", *vrm_batch(images, labels, num_classes=3, dtype=dtype, **options, **where))
worst = 0.0
for channels, sides in ((5, (7, 9)), (70, (20, 15)), (65, (3, 2)), (270, (6, 7))):
    features, target = (torch.randn(2, channels, *sides, generator=generator) for _ in range(2))
    for layout in (torch.contiguous_format, torch.channels_last):
        leaf = features.contiguous(memory_format=layout).requires_grad_()
        exact = features.double().requires_grad_()
        loss, wanted = gram_loss(leaf, target), gram_loss(exact, target.double())
        ours = [loss.detach(), *torch.autograd.grad(loss.sum(), leaf)]
        theirs = [wanted.detach(), *torch.autograd.grad(wanted.sum(), exact)]
        worst = max(worst, *(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs)))
print("gram_loss", worst)
worst = 0.0
for shape in ((2, 3, 7, 9), (2, 70, 5, 3), (1, 600, 2, 3), (2, 4, 1, 2100), (3, 17)):
    for layout in (torch.contiguous_format, torch.channels_last):
        x, along = (4 * torch.randn(shape, generator=generator) for _ in range(2))
        scale = torch.randn(shape[:2], generator=generator)
        if layout == torch.channels_last and x.dim() == 4:
            x = x.contiguous(memory_format=layout)
        results = []
        for kind in (torch.float32, torch.float64):
            leaves = [x.to(kind).requires_grad_(), scale.to(kind).requires_grad_()]
            value = scaled_silu(*leaves)
            results.append([value.detach(), *torch.autograd.grad(value, leaves, along.to(kind))])
        worst = max(worst, *(float((a - b).abs().max() / b.abs().max()) for a, b in zip(*results)))
print("scaled_silu", worst)
print("isa", kernels.build_info()["isa"])
for name, sha in DIGESTS.items():
    print(name, sha.hexdigest())
"""


Run = Callable[[str, str, Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run_with(run_python: Callable[..., subprocess.CompletedProcess[str]]) -> Run:
    """run_with(isa, program, folder): a program by one instruction set."""
    return lambda isa, program, folder: run_python(program, folder, STIC_FAST_ISA=isa, OMP_NUM_THREADS="1")


@pytest.fixture(scope="module")
def outcomes(run_with: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Per instruction set, what the program prints."""
    printed = {}
    for isa in kernels.build_info()["isa_found"]:
        finished = run_with(isa, PROGRAM, tmp_path_factory.mktemp(isa))
        assert finished.returncode == 0, finished.stderr
        printed[isa] = dict(line.split() for line in finished.stdout.splitlines())
    return printed


def test_the_baseline_is_always_there() -> None:
    info = kernels.build_info()
    assert info["isa_found"][-1] == "baseline" and info["isa"] in info["isa_found"]


def test_the_variable_chooses(outcomes: dict[str, dict[str, str]]) -> None:
    assert {isa: printed["isa"] for isa, printed in outcomes.items()} == {isa: isa for isa in outcomes}


@pytest.mark.parametrize("op", ["normal", "uniform", "grmala_step", "metropolis_accept", "vrm_batch"])
def test_all_give_the_same_bits(outcomes: dict[str, dict[str, str]], op: str) -> None:
    digests = {isa: printed[op] for isa, printed in outcomes.items()}
    assert len(set(digests.values())) == 1, digests


@pytest.mark.parametrize(("op", "bound"), [("gram_loss", 5e-6), ("scaled_silu", 1e-6)])
def test_all_compute_exactly(outcomes: dict[str, dict[str, str]], op: str, bound: float) -> None:
    errors = {isa: float(printed[op]) for isa, printed in outcomes.items()}
    assert max(errors.values()) < bound, errors


def test_an_unknown_one_is_refused_at_import_in_one_sentence(run_with: Run, tmp_path: Path) -> None:
    finished = run_with("mmx", "import stic_fast", tmp_path)
    names = ", ".join(kernels.build_info()["isa_found"])
    sentence = f"STIC_FAST_ISA='mmx' cannot run here; choose one of {names} or leave it unset"
    assert finished.returncode != 0
    assert finished.stderr.splitlines()[-1] == f"ImportError: {sentence}"
    assert finished.stderr.count("Error") == 1


def test_an_empty_one_is_none(run_with: Run, tmp_path: Path) -> None:
    program = "from stic_fast.native import kernels; print(kernels.build_info()['isa'])"
    assert run_with("", program, tmp_path).stdout.strip() == kernels.build_info()["isa_found"][0]
