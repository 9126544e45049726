# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How near the patches of a texture lie to those of its source: whether somebody drew the material or copied pieces.

Every patch of the source is searched, at every pixel, for patches of the drawn image that stand on an even grid. The
search compares lower bounds of the distances: with an orthonormal basis B of the source's first principal patches,

    ‖x − y‖² ≥ ‖Bx − By‖² + (r(x) − r(y))²,    r(x)² = ‖x‖² − ‖Bx‖²,

so a patch is 64 numbers and the length of its rest, whatever its side, and a copy lies at 0. Of the few nearest by
this bound the distances are then taken exactly. Bands of the source's rows keep the memory bounded.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from stic_fast.counts import check_count
from stic_fast.errors import InputError
from stic_fast.evaluation.checks import check_images, described
from stic_fast.pixels import to_unit

COPIES = 0.01
"""The share of a source's own patches that count as copies of patches elsewhere in it."""
LARGEST_PATCH = 32  # side; the basis takes the cube of a patch's values
MOST_PATCHES = 2048  # of an image that are looked for
_COMPONENTS = 64  # of a patch, for the search
_CANDIDATES = 4  # whose distance is taken exactly
_BLOCK = 2**25  # distances at a time: 128 MiB
_GREY_LEVEL = 2 / 255  # a patch that is flat has this contrast, so that bytes' rounding is no detail


def nearest_patches(image: Tensor, source: Tensor, *, patch: int = 16, elsewhere: bool = False) -> Tensor:
    """The distance from each patch to the source's nearest, in units of the patch's own contrast.

    The distance of patches x and y is ‖x − y‖ / ‖x − x̄‖, where x̄ has the mean colour of x everywhere and the contrast
    of a flat patch is one grey level. At 0 x is a copy; the flat patch x̄ itself lies at 1.

    Args:
        image: uint8 (C, H, W); up to 2,048 of its patches, evenly spread, are looked for.
        source: uint8 (C, H', W'); its patches at every pixel are searched.
        patch: side of a patch; at most 32 pixels, and the sides of both images.
        elsewhere: image and source are the same, and patches that overlap the one looked for are not searched; one
            that overlaps them all is left out.

    Returns:
        float32 (patches,), row by row.

    Raises:
        InputError: images of another type or with different channels, or smaller than a patch.

    >>> image = torch.randint(0, 256, (1, 24, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    >>> nearest_patches(image[:, :, :20], image, patch=8).max()
    tensor(0.)
    >>> bool(nearest_patches(image, image, patch=8, elsewhere=True).min() > 0.5)
    True
    """
    for what, given in (("image", image), ("source", source)):
        check_images(given[None] if isinstance(given, Tensor) else given, what=what)
        check_count("patch", patch, most=min(given.shape[1:]), why=f"the shorter side of the {what}")
    check_count("patch", patch, most=LARGEST_PATCH)
    if len(image) != len(source):
        raise InputError(
            f"image and source must both be grey or both coloured, got {described(image)} and {described(source)}; "
            "convert one of them"
        )
    colour = to_unit(source).mean((1, 2), keepdim=True)  # taken off: what lies about 0 loses fewer digits
    image, source = to_unit(image) - colour, to_unit(source) - colour
    basis = _principal_patches(source, patch)
    rows, columns = _grid(image, patch)
    sought = _coordinates(image, basis)[:, rows, columns]
    overlapped = (rows, columns) if elsewhere else None
    bounds, places = _nearest_by_bound(sought, source, basis, overlapped=overlapped)
    x, everywhere = _patches(image, patch)[:, rows, columns], _patches(source, patch)
    nearest = torch.full((len(rows),), torch.inf)
    for bound, place in zip(bounds.T, places.T, strict=True):
        top, left = place // everywhere.shape[2], place % everywhere.shape[2]
        squares = (x - everywhere[:, top, left]).square().sum((0, 2, 3))
        torch.minimum(nearest, squares.where(bound.isfinite(), torch.inf), out=nearest)
    contrast = (x - x.mean((2, 3), keepdim=True)).square().sum((0, 2, 3)) + x[:, 0].numel() * _GREY_LEVEL**2
    return (nearest / contrast)[nearest.isfinite()].sqrt()


