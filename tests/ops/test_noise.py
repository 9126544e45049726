# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The noise contract: known answers, and noise that depends on its address alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.native import kernels
from stic_fast.ops import noise

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SIZES = (1, 3, 63, 64, 65, 66, 4095, 4096, 4097, 10007)
DRAWS = (noise.normal, noise.uniform)

# kat_vectors of Random123, lines "philox4x32 10": counter, key, words.
KNOWN_ANSWERS = (
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
)


def hexadecimal(words: str) -> list[int]:
    return [int(word, 16) for word in words.split()]


def ulps_between(a: Tensor, b: Tensor) -> int:
    """The largest distance in fp32 numbers, for values of equal sign."""
    assert bool((a.signbit() == b.signbit()).all())
    return int((a.view(torch.int32) - b.view(torch.int32)).abs().max())


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_philox_gives_random123s_known_answers(counter: str, key: str, words: str) -> None:
    wanted = hexadecimal(words)
    assert list(kernels.philox4x32_10(*hexadecimal(counter), *hexadecimal(key))) == wanted
    reference = noise.philox4x32_10([torch.tensor(word) for word in hexadecimal(counter)], *hexadecimal(key))
    assert [int(word) for word in reference] == wanted


def test_words_of_the_zero_address_are_the_first_known_answer() -> None:
    assert noise.words(torch.tensor([0]), 4, 0, 0, 0)[0].tolist() == hexadecimal(KNOWN_ANSWERS[0][2])


def test_words_stand_where_the_contract_says() -> None:
    seed, step, stream = 0x0123456789ABCDEF, 2**32 - 1, 0x80000001
    ids = torch.tensor([0, 5, 2**31, 2**32 - 1, 2**32 + 7, -2])
    words = noise.words(ids, 11, seed, step, stream)
    for row, chain in enumerate(ids.tolist()):
        for element in range(11):
            block = kernels.philox4x32_10(element // 4, chain % 2**32, step, stream, seed & 0xFFFFFFFF, seed >> 32)
            assert int(words[row, element]) == block[element % 4]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", [0, 2**63 + 12345, 2**64 - 1])
def test_native_equals_the_reference(size: int, seed: int) -> None:
    ids = torch.tensor([4, 2**32 - 1])
    address = (ids, None, [size], seed, 3, noise.Stream.CHAIN_INIT, torch.float32)
    where: dict[str, Any] = {"seed": seed, "step": 3, "chain_ids": ids, "stream": noise.Stream.CHAIN_INIT}
    assert torch.equal(noise.uniform((2, size), **where), noise.reference_uniform(*address))
    assert ulps_between(noise.normal((2, size), **where), noise.reference_normal(*address)) <= 6


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_other_dtypes_are_the_float32_values_rounded(draw: Callable[..., Tensor], dtype: torch.dtype) -> None:
    value = draw((3, 4097), seed=5, dtype=dtype)
    assert value.dtype == dtype
    assert torch.equal(value, draw((3, 4097), seed=5).to(dtype))


@pytest.mark.parametrize("draw", DRAWS)
def test_an_element_is_the_same_whatever_the_sample_size(draw: Callable[..., Tensor]) -> None:
    longest = draw((2, max(SIZES)), seed=11, step=2)
    for size in SIZES:
        assert torch.equal(draw((2, size), seed=11, step=2), longest[:, :size])


@pytest.mark.parametrize("draw", DRAWS)
def test_a_chain_is_the_same_whatever_the_batch(draw: Callable[..., Tensor]) -> None:
    ids = torch.tensor([7, 0, 2**31, 9, 3])
    batch = draw((5, 4099), seed=1, step=8, chain_ids=ids)
    for row in range(5):
        assert torch.equal(draw((1, 4099), seed=1, step=8, chain_ids=ids[row : row + 1]), batch[row : row + 1])
    order = torch.tensor([3, 1, 4, 0, 2])
    assert torch.equal(draw((5, 4099), seed=1, step=8, chain_ids=ids[order]), batch[order])
    split = [draw((len(part), 4099), seed=1, step=8, chain_ids=part) for part in ids.split(2)]
    assert torch.equal(torch.cat(split), batch)


@pytest.mark.parametrize("draw", DRAWS)
def test_chain_ids_default_to_rows_and_wrap_at_32_bits(draw: Callable[..., Tensor]) -> None:
    rows = draw((4, 33), seed=1)
    assert torch.equal(rows, draw((4, 33), seed=1, chain_ids=torch.arange(4)))
    assert torch.equal(rows, draw((4, 33), seed=1, chain_ids=torch.arange(4) + 2**32))
    spread = torch.stack((torch.arange(4), torch.arange(4)), 1)[:, 0]
    assert not spread.is_contiguous()
    assert torch.equal(rows, draw((4, 33), seed=1, chain_ids=spread))


@pytest.mark.parametrize("draw", DRAWS)
def test_threads_do_not_matter(draw: Callable[..., Tensor], with_threads: Callable[..., list[Tensor]]) -> None:
    one, two, three = with_threads(lambda: draw((7, 10007), seed=2))
    assert torch.equal(one, two) and torch.equal(one, three)


@pytest.mark.parametrize("draw", DRAWS)
def test_the_element_index_runs_row_major(draw: Callable[..., Tensor]) -> None:
    assert torch.equal(draw((2, 3, 5, 7), seed=1).flatten(1), draw((2, 105), seed=1))
    assert torch.equal(draw((6,), seed=1), draw((6, 1), seed=1)[:, 0])


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0,), (2, 3, 0)])
def test_empty_shapes(draw: Callable[..., Tensor], shape: tuple[int, ...]) -> None:
    assert tuple(draw(shape, seed=0).shape) == shape


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("step", [0, 1, 2**31, 2**32 - 1])
def test_a_step_tensor_counts_like_its_number(draw: Callable[..., Tensor], step: int) -> None:
    number = draw((2, 65), seed=4, step=step)
    assert torch.equal(draw((2, 65), seed=4, step=torch.tensor(step)), number)
    assert torch.equal(draw((2, 65), seed=4, step=torch.tensor([step])), number)
    assert not torch.equal(draw((2, 65), seed=4, step=(step + 1) % 2**32), number)


