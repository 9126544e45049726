# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The judge learns, is fixed by its seed alone, and says what it cannot read."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional

from stic_fast.errors import InputError
from stic_fast.evaluation import Judge, train_judge
from stic_fast.evaluation.judge import _shifted, predict_logits, top_k_accuracy
from stic_fast.models.fixed_passes import uses_bf16

PRECISIONS = ("fp32", "bf16", "auto")


def digits() -> tuple[Tensor, Tensor]:
    values, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(values * (255 / 16)).round().to(torch.uint8).reshape(-1, 1, 8, 8)
    return images, torch.from_numpy(labels).to(torch.int64)


def striped(count: int, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Noise, darker for class 0 and brighter for class 1."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(count) % 2
    noise = torch.randint(0, 128, (count, *shape), generator=generator)
    return (noise + 127 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels


def test_learns_digits_written_by_other_people() -> None:
    images, labels = digits()  # scikit-learn's last 397 come from writers who wrote none of the first 1,400
    reports: list[tuple[int, int]] = []
    judge = train_judge(
        images[:1400], labels[:1400], 10, iterations=100, seed=0, progress=lambda *now: reports.append(now)
    )
    assert judge.accuracy(images[1400:], labels[1400:]) >= 0.96  # 0.98 after the default 600 iterations
    assert reports == [(done, 100) for done in range(1, 101)]
    assert not judge.training
    assert not any(parameter.requires_grad for parameter in judge.parameters())


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 7), (1, 28, 28), (3, 32, 32), (4, 9, 8)])
def test_learns_at_any_size_and_channel_count(shape: tuple[int, int, int]) -> None:
    images, labels = striped(24, shape)
    judge = train_judge(images, labels, 2, iterations=12, batch_size=16, seed=1)
    fresh, fresh_labels = striped(30, shape)
    assert judge.accuracy(fresh, fresh_labels, batch_size=7) == 1.0


def test_one_seed_gives_bitwise_one_judge_and_another_seed_another() -> None:
    images, labels = striped(20, (1, 8, 8))
    torch.manual_seed(11)
    first = train_judge(images, labels, 2, iterations=5, batch_size=8, seed=4)
    torch.manual_seed(12)
    again = train_judge(images, labels, 2, iterations=5, batch_size=8, seed=4)
    other = train_judge(images, labels, 2, iterations=5, batch_size=8, seed=5)
    assert first.state_dict().keys() == again.state_dict().keys()
    assert all(torch.equal(mine, again.state_dict()[name]) for name, mine in first.state_dict().items())
    assert not torch.equal(first.head.weight, other.head.weight)


def test_half_precision_trains_another_judge_that_reads_as_well_in_full_precision() -> None:
    images, labels = digits()
    settings = {"iterations": 100, "seed": 0}
    judges = {name: train_judge(images[:1400], labels[:1400], 10, precision=name, **settings) for name in PRECISIONS}
    full, half, auto = (judges[name].head.weight for name in PRECISIONS)
    assert not torch.equal(full, half) and torch.equal(auto, half if uses_bf16("auto", "cpu") else full)
    assert uses_bf16("bf16", "cpu") and not uses_bf16("fp32", "cpu")
    for judge in judges.values():
        assert judge.accuracy(images[1400:], labels[1400:]) >= 0.96
        assert {value.dtype for value in judge.state_dict().values()} == {torch.float32, torch.int64}
        assert judge(images[:3]).dtype == judge.features(images[:3]).dtype == torch.float32


def test_global_generator_and_arguments_stay_untouched() -> None:
    images, labels = striped(20, (1, 8, 8))
    images_before, labels_before, state = images.clone(), labels.clone(), torch.get_rng_state()
    train_judge(images, labels, 2, iterations=3, batch_size=8, seed=4).accuracy(images, labels)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, images_before)
    assert torch.equal(labels, labels_before)


def test_every_image_is_shifted_by_its_own_whole_pixels() -> None:
    images, _ = striped(60, (2, 8, 9))
    padded = functional.pad(images.float(), (1, 1, 1, 1), mode="replicate")
    moved = _shifted(images.float(), 1, torch.Generator().manual_seed(0))
    offsets = []
    for number in range(60):
        views = {(y, x): padded[number, :, y : y + 8, x : x + 9] for y in range(3) for x in range(3)}
        offsets += [offset for offset, view in views.items() if torch.equal(view, moved[number])]
    assert len(offsets) == 60
    assert set(offsets) == {(y, x) for y in range(3) for x in range(3)}


