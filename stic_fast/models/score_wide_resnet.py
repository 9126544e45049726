# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The paper's own form of a classifier with a score: a Wide ResNet whose last layer has the images' shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.models.classifier import check_image_batch, without_autocast
from stic_fast.models.score_classifier import AtNoise, ScoreClassifier, levels, padded
from stic_fast.models.wide_resnet import WideResNet

ROUNDING = 1e-5
"""Share by which a noise level may differ from the one that is known."""


class ScoreWideResNet(ScoreClassifier):
    r"""A Wide ResNet that gives the score at one noise level, and a softmax on that (STIC, section 5: Score-STIC).

    "The last layer dimension is matched with input layer dimension followed by softmax classification": the linear
    layer of a `WideResNet` stands at every position of its last features, before their mean and not after it. It gives
    the numbers of the square of pixels that the position stands for, channels·S² of them with S the product of the
    strides, and a pixel shuffle lays them out as an image F(x). The score is :math:`s(x) = F(x)/σ`, σ = `sigma_read`,
    so that F is of unit size where s is what noise of σ makes it. The logits are a linear layer on the mean of these
    squares: of rank channels·S² at most.

    It knows no other noise level, and its score takes no label. The layers are those of the `WideResNet`. Any height
    and width; images that S does not divide are padded with their edge, and the score is cut back.

    Args:
        depth, width, leak, stem_channels, strides: as for `WideResNet`.
        num_classes: C, the number of real classes.
        in_channels: channels of the images.
        fake_class: whether there is a logit C for label "-1".
        sigma_read: σ, the noise level of the images that it classifies and whose score it gives.
        gram_layers: default Gram layers; None means the 2n convolutions of the third group.

    Raises:
        InputError: an argument is out of its range; the message says which and what would do.

    >>> model = ScoreWideResNet(depth=10, width=1, num_classes=3, in_channels=1)
    >>> x = torch.zeros(2, 1, 9, 8)
    >>> model(x).shape, model.score(x, 0.3).shape, model.gram_layers
    (torch.Size([2, 4]), torch.Size([2, 1, 9, 8]), ('conv9', 'conv10'))
    """

    knows_every_level = False

    def __init__(
        self,
        *,
        depth: int,
        width: int,
        num_classes: int,
        in_channels: int = 3,
        fake_class: bool = True,
        sigma_read: float = 0.3,
        leak: float = 0.2,
        stem_channels: int = 16,
        strides: Sequence[int] = (1, 2, 2),
        gram_layers: Sequence[str] | None = None,
    ) -> None:
        shrinks = math.prod(strides)
        trunk = WideResNet(
            depth=depth,
            width=width,
            num_classes=max(1, in_channels * shrinks**2),
            in_channels=in_channels,
            fake_class=False,
            leak=leak,
            stem_channels=stem_channels,
            strides=strides,
            gram_layers=gram_layers,
        )
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            has_fake_class=fake_class,
            layer_names=trunk.layer_names,
            gram_layers=trunk.gram_layers,
            sigma_read=sigma_read,
            takes_labels=False,
        )
        self._shrinks = shrinks
        self.trunk = trunk
        self.head = nn.Linear(trunk.num_logits, self.num_logits)
        self._draw_head()

    def reset_parameters(self) -> None:
        """Draws all weights anew from torch's global generator, those of the Wide ResNet with the scales of its own."""
        self.trunk.reset_parameters()
        self._draw_head()

    def _draw_head(self) -> None:
        """Logits start within about 0.3, as a `WideResNet`'s do: so does the mean of F."""
        nn.init.normal_(self.head.weight, std=1 / math.sqrt(self.head.in_features))
        nn.init.zeros_(self.head.bias)

    def at_noise(
        self,
        x: Tensor,
        sigma: Tensor | float,
        labels: Tensor | None = None,
        *,
        layers: Sequence[str] = (),
        denoised: int | None = None,
    ) -> AtNoise:
        """As for every `ScoreClassifier`, with a denoised image of D = x + σ²·s(x).

        Raises:
            InputError: a noise level other than `sigma_read`, or labels.
        """
        check_image_batch(x, self.in_channels)
        self._check_asked(sigma, labels, x)
        count, last = len(x) if denoised is None else denoised, self.layer_names[-1]
        mean, features = self.trunk.forward_keeping(padded(x, self._shrinks), frozenset({*layers, last}))
        with without_autocast(x.device.type):
            squares = self.trunk.head(features[last][:count].movedim(1, -1).to(mean.dtype)).movedim(-1, 1)
            made = F.pixel_shuffle(squares, self._shrinks)[:, :, : x.shape[2], : x.shape[3]]
            logits = self.head(mean)
        return AtNoise(logits, x[:count] + self.sigma_read * made, {name: features[name] for name in layers})

    def _check_asked(self, sigma: Tensor | float, labels: Tensor | None, x: Tensor) -> None:
        if labels is not None:
            raise InputError("the score of this network takes no label; leave labels out, or use a ScoreUNet")
        if isinstance(sigma, Tensor):
            known = bool(levels(sigma, x, x.dtype).sub(self.sigma_read).abs().le(ROUNDING * self.sigma_read).all())
        else:
            known = math.isclose(sigma, self.sigma_read, rel_tol=ROUNDING)
        if not known:
            raise InputError(
                f"this network knows the score at sigma_read={self.sigma_read:g} alone, got {sigma}; ask for it there, "
                "or use a ScoreUNet, which knows every noise level"
            )

    def config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON-able values, with which a checkpoint rebuilds the model.

        >>> model = ScoreWideResNet(depth=10, width=1, num_classes=3, in_channels=1)
        >>> ScoreWideResNet(**model.config()).config() == model.config()
        True
        """
        own = {"num_classes": self.num_classes, "fake_class": self.has_fake_class, "sigma_read": self.sigma_read}
        return {**self.trunk.config(), **own}