def share_of_copies(distances: Tensor, elsewhere: Tensor) -> float:
    """The share of patches that lie as near to the source as only few of its own do to the rest of it.

    Args:
        distances: of an image's patches, from `nearest_patches`.
        elsewhere: of the source's own; those up to the 1st percentile of these are copies, so that of another piece
            of the source about one patch in a hundred is, and of the source itself, at distance 0, every one.

    >>> share_of_copies(torch.tensor([0.0, 0.1, 0.9, 1.0]), torch.linspace(0.4, 1.2, 101))
    0.5
    """
    return float((distances <= elsewhere.quantile(COPIES, interpolation="lower")).float().mean())


def _patches(image: Tensor, side: int) -> Tensor:
    """A view of every patch: (C, H − side + 1, W − side + 1, side, side)."""
    return image.unfold(1, side, 1).unfold(2, side, 1)


def _grid(image: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Rows and columns (Q,) of an even grid of patches, as dense as `MOST_PATCHES` allows."""
    height, width = (size - side + 1 for size in image.shape[1:])
    stride = 1
    while -(-height // stride) * -(-width // stride) > MOST_PATCHES:
        stride += 1
    rows, columns = torch.meshgrid(torch.arange(0, height, stride), torch.arange(0, width, stride), indexing="ij")
    return rows.flatten(), columns.flatten()


def _principal_patches(source: Tensor, side: int) -> Tensor:
    """An orthonormal basis (K, C, side, side) of the patches' first principal components about 0."""
    rows, columns = _grid(source, side)
    sample = _patches(source, side)[:, rows, columns].movedim(1, 0).flatten(1)
    components: Tensor = torch.linalg.eigh(sample.T @ sample).eigenvectors[:, -_COMPONENTS:]
    return components.T.reshape(-1, len(source), side, side)


def _coordinates(image: Tensor, basis: Tensor) -> Tensor:
    """(Bx, r(x)) of every patch x: (K + 1, H − side + 1, W − side + 1)."""
    inside = F.conv2d(image[None], basis)[0]
    whole = F.conv2d(image.square().sum(0)[None, None], torch.ones_like(basis[:1, :1]))[0]
    rest = (whole - inside.square().sum(0)).clamp_(min=0).sqrt()
    return torch.cat([inside, rest])


def _nearest_by_bound(
    sought: Tensor, source: Tensor, basis: Tensor, *, overlapped: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """The squared bounds and the places of each patch's nearest ones: float32 and int64 (Q, candidates).

    Args:
        sought: coordinates (K + 1, Q).
        overlapped: rows and columns of the patches sought, whose overlapping ones are infinitely far.
    """
    side = basis.shape[-1]
    height, width = (size - side + 1 for size in source.shape[1:])
    squares, count = sought.square().sum(0)[:, None], sought.shape[1]
    bounds, places = squares.new_empty(count, 0), torch.empty(count, 0, dtype=torch.int64)
    for rows in torch.split(torch.arange(height), max(1, _BLOCK // (width * count))):
        first = int(rows[0])
        band = _coordinates(source[:, first : first + len(rows) + side - 1], basis).flatten(1)
        found = torch.addmm(squares + band.square().sum(0), sought.T, band, alpha=-2).clamp_(min=0)
        if overlapped is not None:
            own_rows, own_columns = overlapped
            down = (own_rows[:, None] - rows).abs() < side
            across = (own_columns[:, None] - torch.arange(width)).abs() < side
            found.view(count, len(rows), width).masked_fill_(down[:, :, None] & across[:, None], torch.inf)
        found, place = found.topk(min(_CANDIDATES, found.shape[1]), largest=False)
        bounds, places = torch.cat([bounds, found], 1), torch.cat([places, place + first * width], 1)
        bounds, order = bounds.topk(min(_CANDIDATES, bounds.shape[1]), largest=False)
        places = places.gather(1, order)
    return bounds, places
