# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The native tests notice what is wrong: kernels with one seeded fault each must fail them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEW_TYPES = ["-DSTIC_FEW_TYPES"]
QUICK = ["-O0", "-Wno-error"]  # the compiler takes longer than the programs; a fault may leave a name unused

pytestmark = pytest.mark.native

Finished = subprocess.CompletedProcess[str]
Runs = dict[str, "Future[dict[str, Finished]]"]


@dataclass(frozen=True)
class Fault:
    """`old`, which stands once in csrc/`file`, becomes `new`; then `program`_cases must fail."""

    name: str
    program: str
    file: str
    old: str
    new: str = ""
    all_types: bool = False  # where it is not the kernel of float that is wrong
    truncated: bool = False  # right if the tensor cores rounded to nearest, as they do not
    sanitized: bool = False  # a wrong read, after which all results are right


FAULTS = [
    # Elements among threads, noise among elements.
    Fault("tail too long", "noise", "cuda/packs.cuh", "if (at + i < elements) row", "if (at + i <= elements) row"),
    Fault("one block too few", "noise", "cuda/packs.cuh", "(packs + piece - 1) / piece", "packs / piece"),
    Fault("warps overlap", "noise", "cuda/packs.cuh", "warp * (kWarp * kPacks<T>)", "warp * kWarp"),
    Fault(
        "noise of another pack",
        "noise",
        "cuda/noise.cuh",
        "normals(values, noise, at)",
        "normals(values, noise, first)",
    ),
    Fault("noise of another chain", "noise", "cuda/packs.cuh", "chain_id(source, chain)", "chain_id(source, 0)"),
    Fault("normals exchanged", "noise", "cuda/packs.cuh", "z2, z3);", "z3, z2);"),
    Fault(
        "halves of a word exchanged",
        "noise",
        "cuda/packs.cuh",
        "stored_pair<T>(values[i], values[i + 1])",
        "stored_pair<T>(values[i + 1], values[i])",
        all_types=True,
    ),
    # The elementwise ops.
    Fault("no clamp", "grmala_step", "cuda/grmala_step.cuh", "clamped(value, numbers.low, numbers.high)", "value"),
    Fault(
        "another chain's step size",
        "grmala_step",
        "core/transition.h",
        "eps[2 * args.chains + chain]",
        "eps[2 * args.chains]",
    ),
    Fault(
        "reads past the end",
        "grmala_step",
        "cuda/packs.cuh",
        "at + i < elements ? row[at + i] : T{}",
        "row[at + i]",
        sanitized=True,
    ),
    Fault("reduction without a lane", "metropolis_accept", "cuda/rows.cuh", "kWarp / 2", "kWarp / 4"),
    Fault("no barrier between warps", "metropolis_accept", "cuda/rows.cuh", "  __syncthreads();\n"),
    Fault("a warp's sums left out", "metropolis_accept", "cuda/rows.cuh", "warp = 1;", "warp = 2;"),
    Fault(
        "some lanes skip a shuffle",
        "metropolis_accept",
        "cuda/metropolis_accept.cuh",
        "if (chain >= args.chains)",
        "if (chain >= args.chains || threadIdx.x == 3)",
    ),
    Fault("no support", "metropolis_accept", "cuda/metropolis_accept.cuh", "(to < args.low) | (to > args.high)", "0"),
    Fault(
        "scales do not recur",
        "scaled_silu",
        "cuda/scaled_silu.cuh",
        "channel + 1 == channels_ ? 0 : channel + 1",
        "channel + 1 == channels_ ? channel : channel + 1",
    ),
    Fault("no barrier between columns", "scaled_silu", "cuda/scaled_silu.cuh", "    __syncthreads();\n"),
    Fault("a column left out", "scaled_silu", "cuda/scaled_silu.cuh", "half > 0; half", "half > 1; half"),
    Fault(
        "image runs into the next channel",
        "vrm_batch",
        "cuda/vrm_batch.cuh",
        "row + 1 == height ? 0 : row + 1",
        "row + 1",
    ),
    Fault(
        "partner placed like its row",
        "vrm_batch",
        "cuda/vrm_batch.cuh",
        "placed_image(args, partner)",
        "placed_image(args, row)",
    ),
    # The Gram loss: tiles, fragments, products, reductions.
    Fault(
        "no barrier after a copy",
        "gram_loss",
        "cuda/gram_tiles.cuh",
        "    round(step, step % stages);\n    __syncthreads();\n",
        "    round(step, step % stages);\n",
    ),
    Fault(
        "no barrier before the slots are filled",
        "gram_loss",
        "cuda/gram_tiles.cuh",
        "  __syncthreads();  // what the slots held has been read\n",
    ),
    Fault(
        "waits for a copy too few",
        "gram_loss",
        "cuda/gram_tiles.cuh",
        "copy_async_wait<stages - 2>",
        "copy_async_wait<stages - 1>",
    ),
    Fault(
        "never waits for the last copies",
        "gram_loss",
        "cuda/gram_tiles.cuh",
        "if (step < steps) fetch(step, step);\n    copy_async_commit();\n",
        "if (step < steps) fetch(step, step);\n",
    ),
    Fault(
        "a number too many of a row",
        "gram_loss",
        "cuda/gram_tiles.cuh",
        "left < 0 ? 0 : left < kChunk ? left : kChunk",
        "left < 0 ? 0 : left + 1 < kChunk ? left + 1 : kChunk",
    ),
    Fault(
        "chunks not exchanged when read",
        "gram_loss",
        "cuda/gram_tiles.cuh",
        "return tile + Shape::place(row, column) + i",
        "return tile + row * Shape::kColumns + column + i",
    ),
    Fault("reduction without a half", "gram_loss", "cuda/gram_tiles.cuh", "distance = 16", "distance = 8"),
    Fault(
        "registers of a exchanged",
        "gram_loss",
        "cuda/gram_products.cuh",
        "a[i / 2].set(k * 2 + i % 2, four[i])",
        "a[i / 2].set(i % 2 * 2 + k, four[i])",
    ),
    Fault(
        "registers of b exchanged",
        "gram_loss",
        "cuda/gram_products.cuh",
        "b[k / 2].set(k % 2, four[k])",
        "b[k / 2].set(1 - k % 2, four[k])",
    ),
    Fault(
        "registers of pairs exchanged",
        "gram_loss",
        "cuda/gram_products.cuh",
        "a[i / 2][k * 2 + i % 2] = pair",
        "a[i / 2][i % 2 * 2 + k] = pair",
        all_types=True,
    ),
    Fault(
        "tensor cores sum all of a product",
        "gram_loss",
        "cuda/gram_products.cuh",
        "      float sums[kRows / 16][kColumns / 16][4] = {};\n",
        """      float sums[kRows / 16][kColumns / 16][4];
      for (int i = 0; i < 2 * 4 * 4; ++i) {
        float& number = at[i / 16][half * 4 + i / 4 % 4][i % 4];
        sums[i / 16][i / 4 % 4][i % 4] = number;
        number = 0;
      }
""",
        truncated=True,
    ),
    Fault(
        "low part lost",
        "gram_loss",
        "cuda/gram_products.cuh",
        "  if constexpr (split_b) mma_tf32(sums, a.high, b.low);\n",
    ),
    Fault(
        "no mirror in the dual form",
        "gram_loss",
        "cuda/gram_dual.cuh",
        "if (role.own && role.is_mirrored(column)) *product_at(column, own_row) = sum;",
    ),
    Fault("mirror counts once", "gram_loss", "cuda/gram_dual.cuh", "role.is_mirrored(column) ? 2 * sum : sum", "sum"),
    Fault(
        "products overwrite slabs",
        "gram_loss",
        "cuda/gram_dual.cuh",
        "    __syncthreads();  // P and Q take the ring's place\n",
    ),
    Fault("another chain's reference", "gram_loss", "cuda/gram_dual.cuh", "layer.shared_target ? 0 : chain", "0"),
    Fault(
        "no mirror in the primal form",
        "gram_loss",
        "cuda/gram_primal.cuh",
        "if (!mirrored) return;",
        "if (mirrored || !mirrored) return;",
    ),
    Fault(
        "sums of another reduction",
        "gram_loss",
        "cuda/gram_primal.cuh",
        "    __syncthreads();\n    double sum = 0;\n",
        "    double sum = 0;\n",
    ),
    Fault(
        "a skew Gram matrix taken as it is", "gram_loss", "cuda/gram_primal.cuh", "(above + below);", "(above + above);"
    ),
    Fault(
        "slope of another warp's thread",
        "gram_loss",
        "cuda/gram_loss.cuh",
        "if (layer.gradient == nullptr) return;\n  __syncthreads();\n",
        "if (layer.gradient == nullptr) return;\n",
    ),
]
PROGRAMS = sorted({fault.program for fault in FAULTS})
SUMS = ("truncated", "nearest")
"""How the emulated tensor cores add (emulation/fragments.h): as hardware does, or not to be blamed for anything."""


