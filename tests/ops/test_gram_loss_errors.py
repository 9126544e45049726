# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What gram_loss says of arguments that do not fit."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from stic_fast.ops import gram_loss

F = torch.zeros(2, 3, 4, 4)
"""Features of one layer; `[F, F]` are two layers."""


@pytest.mark.parametrize(
    ("features", "targets", "error", "named"),
    [
        ([], {"reference": []}, ValueError, "features"),
        ("F", {"reference": F}, TypeError, "features"),
        ([F, None], {"reference": [F, F]}, TypeError, "features[1]"),
        (torch.zeros(2, 3), {"reference": F}, ValueError, "features"),
        (F[..., :0], {"reference": F}, ValueError, "features"),
        (F.long(), {"reference": F}, TypeError, "features"),
        ([F, F.double()], {"reference": [F, F]}, TypeError, "features[1]"),
        ([F, F.to("meta")], {"reference": [F, F]}, TypeError, "features[1]"),
        ([F, F[:1]], {"reference": [F, F]}, ValueError, "features[1]"),
        (F, {}, ValueError, "layer 0"),
        (F, {"reference": F, "gram": F}, ValueError, "layer 0"),
        ([F, F], {"reference": [F, None]}, ValueError, "layer 1"),
        ([F, F], {"reference": [F]}, ValueError, "reference"),
        ([F, F], {"reference": F}, ValueError, "reference"),
        ([F], {"reference": F}, ValueError, "reference"),
        (F, {"gram": [F, F]}, ValueError, "gram"),
        (F, {"reference": 1.0}, TypeError, "reference[0]"),
        (F, {"reference": torch.zeros(2, 5, 4)}, ValueError, "reference[0]"),
        (F, {"reference": torch.zeros(3, 3, 4)}, ValueError, "reference[0]"),
        (F, {"reference": F[..., :0]}, ValueError, "reference[0]"),
        (F, {"gram": torch.zeros(2, 3, 4)}, ValueError, "gram[0]"),
        (F, {"gram": torch.zeros(2, 3, 3, 1)}, ValueError, "gram[0]"),
        (F, {"gram": torch.zeros(3, 3)}, ValueError, "gram[0]"),
        (F, {"reference": F.double()}, TypeError, "reference[0]"),
        (F, {"reference": F.to("meta")}, TypeError, "reference[0]"),
        (F, {"gram": torch.zeros(1, 3, 3, requires_grad=True)}, ValueError, "gram[0]"),
        (F, {"reference": torch.zeros(2, 3, 1, requires_grad=True)}, ValueError, "reference[0]"),
        (F, {"reference": F, "normalize": "l2"}, ValueError, "normalize"),
    ],
)
def test_errors_name_the_argument(features: Any, targets: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(named)} "):
        gram_loss(features, **targets)
