# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Reading many images gives the same numbers however they are cut, and says what it cannot read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.evaluation.checks import feature_pair, finite_rows
from stic_fast.evaluation.features import FeatureStatistics, metric_name, read_images
from stic_fast.evaluation.judge import Judge, predict_logits

pytestmark = pytest.mark.usefixtures("one_thread")


def random_features(count: int, length: int, *, offset: float = 0.0, seed: int = 0) -> Tensor:
    return torch.randn(count, length, generator=torch.Generator().manual_seed(seed)) + offset


def random_images(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def judge() -> Judge:
    return Judge((1, 8, 8), 10, generator=torch.Generator().manual_seed(0)).eval()


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("sizes", [[500], [1] * 500, [499, 1], [1, 499], [7] * 71 + [3], [100, 250, 150]])
def test_statistics_are_those_of_the_whole_however_it_is_cut(sizes: list[int], offset: float) -> None:
    features = random_features(500, 6, offset=offset)
    total: FeatureStatistics | None = None
    for part in torch.split(features, sizes):
        read = FeatureStatistics.of(part)
        total = read if total is None else total.merged(read)
    assert total is not None and total.count == 500
    exact = features.double()
    torch.testing.assert_close(total.mean, exact.mean(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(total.covariance, torch.cov(exact.T), rtol=1e-10, atol=1e-10)
    assert total.mean.dtype == total.scatter.dtype == torch.float64


def test_one_image_has_no_covariance_and_lengths_must_agree() -> None:
    one = FeatureStatistics.of(torch.ones(1, 3))
    with pytest.raises(InputError, match="at least 2 images, got 1"):
        _ = one.covariance
    with pytest.raises(InputError, match=r"features .* 3 and 4"):
        one.merged(FeatureStatistics.of(torch.ones(1, 4)))


def test_any_batch_size_reads_the_same(judge: Judge) -> None:
    images = random_images(53)
    whole = read_images(judge, images, batch_size=53, keep_features=True)
    assert whole.features is not None
    torch.testing.assert_close(whole.logits, predict_logits(judge, images, batch_size=53), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(whole.features, judge.features(images).detach())
    torch.testing.assert_close(
        whole.statistics.covariance, torch.cov(whole.features.double().T), rtol=1e-10, atol=1e-12
    )
    for batch_size in (1, 10, 52, 1000):
        read = read_images(judge, images, batch_size=batch_size, keep_features=True)
        assert read.features is not None
        torch.testing.assert_close(read.logits, whole.logits, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(read.features, whole.features, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(read.statistics.covariance, whole.statistics.covariance, rtol=1e-4, atol=1e-7)


def test_parts_from_a_generator_read_like_the_whole(judge: Judge) -> None:
    images, counts = random_images(20), []

    def parts() -> Iterator[Tensor]:
        yield from (images[:7], images[7:7], images[7:8], images[8:])

    read = read_images(judge, parts(), batch_size=5, progress=counts.append)
    assert counts == [5, 7, 8, 13, 18, 20]
    assert read.features is None
    whole = read_images(judge, images)
    torch.testing.assert_close(read.logits, whole.logits, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(read.statistics.mean, whole.statistics.mean, rtol=1e-5, atol=1e-6)


class MeanAndSum(nn.Module):
    """A judge with the least that the protocol asks: two separate calls."""

    name, num_classes = "toy", 2

    def features(self, images: Tensor) -> Tensor:
        assert not self.training
        return images.float().mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        total = images.float().sum((1, 2, 3)).unsqueeze(1)
        return torch.cat([total, -total], 1)


def test_a_judge_with_two_calls_is_read_in_evaluation_mode_and_gets_its_mode_back() -> None:
    judge, images = MeanAndSum(), random_images(4)
    read = read_images(judge, images, batch_size=3, keep_features=True)
    assert judge.training
    assert read.features is not None
    assert torch.equal(read.features.flatten(), images.float().mean((1, 2, 3)))
    assert torch.equal(read.logits[:, 0], images.float().sum((1, 2, 3)))


def test_a_judge_that_gives_both_is_asked_once_per_batch() -> None:
    class Both(MeanAndSum):
        calls = 0

        def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
            self.calls += 1
            return images.float().flatten(1), images.float().flatten(1)[:, :2]

    judge = Both()
    assert read_images(judge, random_images(9), batch_size=4).logits.shape == (9, 2)
    assert judge.calls == 3


class Broken(MeanAndSum):
    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.answer = features

    def features(self, images: Tensor) -> Tensor:
        return self.answer


def test_bad_images_and_bad_judges_are_named(judge: Judge) -> None:
    images = random_images(2)
    with pytest.raises(InputError, match="no images"):
        read_images(judge, images[:0])
    with pytest.raises(InputError, match="no images"):
        read_images(judge, [])
    with pytest.raises(InputError, match="images"):
        read_images(judge, images.float())
    with pytest.raises(InputError, match=r"images .* str"):
        read_images(judge, ["images"])  # type: ignore[list-item]
    with pytest.raises(InputError, match="batch_size"):
        read_images(judge, images, batch_size=0)
    with pytest.raises(InputError, match="'toy' gave features with NaN"):
        read_images(Broken(torch.full((2, 3), float("nan"))), images)
    with pytest.raises(InputError, match=r"'toy' gave features of shape \(1, 3\) for 2 images"):
        read_images(Broken(torch.ones(1, 3)), images)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([[1.0]], "real .* list"),
        (torch.ones(3), "real"),
        (torch.ones(3, 2, dtype=torch.int64), "real"),
        (torch.ones(1, 2), "real .*at least 2"),
        (torch.ones(3, 0), "real"),
        (torch.full((3, 2), float("inf")), "real .*NaN"),
    ],
)
def test_bad_features_are_named(features: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        finite_rows(features, what="real", least=2)
    with pytest.raises(InputError, match="drawn"):
        feature_pair(torch.ones(3, 2), features, least=2)


@pytest.mark.parametrize(("count", "shown"), [(10_000, "10k"), (50_000, "50k"), (1500, "1500"), (64, "64"), (0, "0")])
def test_names_carry_judge_and_count(count: int, shown: str) -> None:
    assert metric_name("FD", "resnet20", count) == f"FD-resnet20@{shown}"