def ways_to_add(program: str) -> tuple[str, ...]:
    """Those in which a program is run: both, if it uses the tensor cores."""
    return SUMS if program == "gram_loss" else SUMS[:1]


@pytest.fixture(scope="session")
def runs(
    request: pytest.FixtureRequest,
    compile_program: Callable[..., Finished],
    run_program: Callable[[Sequence[str | Path]], Finished],
    sanitizers: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Runs]:
    """The runs of each program as it is, and of each with a fault, as far as this session asks; two at a time."""

    def build_and_run(root: Path, name: str, options: Sequence[str]) -> dict[str, Finished]:
        program = tmp_path_factory.mktemp("program") / name
        built = compile_program(root / "tests" / "cpp" / f"{name}_cases.cpp", program, options)
        assert built.returncode == 0, built.stdout
        words = [program, "--first", "--seconds", "30", "--sums"]
        return {way: run_program([*words, way]) for way in ways_to_add(name)}

    def run_faulty(fault: Fault) -> dict[str, Finished]:
        folder = tmp_path_factory.mktemp("faulty")
        for part in ("csrc/core", "csrc/cuda", "tests/cpp"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        source = folder / "csrc" / fault.file
        text = source.read_text()
        assert text.count(fault.old) == 1, f"csrc/{fault.file} has {text.count(fault.old)} times: {fault.old}"
        source.write_text(text.replace(fault.old, fault.new))
        types = [] if fault.all_types else FEW_TYPES
        return build_and_run(folder, fault.program, [*QUICK, *types, *(sanitizers if fault.sanitized else [])])

    def run_sound(program: str) -> dict[str, Finished]:
        return build_and_run(ROOT, program, [*QUICK, *FEW_TYPES])

    asked = {item.name for item in request.session.items}
    pool = ThreadPoolExecutor(max_workers=2)
    futures = {}
    for program in PROGRAMS:
        if f"test_without_fault[{program}]" in asked:
            futures[program] = pool.submit(run_sound, program)
    for fault in FAULTS:
        if f"test_fault_is_noticed[{fault.name}]" in asked:
            futures[fault.name] = pool.submit(run_faulty, fault)
    yield futures
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_without_fault(program: str, runs: Runs) -> None:
    """Else the others would prove nothing."""
    for finished in runs[program].result().values():
        assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_is_noticed(fault: Fault, runs: Runs, sanitizers: list[str]) -> None:
    if fault.sanitized and not any("address" in option for option in sanitizers):
        pytest.skip("nobody but AddressSanitizer can see this, and this compiler has none")
    for way, finished in runs[fault.name].result().items():
        if fault.truncated and way == "nearest":
            assert finished.returncode == 0, f"this is no fault of rounding alone:\n{finished.stdout}"
            continue
        assert finished.returncode != 0, f"{fault.program}_cases passed all of this:\n{finished.stdout}"
        assert "FAILED" in finished.stdout, finished.stdout
