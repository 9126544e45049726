# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast info`: what this installation was built with, what it runs on, and the trained runs that came with it."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch
from threadpoolctl import threadpool_info

from stic_fast import __version__
from stic_fast.cli.terminal import say
from stic_fast.errors import InputError
from stic_fast.native import kernels
from stic_fast.training.pretrained import PretrainedFolder, pretrained_names

SHOWN = ("accuracy", "FD-", "recall-", "Cls_R-", "Cls_G-")
"""How the names of the scores begin that are told of a pretrained run."""


@dataclass(frozen=True)
class Info:
    """Print versions, instruction sets, CUDA, devices, and the pretrained runs."""

    def execute(self) -> None:
        """Prints one fact a line."""
        told = {**facts(), **pretrained_runs()}
        width = max(map(len, told)) + 2
        for name, value in told.items():
            say(f"{name:<{width}}{value}")


def facts() -> dict[str, str]:
    """What `stic-fast info` prints, name by name.

    >>> facts()["stic-fast"] == __version__
    True
    """
    build, threads = kernels.build_info(), torch.get_num_threads()
    with_openmp, without = f"yes; {threads} thread{'s' * (threads != 1)}", f"no, 1 thread: {build['openmp_reason']}"
    runtimes = [runtime["filepath"] for runtime in threadpool_info() if runtime["user_api"] == "openmp"]
    toolkit = build["cuda_toolkit"]
    cuda = "not compiled" if toolkit is None else f"compiled with CUDA {toolkit // 1000}.{toolkit % 1000 // 10}"
    gpus = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    return {
        "stic-fast": __version__,
        "native module": str(build["version"]),
        "Python": platform.python_version(),
        "torch": str(torch.__version__),
        "compiler": str(build["compiler"]),
        "instruction sets": f"{', '.join(build['isa_found'])} found; {build['isa']} chosen",
        "OpenMP": with_openmp if build["openmp"] else without,
        "OpenMP runtimes": _told_of(runtimes),
        "CUDA part": f"{cuda}: {build['cuda_reason']}",
        "devices": ", ".join(["cpu", *(f"cuda:{number} {torch.cuda.get_device_name(number)}" for number in gpus)]),
    }


def _told_of(runtimes: list[str]) -> str:
    """The OpenMP runtimes in this process, and what is wrong with having several."""
    listed = "; ".join(runtimes) or "none"
    return f"{listed} ({len(runtimes)}, whose threads compete for the cores)" if runtimes[1:] else listed


def pretrained_runs() -> dict[str, str]:
    """What is to be known of each pretrained run, or what is wrong with it, by what commands call it."""
    found = {}
    for name in pretrained_names():
        folder = PretrainedFolder(name)
        try:
            about = folder.about
            (method, _), shape = folder.read_config(), "×".join(map(str, about.image_shape))
            scores = [f"{score} {value:.3g}" for score, value in about.scores.items() if score.startswith(SHOWN)]
            what = f"{method}, {len(about.class_names)} classes of {shape} images"
            found[folder.address] = "; ".join([what, *scores])
        except InputError as error:
            found[folder.address] = str(error)
    return found
