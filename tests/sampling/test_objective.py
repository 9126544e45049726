# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The log posterior of hard and soft labels, against the formula written out."""

from __future__ import annotations

import torch

from stic_fast.sampling import LogPosterior

LOGITS = torch.randn((5, 4), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 3, 1, 2, 2])


def test_hard_labels() -> None:
    expected = [
        (row[label] - torch.log(sum(torch.exp(value) for value in row)))
        for row, label in zip(LOGITS, LABELS.tolist(), strict=True)
    ]
    torch.testing.assert_close(LogPosterior()(LOGITS, LABELS), torch.stack(expected))


def test_soft_labels() -> None:
    weights = torch.tensor([[0.25, 0.75, 0.0, 0.0], [0.0, 0.5, 0.0, 0.5]], dtype=torch.float64)
    log_p = LOGITS[:2] - LOGITS[:2].exp().sum(1, keepdim=True).log()
    expected = torch.stack(
        [0.25 * log_p[0, 0] + 0.75 * log_p[0, 1], 0.5 * log_p[1, 1] + 0.5 * log_p[1, 3]],
    )
    torch.testing.assert_close(LogPosterior()(LOGITS[:2], weights), expected)


def test_one_hot_soft_labels_are_hard_ones() -> None:
    one_hot = torch.nn.functional.one_hot(LABELS, 4).double()
    torch.testing.assert_close(LogPosterior()(LOGITS, one_hot), LogPosterior()(LOGITS, LABELS))


def test_three_soft_columns_with_a_fake_logit_normalise_over_all_four() -> None:
    soft = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64)
    padded = torch.tensor([[0.5, 0.5, 0.0, 0.0]], dtype=torch.float64)
    score = LogPosterior()(LOGITS[:1], soft)
    torch.testing.assert_close(score, LogPosterior()(LOGITS[:1], padded))
    raised = LOGITS[:1].clone()
    raised[0, 3] += 1
    assert LogPosterior()(raised, soft) < score, "a likelier fake class must lower the score"


def test_low_precision_logits_are_scored_in_float32() -> None:
    exact = LogPosterior()(LOGITS.bfloat16().double(), LABELS)
    for dtype in (torch.bfloat16, torch.float16):
        score = LogPosterior()(LOGITS.bfloat16().to(dtype), LABELS)
        assert score.dtype == torch.float32
        torch.testing.assert_close(score.double(), exact, rtol=1e-6, atol=1e-6)
    assert LogPosterior()(LOGITS, LABELS).dtype == torch.float64
