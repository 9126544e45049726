# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How much memory there is, and refusing what would not fit before it is asked for."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from stic_fast.errors import InputError

_SYSTEM = Path("/")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""The numbers of malloc.h."""
_LARGEST_THRESHOLD = 32 * 2**20
"""Of tensors that are kept: glibc takes no larger one."""
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def available(device: torch.device | None = None) -> float:
    """Bytes that this process can still take: of a CUDA device, or of the machine within its control group's limits.

    Infinity where the system does not tell.

    >>> available() > 0
    True
    """
    if device is not None and device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return min(_of_machine(_SYSTEM), *map(_left, _control_groups(_SYSTEM)))


def check_fits(what: str, needed: float, hint: str, *, device: torch.device | None = None) -> None:
    """Refuses what needs more memory than there is.

    Args:
        what: the subject of the sentence.
        hint: what would make it smaller.

    Raises:
        InputError: with the bytes needed, the bytes there are, and the hint.

    >>> check_fits("a batch", 10_000, "lower batch_size")
    """
    there = available(device)
    if needed > there:
        where = "on the GPU" if device is not None and device.type == "cuda" else "on this machine"
        raise InputError(f"{what} needs about {written(needed)} and {written(there)} are free {where}; {hint}")


def keep_what_is_freed() -> None:
    """From now on the C library keeps memory that was freed, for the next tensors, where it is glibc.

    By default it gives large tensors back to the system and asks for the same memory anew, cleared page by page: a
    fifth of the time of a round of IGM. It is a setting of the whole process, for one of our own.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


class KeptMemory:
    """Counts the bytes of tensors that autograd keeps, each memory once.

    Args:
        but: tensors that do not count, such as a model's weights.

    >>> kept, x = KeptMemory(), torch.ones(4, requires_grad=True)
    >>> with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
    ...     y = x.exp() * x
    >>> kept.bytes
    32.0
    """

    def __init__(self, but: Iterable[Tensor] = ()) -> None:
        storages = (tensor.untyped_storage() for tensor in but)
        self._seen = {storage._cdata: storage for storage in storages}  # alive, so that no other memory takes its key
        self.bytes = 0.0

    def __call__(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen[storage._cdata] = storage
            self.bytes += storage.nbytes()
        return tensor


def written(size: float) -> str:
    """Bytes for people.

    >>> written(3 * 2**29), written(12)
    ('1.5 GiB', '12 bytes')
    """
    step = min(int(math.log(max(size, 1), 1024)), len(_UNITS) - 1)
    return f"{size / 1024**step:.3g} {_UNITS[step]}"


def _of_machine(root: Path) -> float:
    """What /proc/meminfo calls available, or all there is."""
    try:
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    with contextlib.suppress(ValueError, OSError, AttributeError):  # not Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return math.inf


def _control_groups(root: Path) -> list[Path]:
    """The folders of this process's memory control groups and those around them, within a container its own root."""
    mounts = root / "sys/fs/cgroup"
    groups = [mounts, mounts / "memory"]
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                inner = (mounts / "memory" if controllers else mounts) / path.strip("/")
                groups += [group for group in (inner, *inner.parents) if group.is_relative_to(mounts)]
    return list(dict.fromkeys(groups))


def _left(group: Path) -> float:
    """What a control group may still take; pages of files that it caches can be dropped, and count as free."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        with contextlib.suppress(OSError, ValueError):
            most, taken = int((group / limit).read_text()), int((group / used).read_text())
            with contextlib.suppress(OSError, ValueError):
                statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
                taken -= int(statistics.get(cached, 0))
            return max(0, most - taken)
    return math.inf
