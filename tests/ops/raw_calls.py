# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Raw calls of `torch.ops.stic_fast.*` with random arguments, most of them wrong: python raw_calls.py SEED COUNT.

Every tensor ends or begins at a page that may not be touched, so that a kernel that leaves it ends the process. A call
is refused by an exception, its tensors as they were, or gives what the op's reference gives for copies of them. The
last line printed counts both; the first wrong call ends the program with exit code 1.
"""

from __future__ import annotations

import ctypes
import mmap
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

import stic_fast  # noqa: F401, registers the ops
from stic_fast.ops.gram import reference as gram_reference
from stic_fast.ops.gram_loss import reference_loss
from stic_fast.ops.grmala_step import reference as step_reference
from stic_fast.ops.metropolis_accept import reference as metropolis_reference
from stic_fast.ops.noise import reference_normal, reference_uniform
from stic_fast.ops.scaled_silu import reference as silu_reference
from stic_fast.ops.scaled_silu import reference_backward as silu_backward_reference
from stic_fast.ops.vrm_batch import reference as vrm_reference

OPS = torch.ops.stic_fast
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
ANY_DTYPE = (*FLOATS, torch.int64, torch.int32, torch.uint8, torch.bool, torch.complex64)
PAGE = mmap.PAGESIZE
REFUSALS = (TypeError, ValueError, RuntimeError, NotImplementedError, OverflowError)
Arguments = list[Any]


class GuardPages:
    """Memory between two pages that may not be touched; kept for the life of the process."""

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.kept: list[mmap.mmap] = []

    def copy_of(self, tensor: Tensor, *, at_end: bool) -> Tensor:
        """A contiguous copy that ends at a guard page, or begins behind one."""
        if not tensor.numel():
            return tensor.clone()
        size = tensor.numel() * tensor.itemsize
        pages = (size + PAGE - 1) // PAGE
        memory = mmap.mmap(-1, (pages + 2) * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for guard in (start, start + (pages + 1) * PAGE):
            if self.libc.mprotect(ctypes.c_void_p(guard), PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.kept.append(memory)
        offset = PAGE + (pages * PAGE - size if at_end else 0)
        copy = torch.frombuffer(memory, dtype=tensor.dtype, count=tensor.numel(), offset=offset).view(tensor.shape)
        return copy.copy_(tensor)


class Calls:
    """Random calls of each op."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.frees = True
        """Whether a tensor may come without its memory. PyTorch's own products, behind `gram`, do not survive it."""
        self.guards = GuardPages()
        torch.manual_seed(seed)

    def floats(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.guarded(torch.randn(shape).to(dtype))

    def guarded(self, tensor: Tensor) -> Tensor:
        return self.guards.copy_of(tensor, at_end=self.random.random() < 0.8)

    def ids(self, chains: int) -> Tensor | None:
        return self.guarded(torch.randint(0, 2**40, (chains,))) if self.random.random() < 0.6 else None

    def step(self) -> Tensor | None:
        return self.guarded(torch.tensor([self.random.randrange(9)])) if self.random.random() < 0.3 else None

    def sample(self) -> tuple[int, ...]:
        return self.random.choice([(1,), (7,), (64,), (3, 5), (1, 8, 8), (2, 9, 3), (130,), (0,)])

    def chains(self) -> int:
        return self.random.choice([0, 1, 2, 3, 5])

    def noise(self) -> Arguments:
        ids = self.guarded(torch.randint(0, 2**40, (self.chains(),)))
        return [ids, self.step(), list(self.sample()), 5, 3, self.random.randrange(9), self.random.choice(FLOATS)]

    def grmala_step(self) -> Arguments:
        chains, sample, dtype = self.chains(), self.sample(), self.random.choice(FLOATS)
        x, uphill, downhill = (self.floats(chains, *sample, dtype=dtype) for _ in range(3))
        per_chain = self.guarded(torch.rand(3, chains, dtype=torch.float64))
        gram = downhill if self.random.random() < 0.6 else None
        eps = per_chain if self.random.random() < 0.5 else None
        return [x, uphill, gram, self.ids(chains), self.step(), eps, 0.5, 0.25, 0.1, -1.0, 1.0, 7, 3]

    def metropolis_accept(self) -> Arguments:
        chains, sample, dtype = self.chains(), self.sample(), self.random.choice(FLOATS)
        x, proposal, up, up_end = (self.floats(chains, *sample, dtype=dtype) for _ in range(4))
        logs = [self.guarded(torch.randn(chains, dtype=torch.float64)) for _ in range(2)]
        eps = self.guarded(torch.rand(2, chains, dtype=torch.float64) + 0.5)
        return [x, proposal, *logs, up, up_end, eps, self.ids(chains), self.step(), -9.0, 9.0, 7, 3]

    def scaled_silu(self) -> Arguments:
        batch, dtype = self.chains(), self.random.choice(FLOATS)
        x = self.floats(batch, self.random.choice([1, 3, 9, 70, 600]), *self.sample(), dtype=dtype)
        if x.dim() == 4 and self.random.random() < 0.5:
            x = self.guarded(x.permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2)
        wide = torch.float32 if dtype in (torch.bfloat16, torch.float16) and self.random.random() < 0.5 else dtype
        return [x, self.floats(*x.shape[:2], dtype=wide) if self.random.random() < 0.6 else None, 0.5]

    def scaled_silu_backward(self) -> Arguments:
        x, *scale = self.scaled_silu()
        return [self.floats(*x.shape, dtype=x.dtype), x, *scale]

    def vrm_batch(self) -> Arguments:
        rows = self.chains()
        shape = self.random.choice([(1, 8, 8), (3, 5, 7), (2, 1, 1), (1, 16, 9)])
        images = self.guarded(torch.randint(0, 256, (rows, *shape), dtype=torch.uint8))
        labels = torch.randint(0, 4, (rows,))
        labels = self.guarded(torch.eye(4)[labels] if self.random.random() < 0.3 else labels)
        alpha, shift = self.random.choice([0.0, 1.0, 0.4]), self.random.choice([0, 2, 40])
        dtype = self.random.choice(FLOATS)
        return [images, labels, self.ids(rows), self.step(), 4, alpha, 0.3, 0.5, shift, 7, 3, dtype]

    def layers(self, chains: int, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor], list[bool], list[bool]]:
        layers, targets, is_gram, is_dual = [], [], [], []
        for _ in range(self.random.choice([1, 1, 2, 3])):
            channels, size, other = (self.random.choice([1, 2, 5, 16, 33]) for _ in range(3))
            layers.append(self.floats(chains, channels, size, 1, dtype=dtype))
            rows, form = self.random.choice([1, chains]), self.random.choice(["gram", "dual", "primal"])
            target = torch.randn(rows, channels, other)
            target = target @ target.mT / other if form == "gram" else target
            targets.append(self.guarded(target.to(dtype)))
            is_gram.append(form == "gram")
            is_dual.append(form == "dual")
        return layers, targets, is_gram, is_dual

    def gram(self) -> Arguments:
        return [self.floats(self.chains(), 3, *self.sample(), dtype=self.random.choice(FLOATS))]

    def gram_loss(self) -> Arguments:
        layers = self.layers(self.random.choice([0, 1, 2, 3]), self.random.choice(FLOATS))
        scale = self.random.choice(["log", "relative", "gatys", "none"])
        return [*layers, scale, self.random.random() < 0.5, True]

    def gram_loss_gradient(self) -> Arguments:
        layers, targets, is_gram, is_dual = self.layers(self.random.choice([1, 2, 3]), self.random.choice(FLOATS))
        loss, *kept = OPS.gram_loss(layers, targets, is_gram, is_dual, "log", True, True)
        slopes, products = (self.guarded(tensor) for tensor in kept)
        references = [target if dual else None for target, dual in zip(targets, is_dual, strict=True)]
        return [self.guarded(torch.rand_like(loss)), slopes, products, layers, references]

    # What makes arguments wrong, or only unusual.

    def changed(self, tensor: Tensor) -> Any:
        """Another tensor in its place: too short, of another type, laid out otherwise, without memory of its own."""
        if tensor.device.type == "meta" or not has_memory(tensor):  # changed before
            return tensor
        change = self.random.choice(CHANGES)
        if change == "none":
            return None
        if change == "meta":
            return tensor.to("meta")
        if change == "dtype":
            return self.guarded(tensor.to(self.random.choice(ANY_DTYPE)))
        if change == "scalar":
            return self.guarded(torch.ones((), dtype=tensor.dtype))
        if change == "empty":
            return self.guarded(torch.ones(0, dtype=tensor.dtype))
        if change == "short":
            return self.guarded(tensor.flatten()[: tensor.numel() // 2].clone())
        if change == "fewer" and tensor.dim():
            return self.guarded(tensor[: self.random.choice([0, 1, max(len(tensor) - 1, 0)])].clone())
        if change == "narrow" and tensor.dim():
            return self.guarded(tensor[..., : tensor.shape[-1] // 2].clone())
        if change == "longer" and tensor.dim():
            return self.guarded(torch.cat([tensor, tensor]))
        if change == "dimension":
            return self.guarded(tensor[None].clone())
        if change == "flat":
            return self.guarded(tensor.flatten().clone())
        if change == "expanded" and tensor.dim() and len(tensor):
            return self.guarded(tensor[:1].clone()).expand(tensor.shape)
        if change == "strided" and tensor.dim():
            return self.guarded(tensor.repeat_interleave(2, -1))[..., ::2]
        if change == "transposed" and tensor.dim() > 1:
            return self.guarded(tensor.transpose(0, -1).contiguous()).transpose(0, -1)
        if change == "misaligned" and tensor.numel():
            odd = self.guarded(torch.zeros(tensor.numel() * tensor.itemsize + 1, dtype=torch.uint8)).numpy()
            return torch.frombuffer(odd, dtype=tensor.dtype, offset=1).view(tensor.shape).copy_(tensor)
        if change == "freed" and self.frees:
            freed = tensor.clone()
            freed.untyped_storage().resize_(0)
            return freed
        return tensor

    def change(self, arguments: Arguments) -> None:
        """Changes one argument, or one entry of a list."""
        place: Any = arguments
        index = self.random.randrange(len(arguments))
        value = arguments[index]
        if isinstance(value, list) and value and self.random.random() < 0.8:
            place, index = value, self.random.randrange(len(value))
            value = place[index]
            if self.random.random() < 0.15:
                del place[index]
                return
        if isinstance(value, Tensor):
            others = [other for other in tensors_of(arguments) if other is not value]
            swap = self.random.random() < 0.15 and others
            place[index] = self.random.choice(others) if swap else self.changed(value)
        elif isinstance(value, bool):
            place[index] = not value
        elif isinstance(value, int):
            sizes = place is not arguments  # none that memory might just hold
            place[index] = self.random.choice([0, -1, 1, 2**62, -(2**63), *([] if sizes else [2**31, 2**32])])
        elif isinstance(value, float):
            place[index] = self.random.choice([float("nan"), float("inf"), -1.0, 0.0, 1e300])
        elif isinstance(value, torch.dtype):
            place[index] = self.random.choice(ANY_DTYPE)
        elif isinstance(value, list):
            place[index] = []
        elif isinstance(value, str):
            place[index] = "l2"
        else:
            place[index] = self.floats(3)


CHANGES = (
    *("none", "meta", "dtype", "scalar", "empty", "short", "fewer", "narrow", "longer", "dimension", "flat"),
    *("expanded", "strided", "transposed", "misaligned", "freed"),
)


def tensors_of(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list):
        for entry in value:
            yield from tensors_of(entry)


def copies(value: Any) -> Any:
    """The same values in memory of their own."""
    if isinstance(value, Tensor):
        return value.clone(memory_format=torch.contiguous_format)
    return [copies(entry) for entry in value] if isinstance(value, list) else value


def loss_reference(
    layers: Sequence[Tensor], targets: Sequence[Tensor], is_gram: Sequence[bool], _: Any, normalize: Any, *__: Any
) -> Tensor:
    return reference_loss([layer.double() for layer in layers], [t.double() for t in targets], is_gram, normalize)


KINDS: dict[str, tuple[str, Callable[..., Any]]] = {
    "normal": ("noise", reference_normal),
    "uniform": ("noise", reference_uniform),
    "grmala_step": ("grmala_step", step_reference),
    "grmala_step_": ("grmala_step", step_reference),
    "metropolis_accept": ("metropolis_accept", metropolis_reference),
    "scaled_silu": ("scaled_silu", silu_reference),
    "scaled_silu_backward": ("scaled_silu_backward", silu_backward_reference),
    "vrm_batch": ("vrm_batch", vrm_reference),
    "gram": ("gram", gram_reference),
    "gram_loss": ("gram_loss", loss_reference),
    "gram_loss_gradient": ("gram_loss_gradient", OPS.gram_loss_gradient),  # of contiguous copies
}
"""By op, who makes its arguments, and what it must give."""


def is_right(name: str, result: Any, expected: Any) -> bool:
    if name == "gram_loss":
        result = result[0]
    elif name == "metropolis_accept":  # what follows from a comparison of nearly equal numbers may differ
        result, expected = result[2].clamp(-1e30, 1e30), expected[2].clamp(-1e30, 1e30)
    pairs = zip(list(result), list(expected), strict=True) if isinstance(result, tuple | list) else [(result, expected)]
    for got, wanted in pairs:
        coarse = 0.05 if got.dtype in (torch.bfloat16, torch.float16) or name.startswith("gram") else 1e-3
        if got.shape != wanted.shape:
            return False
        if not torch.allclose(got.double(), wanted.double(), rtol=coarse, atol=coarse, equal_nan=True):
            return False
    return True


def one_call(calls: Calls, name: str) -> str:
    """What became of one call: refused, right, or what was wrong."""
    maker, reference = KINDS[name]
    arguments: Arguments = getattr(calls, maker)()
    calls.frees = not name.startswith("gram")
    for _ in range(calls.random.choice([0, 1, 1, 1, 2])):
        calls.change(arguments)
    if name == "grmala_step_" and calls.random.random() < 0.2 and isinstance(arguments[0], Tensor):
        whole = calls.guarded(torch.randn(arguments[0].numel() + 1).to(arguments[0].dtype))
        arguments[0], arguments[1] = (part.view(arguments[0].shape) for part in (whole[:-1], whole[1:]))
    everything = list(tensors_of(arguments))
    is_whole = all(tensor.device.type == "meta" or has_memory(tensor) for tensor in everything)
    readable = [tensor for tensor in everything if tensor.device.type == "cpu" and has_memory(tensor)]
    before = [tensor.clone() for tensor in readable]
    kept = copies(arguments) if is_whole else None
    try:
        result = getattr(OPS, name)(*arguments)
    except REFUSALS as refusal:
        if not str(refusal):
            return "refused without a word"
        return "refused" if all(map(bits_equal, readable, before)) else "refused, but a tensor was changed"
    if any(tensor.device.type == "meta" for tensor in everything):
        return "refused"  # on the meta device nothing is computed
    if kept is None:
        return "took a tensor without memory"
    if name in ("normal", "uniform") and not result.numel():
        return "right"  # however many elements each of no chains has
    expected = reference(*kept)
    return "right" if is_right(name, arguments[0] if name == "grmala_step_" else result, expected) else "wrong values"


def has_memory(tensor: Tensor) -> bool:
    return tensor.data_ptr() != 0 or tensor.numel() == 0


def bits_equal(left: Tensor, right: Tensor) -> bool:
    as_bytes = (tensor.flatten().clone(memory_format=torch.contiguous_format) for tensor in (left, right))
    return torch.equal(*(tensor.view(torch.uint8) for tensor in as_bytes))


def main(seed: int, count: int) -> int:
    torch.set_num_threads(2)
    calls, outcomes = Calls(seed), Counter[str]()
    names = list(KINDS)
    for index in range(count):
        name = names[index % len(names)]
        outcome = one_call(calls, name)
        outcomes[outcome] += 1
        if outcome not in ("refused", "right"):
            print(f"{name}: {outcome} at call {index} of seed {seed}")
            return 1
    print(dict(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
