# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""ImageSet and Splits: what they refuse, how they select, how they hold out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from stic_fast.data import ImageSet, Splits
from stic_fast.data.image_set import numbered_classes
from stic_fast.errors import InputError


def image_set(labels: list[int], *, classes: int | None = None, name: str = "dots", side: int = 2) -> ImageSet:
    """Image k is filled with the value k."""
    images = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None].repeat(1, 1, side, side)
    names = tuple("abcdefghijklmnop"[: classes if classes is not None else max(labels) + 1])
    return ImageSet(images, torch.tensor(labels, dtype=torch.int64), names, name)


def values(chosen: ImageSet) -> list[int]:
    return chosen.images[:, 0, 0, 0].tolist()


def test_properties_and_repr() -> None:
    colour = ImageSet(torch.zeros(4, 3, 5, 6, dtype=torch.uint8), torch.tensor([0, 1, 1, 0]), ("x", "y"), "colour")
    assert (len(colour), colour.num_classes, colour.image_shape) == (4, 2, (3, 5, 6))
    assert repr(colour) == "ImageSet('colour': 4 images of (3, 5, 6), 2 classes)"


def test_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        image_set([0]).name = "other"  # type: ignore[misc]


def test_may_be_empty() -> None:
    assert len(image_set([], classes=2)) == 0


