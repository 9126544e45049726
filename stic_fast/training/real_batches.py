# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Batches of real images on their way into the network, and of drawn ones in the same form."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from stic_fast.data import ImageSet
from stic_fast.errors import InputError
from stic_fast.noise_addresses import BATCH_ROWS, DENOISED_ORDER, MIXUP_ORDER, REAL_ORDER
from stic_fast.ops import noise, vrm_batch
from stic_fast.sampling.patches import corners_of, cut
from stic_fast.training.batch_order import BatchOrder
from stic_fast.training.config import RunConfig

ORDERS = {0: REAL_ORDER, 1: MIXUP_ORDER, 4: DENOISED_ORDER}
"""The order of real images at each place of an iteration that takes some; two kinds of drawn ones have 2 and 3."""


class RealBatches:
    """The training set, batch after batch, augmented as configured; nothing random but by seed and iteration.

    Args:
        real: the training images, on the model's device.
        config: batch size, seed and augmentation.
        num_logits: width of the soft labels.
    """

    def __init__(self, real: ImageSet, config: RunConfig, num_logits: int) -> None:
        self.images, self.labels, self.config, self.num_logits = real.images, real.labels, config, num_logits
        self._one_hot = torch.eye(num_logits, device=real.labels.device)  # by index: no check waits for the device
        self._orders: dict[int, BatchOrder] = {}
        self._rows: dict[tuple[int, int], Tensor] = {}

    def draw(self, place: int, iteration: int, *, mixup_alpha: float | None = None) -> tuple[Tensor, Tensor]:
        """Network input (B, channels, height, width) and soft labels (B, num_logits) of an iteration.

        Args:
            place: tells the batches of one iteration apart: their images, and their noise.
            mixup_alpha: of λ ~ Beta(α, α), by which images and labels are mixed (STIC, equation 4); None for no mixing.
        """
        rows, options = self._order(place).rows(iteration), self.config.augmentation
        moves = {"flip_probability": options.flip_probability, "max_shift": options.max_shift}
        return self._batch(self.images[rows], self.labels[rows], place, iteration, mixup_alpha=mixup_alpha, **moves)

    def patches(
        self,
        place: int,
        iteration: int,
        patch: Sequence[int],
        of: Tensor | None = None,
        weights: Tensor | None = None,
        *,
        wrap: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Random patches (B, channels, *patch) on their way into the network, of training images or of drawn ones.

        Args:
            patch: height and width.
            of: images drawn, float (N, channels, height, width) in [−1, 1]; training images if None, which alone are
                flipped and shifted as configured.
            weights: how likely each image is, (N,); all alike if None.
            wrap: whether patches may reach around the edges of an image.

        Returns:
            The patches, and the row of the image that each is of, int64 (B,).
        """
        ids, options = self._ids(self.config.batch_size, place), self.config.augmentation
        where: dict[str, Any] = {"seed": self.config.seed, "step": iteration, "chain_ids": ids, "device": ids.device}
        draws = noise.uniform((len(ids), 3), stream=noise.Stream.PATCH, **where)
        images = self.images if of is None else of
        shares = torch.ones(len(images), device=ids.device) if weights is None else weights
        below = torch.searchsorted(shares.cumsum(0) / shares.sum(), draws[:, 0].contiguous())
        picked = below.clamp_(max=len(images) - 1)  # rounding may leave a draw above all
        corners = corners_of(draws[:, 1:], images.shape[2:], patch, wrap=wrap)
        patches = cut(images[picked], corners, patch)
        if of is None:
            moves = {"flip_probability": options.flip_probability, "max_shift": options.max_shift}
            return self._batch(patches.contiguous(), self.labels[picked], place, iteration, **moves)[0], picked
        return self.of_drawn(patches, self.labels.new_zeros(len(patches)), place, iteration)[0], picked

    def shares(self, place: int, iteration: int) -> Tensor:
        """Uniform numbers (B,) in [0, 1), one for each row of a batch that no patches are cut for."""
        ids = self._ids(self.config.batch_size, place)
        where: dict[str, Any] = {"seed": self.config.seed, "step": iteration, "chain_ids": ids, "device": ids.device}
        return noise.uniform((len(ids), 1), stream=noise.Stream.PATCH, **where)[:, 0]

    def clean(self, place: int, iteration: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """So many images (count, channels, height, width) in [−1, 1], flipped as configured and without noise.

        Returns:
            The images, one-hot labels (count, num_logits), and the ids of these rows, the address of their noise.
        """
        rows, ids = self._order(place, count).rows(iteration), self._ids(count, place)
        images, labels = vrm_batch(
            self.images[rows],
            self._one_hot[self.labels[rows]],
            num_classes=self.num_logits,
            noise_std=0.0,
            flip_probability=self.config.augmentation.flip_probability,
            max_shift=0,
            seed=self.config.seed,
            step=iteration,
            chain_ids=ids,
        )
        return images, labels, ids

    def of_drawn(self, images: Tensor, labels: Tensor, place: int, iteration: int) -> tuple[Tensor, Tensor]:
        """The same of drawn images, uint8 or float in [−1, 1], and int64 labels: instance noise alone.

        The noise of an image is the same in both forms.
        """
        if not images.is_floating_point():
            return self._batch(images, labels, place, iteration)
        kick = noise.normal(
            images.shape,
            seed=self.config.seed,
            step=iteration,
            chain_ids=self._ids(len(images), place),
            stream=noise.Stream.INSTANCE_NOISE,
        )
        return images + self.config.augmentation.noise_std * kick, self._one_hot[labels]

    @cached_property
    def checksum(self) -> int:
        """Of the training images and labels."""
        return zlib.crc32(self.labels.cpu().numpy().tobytes(), zlib.crc32(self.images.cpu().numpy().tobytes()))

    def check_unchanged(self, checksum: int) -> None:
        """Refuses to go on with other images than a saved run's."""
        if checksum != self.checksum:
            raise InputError(
                f"the training images of {self.config.data} changed since this run was saved; restore them, or train "
                "anew into another folder"
            )

    def _batch(
        self, images: Tensor, labels: Tensor, place: int, iteration: int, **augmentation: Any
    ) -> tuple[Tensor, Tensor]:
        return vrm_batch(
            images,
            self._one_hot[labels],
            num_classes=self.num_logits,
            noise_std=self.config.augmentation.noise_std,
            **augmentation,
            seed=self.config.seed,
            step=iteration,
            chain_ids=self._ids(len(images), place),
        )

    def _ids(self, count: int, place: int) -> Tensor:
        """Of the rows of a batch, made once."""
        if (count, place) not in self._rows:
            start = place * self.config.batch_size
            self._rows[count, place] = BATCH_ROWS.ids(count, start=start, device=self.labels.device)
        return self._rows[count, place]

    def _order(self, place: int, count: int | None = None) -> BatchOrder:
        if place not in self._orders:
            self._orders[place] = BatchOrder(
                count=len(self.labels),
                batch_size=count or self.config.batch_size,
                seed=self.config.seed,
                ids=ORDERS[place],
                device=self.labels.device,
            )
        return self._orders[place]
