# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What gram_loss says of arguments that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stic_fast.ops import gram_loss

F = torch.zeros(2, 3, 4, 4)
"""Features of one layer; `[F, F]` are two layers."""


@pytest.mark.parametrize(
    ("features", "targets", "error", "message"),
    [
        ([], {"reference": []}, ValueError, "features must hold at least one layer, got an empty sequence"),
        ("F", {"reference": F}, TypeError, "features must be a torch.Tensor, got str"),
        ([F, None], {"reference": [F, F]}, TypeError, r"features\[1\] must be a torch.Tensor, got NoneType"),
        (torch.zeros(2, 3), {"reference": F}, ValueError, r"features must have shape \(batch, channels, \*S\)"),
        (F[..., :0], {"reference": F}, ValueError, "features must have at least one channel and one position"),
        (F.long(), {"reference": F}, TypeError, "features must be float32, .* got torch.int64"),
        ([F, F.double()], {"reference": [F, F]}, TypeError, r"features\[1\] must have the dtype of features\[0\]"),
        ([F, F.to("meta")], {"reference": [F, F]}, TypeError, r"features\[1\] must have the device of features\[0\]"),
        ([F, F[:1]], {"reference": [F, F]}, ValueError, r"features\[1\] must have the batch size of features\[0\], 2"),
        (F, {}, ValueError, "layer 0 must have either reference features or a gram matrix, got neither"),
        (F, {"reference": F, "gram": F}, ValueError, "layer 0 must have either .* got both; pass exactly one"),
        ([F, F], {"reference": [F, None]}, ValueError, "layer 1 must have either .* got neither"),
        ([F, F], {"reference": [F]}, ValueError, "reference must hold one entry per layer of features, 2, got 1"),
        ([F, F], {"reference": F}, ValueError, "reference must hold one entry per layer .* got one tensor"),
        ([F], {"reference": F}, ValueError, "reference must hold one entry per layer .* got one tensor"),
        (F, {"gram": [F, F]}, ValueError, "gram must hold one entry per layer of features, 1, got 2"),
        (F, {"reference": 1.0}, TypeError, r"reference\[0\] must be a torch.Tensor, got float"),
        (
            F,
            {"reference": torch.zeros(2, 5, 4)},
            ValueError,
            r"reference\[0\] must have shape \(1 or 2, 3, \*S\) to match features\[0\] of shape \(2, 3, 4, 4\), "
            r"got \(2, 5, 4\); take it from the same layer of the same network",
        ),
        (F, {"reference": torch.zeros(3, 3, 4)}, ValueError, r"reference\[0\] must have shape \(1 or 2, 3, \*S\)"),
        (F, {"reference": F[..., :0]}, ValueError, r"reference\[0\] must have at least one channel and one position"),
        (F, {"gram": torch.zeros(2, 3, 4)}, ValueError, r"gram\[0\] must have shape \(1 or 2, 3, 3\)"),
        (F, {"gram": torch.zeros(2, 3, 3, 1)}, ValueError, r"gram\[0\] must have shape \(1 or 2, 3, 3\)"),
        (F, {"gram": torch.zeros(3, 3)}, ValueError, r"gram\[0\] must have shape \(1 or 2, 3, 3\) .* got \(3, 3\)"),
        (F, {"reference": F.double()}, TypeError, r"reference\[0\] must be torch.float32 on cpu like the features"),
        (F, {"reference": F.to("meta")}, TypeError, r"reference\[0\] must be .* got torch.float32 on meta"),
        (F, {"gram": torch.zeros(1, 3, 3, requires_grad=True)}, ValueError, r"gram\[0\] is a constant of the loss"),
        (
            F,
            {"reference": torch.zeros(2, 3, 1, requires_grad=True)},
            ValueError,
            r"reference\[0\] is a constant of the loss and must not require grad; pass reference\[0\].detach\(\)",
        ),
        (F, {"reference": F, "normalize": "l2"}, ValueError, "normalize must be one of log, relative, gatys, none"),
    ],
)
def test_errors_name_the_argument(features: Any, targets: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gram_loss(features, **targets)