def test_trains_where_the_caller_has_switched_gradients_off() -> None:
    images, labels = striped(20, (1, 4, 4))
    with torch.no_grad():
        judge = train_judge(images, labels, 2, iterations=12, batch_size=16, seed=1)
    assert judge.accuracy(images, labels) == 1.0


def test_a_single_image_and_a_missing_class_can_be_trained_on() -> None:
    images, _ = striped(1, (1, 4, 4))
    judge = train_judge(images, torch.tensor([2]), 5, iterations=10, batch_size=8, seed=0)
    assert judge(images).isfinite().all()
    assert judge.accuracy(images, torch.tensor([2])) == 1.0


def test_uint8_and_scaled_floats_read_alike_and_gradients_reach_the_floats() -> None:
    images, labels = striped(6, (3, 8, 8))
    judge = train_judge(images, labels, 2, iterations=2, batch_size=4, seed=0)
    scaled = (images.to(torch.float32) / 127.5 - 1).requires_grad_()
    logits = judge(scaled)
    assert torch.equal(judge(images), logits)
    assert torch.equal(judge.head(judge.features(images)), logits)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), scaled)
    assert gradient.abs().amax(dim=(1, 2, 3)).min() > 0


def test_accuracy_counts_the_share_read_rightly() -> None:
    images, labels = striped(40, (1, 4, 4))
    judge = train_judge(images, labels, 2, iterations=12, batch_size=16, seed=1)
    some_wrong = labels.clone()
    some_wrong[:10] = 1 - some_wrong[:10]
    assert judge.accuracy(images, some_wrong) == 0.75
    judge.train()
    assert judge.accuracy(images, some_wrong, batch_size=1) == 0.75  # running statistics, not the batch's
    assert judge.training


def test_modes_are_given_back_also_after_an_error() -> None:
    class Failing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen = torch.nn.BatchNorm2d(1).eval()

        def forward(self, x: Tensor) -> Tensor:
            assert not self.training
            raise RuntimeError("no luck")

    model = Failing()
    with pytest.raises(RuntimeError, match="no luck"):
        predict_logits(model, torch.zeros(2, 1, 4, 4, dtype=torch.uint8), batch_size=2)
    assert model.training
    assert not model.frozen.training


def test_top_k_counts_hits_and_never_a_row_with_nan() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0], [0.0, 2.0, 1.0], [float("nan")] * 3, [5.0, 0.0, 0.0]])
    labels = torch.tensor([2, 2, 0, 0])
    assert top_k_accuracy(logits, labels, k=1) == 0.5
    assert top_k_accuracy(logits, labels, k=2) == 0.75
    assert top_k_accuracy(logits, labels, k=3) == 0.75


GOOD, LABELS = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (GOOD.float(), LABELS, "images"),
        (GOOD[0], LABELS, "images"),
        (GOOD.numpy(), LABELS, "images .* ndarray"),
        (GOOD[:0], LABELS[:0], "images"),
        (GOOD, LABELS.float(), "labels of images"),
        (GOOD, [0, 1, 2, 0], "labels of images .* list"),
        (GOOD, LABELS[:3], "labels of images"),
        (GOOD, LABELS.view(4, 1), "labels of images"),
        (GOOD, LABELS + 1, "labels of images"),
        (GOOD, LABELS - 1, "labels of images"),
        (GOOD[:, :, :3], LABELS, "4 pixels a side"),
    ],
)
def test_bad_training_sets_are_named(images: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_judge(images, labels, 3, iterations=1, seed=0)


def test_bad_numbers_and_shapes_are_named() -> None:
    with pytest.raises(InputError, match="iterations"):
        train_judge(GOOD, LABELS, 3, iterations=0, seed=0)
    with pytest.raises(InputError, match="batch_size"):
        train_judge(GOOD, LABELS, 3, batch_size=0, seed=0)
    with pytest.raises(InputError, match="num_classes"):
        Judge((1, 8, 8), 0, generator=torch.Generator())
    judge = train_judge(GOOD, LABELS, 3, iterations=1, batch_size=2, seed=0)
    with pytest.raises(InputError, match=r"judge 'cnn' .*\(4, 1, 4, 8\)"):
        judge.accuracy(GOOD[:, :, :4], LABELS)
    with pytest.raises(InputError, match=r"judge 'cnn' .* torch.int64"):
        judge(GOOD.long())
    with pytest.raises(InputError, match="batch_size"):
        judge.accuracy(GOOD, LABELS, batch_size=0)
