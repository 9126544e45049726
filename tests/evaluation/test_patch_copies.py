# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The search finds each patch's nearest, and its distances tell copies of a source from more of its material."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.evaluation import nearest_patches, patch_copies, share_of_copies
from stic_fast.pixels import to_unit

pytestmark = pytest.mark.usefixtures("one_thread")

Spots = Callable[..., Tensor]


def all_pairs(image: Tensor, source: Tensor, side: int, *, elsewhere: bool = False) -> Tensor:
    """The same distances from every pair of patches, one by one."""
    patches = [F.unfold(to_unit(each)[None].double(), side)[0].T for each in (image, source)]
    distances = torch.cdist(*patches, compute_mode="donot_use_mm_for_euclid_dist")
    if elsewhere:
        at = torch.cartesian_prod(*(torch.arange(size - side + 1) for size in image.shape[1:]))
        overlap = ((at[:, None] - at[None]).abs() < side).all(2)
        distances[overlap] = torch.inf
    by_channel = patches[0].unflatten(1, (len(image), -1))
    contrast = (by_channel - by_channel.mean(2, keepdim=True)).square().sum((1, 2)) + patches[0].shape[1] * (
        2 / 255
    ) ** 2
    found = distances.amin(1) / contrast.sqrt()
    return found[found.isfinite()].float()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_distances_equal_those_of_all_pairs(spots: Spots, elsewhere: bool) -> None:
    """Grey patches of 7 x 7 are 49 numbers, all of which the search compares."""
    source = spots(0, 24, 30, radius=4, channels=1)
    image = source if elsewhere else spots(1, 19, 25, radius=4, channels=1)
    found = nearest_patches(image, source, patch=7, elsewhere=elsewhere)
    torch.testing.assert_close(found, all_pairs(image, source, 7, elsewhere=elsewhere), rtol=1e-4, atol=1e-5)


def test_larger_patches_are_found_by_their_principal_components(spots: Spots) -> None:
    image, source = spots(0, 40, 40), spots(1, 40, 60)
    found, wanted = nearest_patches(image, source, patch=12), all_pairs(image, source, 12)
    assert (found >= wanted - 1e-4).all() and (found / wanted).mean() < 1.005


def test_blocks_change_nothing(spots: Spots, monkeypatch: pytest.MonkeyPatch) -> None:
    image, source = spots(0, 40, 40), spots(1, 40, 60)
    whole = nearest_patches(image, source), nearest_patches(source, source, elsewhere=True)
    monkeypatch.setattr(patch_copies, "_BLOCK", 1)
    torch.testing.assert_close(nearest_patches(image, source), whole[0])
    torch.testing.assert_close(nearest_patches(source, source, elsewhere=True), whole[1])


def test_a_copy_lies_at_no_distance_wherever_it_stands(spots: Spots) -> None:
    source = spots(0, 80, 90)
    assert nearest_patches(source[:, 5:50, 31:88], source).max() == 0
    flat = torch.full((3, 32, 32), 200, dtype=torch.uint8)
    assert nearest_patches(flat, flat, elsewhere=True).max() == 0
    assert nearest_patches(flat, 255 - flat).isfinite().all()


def test_an_image_of_many_pixels_is_looked_for_on_a_grid(spots: Spots) -> None:
    source = spots(0, 96, 160)
    assert 1000 < len(nearest_patches(source, source)) <= patch_copies.MOST_PATCHES


def test_the_source_is_all_copies_and_another_piece_of_its_material_has_the_named_share(spots: Spots) -> None:
    source = spots(0, 96, 128, 4)
    elsewhere = nearest_patches(source, source, elsewhere=True)

    def share(image: Tensor) -> float:
        return share_of_copies(nearest_patches(image, source), elsewhere)

    noise = 8 * torch.randn(source.shape, generator=torch.Generator().manual_seed(0))
    noisy = (source + noise).clamp(0, 255).to(torch.uint8)
    tiles = source.reshape(3, 3, 32, 4, 32).flip(1, 3).reshape(3, 96, 128)
    assert share(source) == 1
    assert share(noisy) > 0.95, "a little noise does not hide a copy"
    assert 0.2 < share(tiles) < 0.85, "patches across the seams are new"
    assert abs(share_of_copies(elsewhere, elsewhere) - 0.01) < 0.002
    assert share(spots(1, 96, 128, 4)) < 0.03


def test_what_repeats_itself_has_no_bar_to_tell_copies_by() -> None:
    board = (torch.arange(64)[:, None] // 4 + torch.arange(64) // 4) % 2
    source = (255 * board).to(torch.uint8)[None]
    elsewhere = nearest_patches(source, source, elsewhere=True)
    assert share_of_copies(elsewhere, elsewhere) == 1, "and its other pieces say so"


def test_misfits_are_named(spots: Spots) -> None:
    source = spots(0, 40, 40)
    for image, options, words in (
        (source[:1], {}, "both be grey or both coloured"),
        (source.float(), {}, "image must be uint8"),
        (source[:, :9], {}, "patch must be from 1 to 9, the shorter side of the image, got 16"),
        (source, {"patch": 33}, "patch must be from 1 to 32, got 33"),
    ):
        with pytest.raises(InputError, match=words):
            nearest_patches(image, source, **options)
