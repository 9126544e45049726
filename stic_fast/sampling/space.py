# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Where chains live: their shape, how they start, their box, how they are kept, and how they become images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor

from stic_fast.counts import Positive, check_ranges
from stic_fast.errors import InputError
from stic_fast.ops import noise
from stic_fast.pixels import as_unit, to_bytes
from stic_fast.sampling.canvas import Canvas, canvas

Keep = Literal["floats", "bytes"]
Sampler = TypeVar("Sampler")


class Space:
    """The base of all spaces. States are float32 (chains, *shape).

    A subclass says how chains start and how they become images; the rest has the obvious defaults.
    """

    def of_images(self, image_shape: Sequence[int]) -> Space:
        """This space for a set of images (channels, height, width), where it leaves its shape to them."""
        return self

    def start(self, chain_ids: Tensor, *, seed: int, step: int = 0) -> Tensor:
        """The state x_0 of each chain, float32 (chains, *shape), on the device of `chain_ids`.

        Args:
            chain_ids: int64 (chains,); with seed and step they address the noise, on the chain-init stream.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how chains start")

    def start_at(self, images: Tensor, chain_ids: Tensor, *, seed: int) -> Tensor:
        """The state x_0 of chains that start at images, float (chains, channels, height, width) in [−1, 1]."""
        return self.encode(images)

    def encode(self, images: Tensor) -> Tensor:
        """The states (N, *shape) of images, float (N, channels, height, width) in [−1, 1]."""
        return images

    def decode(self, x: Tensor) -> Tensor:
        """The images of states: float (chains, channels, height, width) in [−1, 1]."""
        return x

    def pack(self, x: Tensor) -> Tensor:
        """States as they are kept between rounds."""
        return x

    def unpack(self, kept: Tensor) -> Tensor:
        """States from their kept form, float32."""
        return kept

    def view(self, x: Tensor, *, seed: int, step: int | Tensor, chain_ids: Tensor | None) -> Tensor:
        """What the network is shown of the states at a step, differentiable in x."""
        return x

    def shown(self, image_shape: Sequence[int]) -> tuple[int, ...]:
        """(rows, channels, height, width): how much the network is shown of a state, for images of this shape."""
        return 1, *image_shape

    def bound(self, sampler: Sampler) -> Sampler:
        """The sampler with this space's box, where that is not the sampler's own to choose."""
        return sampler


@dataclass(frozen=True)
class PixelSpace(Space):
    """Images in [−1, 1] themselves; the sampler keeps them in its box.

    Raises:
        InputError: an unknown start or form.

    >>> PixelSpace((1, 2, 2), canvas="blank").start(torch.arange(3), seed=0).unique()
    tensor([1.])
    """

    shape: tuple[int, int, int] | None = None
    """(channels, height, width); None for that of the real images."""
    canvas: Canvas = "uniform"
    """What chains start from: "uniform" noise (STIC, section 4), "normal" noise clamped to the box (section 10), or
    "blank", all 255 (the abstract)."""
    keep: Keep = "floats"
    """How states are kept between rounds: "floats", exactly; or "bytes", rounded to the 256 levels of images in a
    quarter of the memory, which undoes every move below 1/255 between two runs of a chain."""

    def __post_init__(self) -> None:
        for name, kind in (("canvas", Canvas), ("keep", Keep)):
            if getattr(self, name) not in get_args(kind):
                options = ", ".join(get_args(kind))
                raise InputError(f"unknown {name} {getattr(self, name)!r}; choose one of {options}")

    def of_images(self, image_shape: Sequence[int]) -> PixelSpace:
        channels, height, width = image_shape
        return self if self.shape is not None else replace(self, shape=(channels, height, width))

    def start(self, chain_ids: Tensor, *, seed: int, step: int = 0) -> Tensor:
        return canvas(self.canvas, self._shape, chain_ids, seed=seed, step=step)

    def pack(self, x: Tensor) -> Tensor:
        return to_bytes(x) if self.keep == "bytes" else x

    def unpack(self, kept: Tensor) -> Tensor:
        return as_unit(kept)

    @property
    def _shape(self) -> tuple[int, int, int]:
        if self.shape is None:
            raise InputError("a space without a shape has no start; give PixelSpace(shape=(channels, height, width))")
        return self.shape


@dataclass(frozen=True)
class NoiseSpace(Space):
    """Images with noise, whose level falls as a chain goes on; they start as noise alone, in no box.

    What a last state has beyond [−1, 1] is cut off as it becomes bytes.

    >>> round(NoiseSpace((1, 8, 8), sigma=80.0).start(torch.arange(50), seed=0).std().item(), -1)
    80.0
    """

    shape: tuple[int, ...] | None = None
    """(channels, height, width); None for that of the real images."""
    sigma: Positive = 80.0
    """Standard deviation of the noise that chains start from, in units of [−1, 1]."""

    def __post_init__(self) -> None:
        check_ranges(self)

    def of_images(self, image_shape: Sequence[int]) -> NoiseSpace:
        return self if self.shape is not None else replace(self, shape=tuple(image_shape))

    def start(self, chain_ids: Tensor, *, seed: int, step: int = 0) -> Tensor:
        if self.shape is None:
            raise InputError("a space without a shape has no start; give NoiseSpace(shape=(channels, height, width))")
        where = {"seed": seed, "step": step, "chain_ids": chain_ids, "stream": noise.Stream.CHAIN_INIT}
        return self.sigma * noise.normal((len(chain_ids), *self.shape), device=chain_ids.device, **where)  # type: ignore[arg-type]

    def start_at(self, images: Tensor, chain_ids: Tensor, *, seed: int) -> Tensor:
        return images + self.of_images(images.shape[1:]).start(chain_ids, seed=seed)

    def bound(self, sampler: Sampler) -> Sampler:
        return _in_box(sampler, None)


@dataclass(frozen=True)
class FeatureSpace(Space):
    """The numbers that a decoder turns into images (Attentive-STIC's features, PnP's code).

    Chains start from standard normal numbers, and the network reads these numbers and no image.

    >>> space = FeatureSpace((4,), decoder=lambda z: z.view(-1, 1, 2, 2).tanh())
    >>> space.decode(space.start(torch.arange(3), seed=0)).shape
    torch.Size([3, 1, 2, 2])
    """

    shape: tuple[int, ...]
    """Of one state."""
    decoder: Callable[[Tensor], Tensor]
    """States (N, *shape) to images, float (N, channels, height, width) in [−1, 1]."""
    encoder: Callable[[Tensor], Tensor] | None = None
    """Images to states, for chains that start from an image and Gram terms that compare with some."""
    box: tuple[float, float] | None = None
    """What states are kept in, in place of the sampler's box for pixels."""

    def start(self, chain_ids: Tensor, *, seed: int, step: int = 0) -> Tensor:
        stream = noise.Stream.CHAIN_INIT
        x = noise.normal(
            (len(chain_ids), *self.shape),
            seed=seed,
            step=step,
            chain_ids=chain_ids,
            stream=stream,
            device=chain_ids.device,
        )
        return x if self.box is None else x.clamp_(*self.box)

    def encode(self, images: Tensor) -> Tensor:
        if self.encoder is None:
            raise InputError("this space has no encoder, so no chain can start from an image; give FeatureSpace one")
        with torch.no_grad():
            return self.encoder(images)

    def decode(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.decoder(x)

    def bound(self, sampler: Sampler) -> Sampler:
        return _in_box(sampler, self.box)


def _in_box(sampler: Sampler, box: tuple[float, float] | None) -> Sampler:
    """The sampler with another box, if it has one: GRMALA's clamp, MALA's support."""
    named = {name: box for name in ("clamp", "support") if hasattr(sampler, name)}
    return replace(sampler, **named)  # type: ignore[type-var]