def test_streams_do_not_share_words() -> None:
    draws = [noise.uniform((1, 64), seed=0, stream=stream) for stream in noise.Stream]
    seen = torch.cat(draws).flatten()
    assert len(seen.unique()) >= len(seen) - 1  # of 512 numbers in 2**24, two may meet


def test_torchs_own_generator_is_neither_used_nor_moved() -> None:
    torch.manual_seed(1)
    state, first = torch.get_rng_state(), noise.normal((2, 9), seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(noise.normal((2, 9), seed=3), first)


def test_the_device_follows_the_chain_ids() -> None:
    ids = torch.arange(3, device="meta")
    assert noise.normal((3, 2), seed=0, chain_ids=ids).device.type == "meta"
    assert noise.normal((3, 2), seed=0, device="meta").device.type == "meta"
    with pytest.raises(ValueError, match=r"^chain_ids .*meta"):
        noise.normal((3, 2), seed=0, chain_ids=ids, device="cpu")


@pytest.mark.parametrize("name", ["normal", "uniform"])
@pytest.mark.parametrize("step_tensor", [None, torch.tensor(3)])
def test_opcheck(name: str, step_tensor: Tensor | None) -> None:
    arguments = (torch.tensor([1, 5]), step_tensor, [3, 5], 7, 0, 2, torch.bfloat16)
    torch.library.opcheck(getattr(torch.ops.stic_fast, name).default, arguments)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("shape", (), ValueError),
        ("shape", (2, -1), ValueError),
        ("shape", (1, 2**34 + 1), ValueError),
        ("seed", -1, ValueError),
        ("seed", 2**64, ValueError),
        ("seed", 1.0, TypeError),
        ("seed", True, TypeError),
        ("step", -1, ValueError),
        ("step", 2**32, ValueError),
        ("step", 0.5, TypeError),
        ("step", torch.tensor(1.0), ValueError),
        ("step", torch.tensor([1, 2]), ValueError),
        ("chain_ids", [0, 1], TypeError),
        ("chain_ids", torch.tensor([0.0, 1.0]), TypeError),
        ("chain_ids", torch.arange(3), ValueError),
        ("stream", -1, ValueError),
        ("stream", 2**32, ValueError),
        ("stream", 0.5, TypeError),
        ("dtype", torch.int32, TypeError),
    ],
)
def test_errors_name_the_argument(draw: Callable[..., Tensor], name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^{name}\b"):
        draw(**{"shape": (2, 3), "seed": 0, name: value})