GOOD = {
    "images": torch.zeros(2, 1, 4, 4, dtype=torch.uint8),
    "labels": torch.tensor([0, 1]),
    "class_names": ("a", "b"),
    "name": "dots",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(2, 1, 4, 4)}, "^dots: images .*float32"),
        ({"images": torch.zeros(2, 4, 4, dtype=torch.uint8)}, r"^dots: images .*\(2, 4, 4\)"),
        ({"images": torch.zeros(2, 1, 0, 4, dtype=torch.uint8)}, r"^dots: images .*\(2, 1, 0, 4\)"),
        ({"images": torch.zeros(2, 4, 4, 4, dtype=torch.uint8)}, "^dots: images .*channels, got 4"),
        ({"images": torch.zeros(2, 4, 4, 3, dtype=torch.uint8).permute(0, 3, 1, 2)}, "^dots: images .*contiguous"),
        ({"labels": torch.tensor([0, 1], dtype=torch.int32)}, "^dots: labels .*int32"),
        ({"labels": torch.tensor([[0, 1]])}, r"^dots: labels .*\(1, 2\)"),
        ({"labels": torch.tensor([0])}, r"2 images but 1 labels"),
        ({"labels": torch.tensor([0, 2])}, "^dots: label 2 of image 1 "),
        ({"labels": torch.tensor([-1, 0])}, "^dots: label -1 of image 0 "),
        ({"labels": torch.zeros(2, dtype=torch.int64, device="meta")}, "^dots: .*cpu.*meta"),
        ({"class_names": ()}, "^dots: class_names "),
        ({"class_names": ["a", "b"]}, "^dots: class_names "),
        ({"class_names": (0, 1)}, "^dots: class_names "),
        ({"class_names": ("a", "a")}, "^dots: .*class name 'a'"),
    ],
)
def test_refuses(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ImageSet(**{**GOOD, **change})  # type: ignore[arg-type]


def test_class_indices() -> None:
    dots = image_set([2, 0, 2, 0], classes=3)
    assert dots.class_indices(0).tolist() == [1, 3]
    assert dots.class_indices(2).tolist() == [0, 2]
    assert dots.class_indices(1).tolist() == []
    assert dots.class_indices(1).dtype == torch.int64
    for c in (-1, 3):
        with pytest.raises(InputError, match=f"^dots: .*class {c};"):
            dots.class_indices(c)


@pytest.mark.parametrize("as_tensor", [False, True])
def test_subset_keeps_order_and_repeats(as_tensor: bool) -> None:
    chosen = image_set([0, 1, 2]).subset(torch.tensor([2, 0, 2]) if as_tensor else [2, 0, 2])
    assert values(chosen) == [2, 0, 2]
    assert chosen.labels.tolist() == [2, 0, 2]
    assert chosen.class_names == ("a", "b", "c")
    assert chosen.images.is_contiguous()


def test_subset_is_a_copy_and_may_be_empty() -> None:
    whole = image_set([0, 1])
    whole.subset([0]).images.fill_(9)
    assert values(whole) == [0, 1]
    assert len(whole.subset([])) == 0


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, 3], "^dots: .*image 3;"),
        ([-1], "^dots: .*image -1;"),
        (torch.tensor([True, False, True]), "^dots: indices .*bool"),
        (torch.tensor([0.0]), "^dots: indices .*float32"),
        (torch.tensor([[0]]), r"^dots: indices .*\(1, 1\)"),
    ],
)
def test_subset_refuses(indices: torch.Tensor | list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        image_set([0, 1, 2]).subset(indices)


def test_from_numpy_makes_contiguous_writable_tensors() -> None:
    last = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    last.setflags(write=False)
    made = ImageSet.from_numpy(
        last.transpose(0, 3, 1, 2), np.array([1, 0], np.uint8), class_names=("a", "b"), name="stripes"
    )
    assert made.images.is_contiguous()
    assert made.images[1, 2, 3, 4] == last[1, 3, 4, 2]
    assert made.labels.dtype == torch.int64
    made.images.zero_()
    assert last.any()


def test_splits_refuse_parts_that_differ() -> None:
    train = image_set([0, 1], name="train set")
    with pytest.raises(InputError, match=r"\(1, 2, 2\) but big of \(1, 3, 3\)"):
        Splits(train=train, test=image_set([0, 1], name="big", side=3))
    with pytest.raises(InputError, match="a, b but more a, b, c"):
        Splits(train=train, test=image_set([0, 1, 2], name="more"))
    with pytest.raises(InputError, match=r"^none: "):
        Splits(train=train, test=image_set([], classes=2, name="none"))


def test_splits_need_every_class_in_train_only() -> None:
    everything, lacking = image_set([0, 1, 2]), image_set([0, 2], classes=3, name="lacking")
    assert len(Splits(train=everything, test=lacking).test) == 2
    with pytest.raises(InputError, match=r"^lacking: class 1 \('b'\)"):
        Splits(train=lacking, test=everything)


def test_stratified_takes_the_fraction_of_every_class() -> None:
    labels = [0] * 40 + [1] * 20 + [2] * 5 + [3]
    whole = image_set(labels, name="whole")
    splits = Splits.stratified(whole, test_fraction=0.1)
    assert torch.bincount(splits.test.labels, minlength=4).tolist() == [4, 2, 1, 0]
    assert sorted(values(splits.train) + values(splits.test)) == list(range(66))
    assert values(splits.test) == [5, 15, 25, 35, 45, 55, 62]
    assert (splits.train.name, splits.test.name) == ("whole train", "whole test")


def test_stratified_never_changes_and_leaves_the_global_generator_alone() -> None:
    whole = image_set([0, 1] * 20)
    state = torch.get_rng_state()
    first, second = (Splits.stratified(whole, test_fraction=0.3) for _ in range(2))
    assert values(first.test) == values(second.test)
    assert torch.equal(torch.get_rng_state(), state)


def test_stratified_keeps_an_image_in_train_whatever_the_fraction() -> None:
    splits = Splits.stratified(image_set([0, 0, 0]), test_fraction=0.99)
    assert (len(splits.train), len(splits.test)) == (1, 2)


def test_stratified_refuses() -> None:
    with pytest.raises(InputError, match=r"^dots: .*hold out"):
        Splits.stratified(image_set([0, 1, 2]), test_fraction=0.5)
    for fraction in (0.0, 1.0, float("nan")):
        with pytest.raises(InputError, match=r"^test_fraction "):
            Splits.stratified(image_set([0, 0]), test_fraction=fraction)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([0, 2], None, "^dots: class 1 .*reach 2;"),
        ([1, 2], None, "^dots: class 0 "),
        ([0, 1], [2], "^dots: class 2 .*reach 2;"),
        ([0, 10**12], None, "^dots: class 1 .*reach 1000000000000;"),
        ([0, -3], None, "^dots: label -3 "),
        ([0, 1], [-1], "^dots: label -1 "),
        ([0], [], "^dots: .*no labels"),
    ],
)
def test_numbered_classes_refuses(train: list[int], test: list[int] | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        numbered_classes(np.array(train), None if test is None else np.array(test, dtype=np.int64), name="dots")
