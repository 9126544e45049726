# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Gatys' synthesis: an image whose features have the Gram matrices of another's, from coarse to fine.

Gatys, Ecker and Bethge, "Texture Synthesis Using Convolutional Neural Networks", NIPS 2015, and "A Neural Algorithm of
Artistic Style", 2015 (https://arxiv.org/abs/1508.06576). With features F of the image and F' of the source, layer by
layer,

    texture    minimise  Σ log(1 + ‖G(F) − G(F')‖²/‖G(F')‖²)
    style      minimise  (1 − α) times the same + α·mean (z − z₀)²/mean z'²

by L-BFGS, from noise or from the content z₀; z' is the source. The α term is that of Introspective Generative Modeling
(section 4.2). It begins where the source is about 32 pixels wide, for there a stone is as wide as a filter; each stage
is twice as fine as the one before and starts from its result. After each stage of a texture every colour gets its share
back (`colours.match_histograms`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from stic_fast.errors import Diverged, InputError
from stic_fast.memory import KeptMemory, check_fits
from stic_fast.ops import gram_loss, noise
from stic_fast.pixels import to_bytes
from stic_fast.textures.colours import ColourSpace, match_histograms, with_colours_of
from stic_fast.textures.features import TextureFeatures
from stic_fast.textures.tiles import Tiles, gram_of, tiled_gram_loss

COARSEST = 32
"""Pixels of the shorter side at the first stage, or up to twice as many."""
SMALLEST, LARGEST = 16, 20_000
"""Sides of sources and of canvases."""
HISTORY = 10
"""Steps that L-BFGS remembers."""
VECTORS = 2 * HISTORY + 8
"""Images that the descent keeps: its steps, the slopes that they changed, and what it works on."""
SMALLEST_VARIANCE = 1e-6
"""Of a source's colours, for one of a single colour has none."""
MARGIN = 8
"""Pixels that are drawn beyond each border and cut off: at a border that does not go on, a dark line is left."""
TRIAL = 64
"""Side of the image on which it is tried what a pixel takes."""
TRANSIENT = 4
"""Times the features beside what autograd keeps: their gradients, and copies in the layout of the CPU library."""
Watch = Callable[[Callable[[], Tensor]], None]
"""Called at every step with what tells the image so far, uint8 (C, H, W)."""


@dataclass(frozen=True, eq=False)
class GramSynthesis:
    """Draws images with the texture of a source.

    >>> from stic_fast.textures import features_of
    >>> stripes = (torch.arange(32) % 4 < 2).float().expand(1, 1, 32, 32) * 2 - 1
    >>> synthesis = GramSynthesis(stripes, features_of(None, (), 1, tile=False), steps=1)
    >>> synthesis.texture((16, 40)).shape
    torch.Size([1, 16, 40])
    """

    source: Tensor
    """Float (1, C, H, W) in [−1, 1]."""
    features: TextureFeatures
    steps: int = 75
    """Evaluations of the loss at the finest stage; each coarser one has half as many more."""
    seed: int = 0
    tile: bool = False
    """Whether the image is to continue at its other end."""

    def texture(self, size: Sequence[int], watch: Watch | None = None) -> Tensor:
        """A texture of this height and width, uint8 (C, H, W).

        Raises:
            InputError: a source or a size that is too small or too large, or features that cannot be taken.
            Diverged: the descent left the finite numbers.
        """
        self._check(size)
        margin = 0 if self.tile else MARGIN
        canvas = size[0] + 2 * margin, size[1] + 2 * margin
        colours, stages = ColourSpace.of(self.source), self.stages(size)

        def image_of(z: Tensor) -> Tensor:
            return _as_image(colours, z, canvas, self.tile)[:, margin:, margin:][:, : size[0], : size[1]].contiguous()

        shape = (1, self.source.shape[1], *_at(stages - 1, canvas))
        where = {"seed": self.seed, "stream": noise.Stream.CHAIN_INIT}
        z = noise.normal(shape, device=self.source.device, **where)  # type: ignore[arg-type]
        z = match_histograms(z, colours.of_pixels(_halved(self.source, stages - 1)))
        for stage in reversed(range(stages)):
            source, z = colours.of_pixels(_halved(self.source, stage)), _resized(z, _at(stage, canvas), self.tile)
            z = self._descended(z, source, stage, colours, watch=watch, image_of=image_of)
            z = match_histograms(z, source)
        return image_of(z)

    def stylized(self, content: Tensor, *, fidelity: float, watch: Watch | None = None) -> Tensor:
        """An image in the source's style, uint8 (C, H, W).

        The content's colours first get the source's mean and covariance.

        Args:
            content: float (1, C, H, W) in [−1, 1]; the result is as large.
            fidelity: α, from 0 to 1: how far the result keeps to the content.

        Raises:
            InputError, Diverged: as for `texture`.
        """
        size = content.shape[2:]
        self._check(size)
        colours, stages = ColourSpace.of(self.source), self.stages(size)
        content = colours.of_pixels(with_colours_of(content, self.source))
        z = _halved(content, stages - 1)

        def image_of(z: Tensor) -> Tensor:
            return _as_image(colours, z, size, self.tile)

        for stage in reversed(range(stages)):
            source, pull = colours.of_pixels(_halved(self.source, stage)), _halved(content, stage)
            z = _resized(z, pull.shape[2:], self.tile)
            z = self._descended(
                z, source, stage, colours, content=pull, fidelity=fidelity, watch=watch, image_of=image_of
            )
        return image_of(z)

    def stages(self, size: Sequence[int]) -> int:
        """How many there are for an image of this height and width."""
        return max(1, int(math.log2(min(*size, *self.source.shape[2:]) / COARSEST)) + 1)

    def total_steps(self, size: Sequence[int]) -> int:
        """The steps of all stages together, but for a few of line searches."""
        return sum(self._steps_at(stage) for stage in range(self.stages(size)))

    def _steps_at(self, stage: int) -> int:
        return self.steps + self.steps * stage // 2

    def _descended(
        self,
        z: Tensor,
        source: Tensor,
        stage: int,
        colours: ColourSpace,
        *,
        content: Tensor | None = None,
        fidelity: float = 0.0,
        watch: Watch | None,
        image_of: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """z at the end of a stage's descent."""
        shown: Callable[[Tensor], Tensor] = (lambda z: z) if self.features.whitened else colours.undo
        layers = self.features.layers(source.shape[2:], z.shape[2:])
        with torch.no_grad():
            targets = gram_of(self.features.of_source(shown(source), layers))
        variance = source.square().mean().clamp_min(SMALLEST_VARIANCE)

        def tiles(x: Tensor) -> Tiles:
            return self.features.of_canvas(shown(x), layers)

        def gram_term(z: Tensor) -> Tensor:
            if self.features.in_tiles(z.shape[2:]):
                return tiled_gram_loss(z, tiles, targets)
            (features,) = tiles(z)
            return gram_loss(features, gram=targets).sum()

        def loss_of(z: Tensor) -> Tensor:
            loss = (1 - fidelity) * gram_term(z)
            return loss if content is None else loss + fidelity * (z - content).square().mean() / variance

        def told() -> Tensor:
            return image_of(z.detach())

        z = z.clone().requires_grad_()
        steps = self._steps_at(stage)
        descent = torch.optim.LBFGS(
            [z],
            max_iter=steps,
            max_eval=steps,
            history_size=HISTORY,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

        def evaluate() -> Tensor:
            descent.zero_grad()
            loss = loss_of(z)
            if not loss.isfinite():
                raise Diverged("the Gram loss is not finite; give another source, or other layers")
            loss.backward()  # type: ignore[no-untyped-call]
            if watch is not None:
                watch(told)
            return loss

        descent.step(evaluate)  # type: ignore[no-untyped-call]
        return z.detach()

    def _check(self, size: Sequence[int]) -> None:
        for what, sides in (("the source", self.source.shape[2:]), ("the image to draw", size)):
            if not all(SMALLEST <= side <= LARGEST for side in sides):
                raise InputError(
                    f"{what} must have from {SMALLEST} to {LARGEST:,} pixels a side, got {sides[0]}x{sides[1]}; "
                    "give another size"
                )
        sizes = (size, self.source.shape[2:])
        read, pixels = max(map(self.features.at_once, sizes)), max(map(math.prod, sizes))
        what = f"a Gram synthesis of {size[0]}x{size[1]} pixels from {self.source.shape[2]}x{self.source.shape[3]}"
        kept = pixels * VECTORS * self.source[0, :, 0, 0].nbytes
        needed = kept + read * self._bytes_per_pixel()
        check_fits(what, needed, "give a smaller size", device=self.source.device)

    def _bytes_per_pixel(self) -> float:
        """About what the features of each take, as a small image tells."""
        x = self.source.new_zeros(1, self.source.shape[1], TRIAL, TRIAL).requires_grad_()
        kept = KeptMemory()
        with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
            tiles = list(self.features.of_canvas(x, self.features.layers(x.shape[2:], x.shape[2:])))
        largest = max(feature.nbytes for features in tiles for feature in features)
        return (kept.bytes + TRANSIENT * largest) / TRIAL**2


def _at(stage: int, size: Sequence[int]) -> tuple[int, int]:
    """An image's height and width at a stage, 0 being the finest."""
    return -(-size[0] // 2**stage), -(-size[1] // 2**stage)


def _halved(x: Tensor, times: int) -> Tensor:
    for _ in range(times):
        x = F.interpolate(x, size=_at(1, x.shape[2:]), mode="bilinear", antialias=True, align_corners=False)
    return x


def _resized(x: Tensor, size: Sequence[int], tile: bool) -> Tensor:
    """Bicubically; a tile as if its other end went on beyond each border."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    for axis, new in enumerate(size, 2):
        if tile:
            x = torch.cat([x, x, x], axis)
        sides = [*x.shape[2:]]
        sides[axis - 2] = 3 * new if tile else new
        x = F.interpolate(x, size=sides, mode="bicubic", align_corners=False)
        x = x.narrow(axis, new, new) if tile else x
    return x


def _as_image(colours: ColourSpace, z: Tensor, size: Sequence[int], tile: bool) -> Tensor:
    return to_bytes(_resized(colours.undo(z), size, tile))[0].cpu()
