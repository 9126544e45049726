# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast info`: what this installation was built with and what it runs on."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch

from stic_fast import __version__
from stic_fast.cli.terminal import say
from stic_fast.native import kernels


@dataclass(frozen=True)
class Info:
    """Print versions, instruction sets, CUDA and devices."""

    def execute(self) -> None:
        """Prints one fact a line."""
        for name, value in facts().items():
            say(f"{name:<18}{value}")


def facts() -> dict[str, str]:
    """What `stic-fast info` prints, name by name.

    >>> facts()["stic-fast"] == __version__
    True
    """
    build, threads = kernels.build_info(), torch.get_num_threads()
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
        "OpenMP": f"{'yes' if build['openmp'] else 'no'}; {threads} thread{'s' * (threads != 1)}",
        "CUDA part": f"{cuda}: {build['cuda_reason']}",
        "devices": ", ".join(["cpu", *(f"cuda:{number} {torch.cuda.get_device_name(number)}" for number in gpus)]),
    }
