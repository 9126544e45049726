# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The log of a run comes back whole; a damaged line is told, and costs no other."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from stic_fast.errors import InputError
from stic_fast.training import RunFolder

RECORDS = [
    {"pass": 1, "iteration": 2, "kind": "train", "loss": 1.5},
    {"pass": 1, "iteration": 4, "kind": "train", "loss": 1.25},
    {"pass": 1, "iteration": 4, "kind": "evaluation"},
    {"pass": 2, "iteration": 4, "kind": "chain"},
    {"pass": 2, "iteration": 6, "kind": "train", "loss": 1.0},
]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", "stic", {"passes": 2})


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_metrics_on_a_full_disk(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    run.append_metrics(RECORDS[:2])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(InputError, match=r"metrics\.jsonl cannot be written.*No space.*--resume"):
            run.append_metrics(RECORDS[2:])
    assert run.read_metrics() == RECORDS[:2]


def test_metrics_come_back(run: RunFolder) -> None:
    assert run.read_metrics() == []
    run.append_metrics(RECORDS[:2])
    run.append_metrics([])
    run.append_metrics(RECORDS[2:])
    assert run.read_metrics() == RECORDS
    assert len((run.path / "metrics.jsonl").read_text().splitlines()) == 5


def test_a_last_line_that_an_older_version_left_cut_is_left_out_and_mended(run: RunFolder) -> None:
    run.append_metrics(RECORDS)
    (run.path / "SHA256SUMS").unlink()
    file = run.path / "metrics.jsonl"
    whole = file.read_text()
    last = whole.rstrip("\n").rindex("\n") + 1
    for end in range(last, len(whole) - 1):
        file.write_text(whole[:end])
        assert run.read_metrics() == RECORDS[:4]
    run.truncate_metrics(2, 4)
    run.append_metrics(RECORDS[4:])
    assert file.read_text() == whole


@pytest.mark.parametrize(
    ("moment", "kept"), [((0, 0), 0), ((1, 2), 1), ((1, 4), 3), ((2, 4), 4), ((2, 5), 4), ((2, 6), 5)]
)
def test_records_after_the_moment_are_dropped(run: RunFolder, moment: tuple[int, int], kept: int) -> None:
    run.append_metrics(RECORDS)
    run.truncate_metrics(*moment)
    assert run.read_metrics() == RECORDS[:kept]


def test_a_damaged_record_is_told_and_no_other_is_lost(run: RunFolder) -> None:
    run.append_metrics(RECORDS)
    file, sums = run.path / "metrics.jsonl", run.path / "SHA256SUMS"
    whole, list_of_digests = file.read_bytes(), sums.read_text()
    for damage, words in (
        (lambda line: line[:9], "line 2 of .*metrics.jsonl is damaged"),
        (lambda line: b"\x00" * len(line), "line 2 of .*metrics.jsonl is damaged"),
        (lambda line: line.replace(b'"pass"', b'"p\xffss"'), "line 2 of .*metrics.jsonl is damaged"),
        (lambda line: line.replace(b'"pass"', b'"mass"'), "line 2 of .*metrics.jsonl is damaged .its 'pass' is no"),
        (lambda line: line.replace(b"4", b"-4"), "line 2 of .*metrics.jsonl is damaged .its 'iteration' is no number"),
        (lambda line: line.replace(b"4", b"1" + b"0" * 400), "line 2 of .*metrics.jsonl is damaged .its 'iteration'"),
        (lambda line: line.replace(b'"train"', b"7"), "line 2 of .*metrics.jsonl is damaged .it lacks its 'kind'"),
        (lambda line: b"[" * 100_000, "line 2 of .*metrics.jsonl is damaged .it is nested too deeply"),
        (lambda line: b"3", "line 2 of .*metrics.jsonl is damaged .it holds no JSON object"),
        (lambda line: line.replace(b"1.25", b"9.25"), "metrics.jsonl is damaged .its SHA-256 is not"),
    ):
        lines = whole.split(b"\n")
        lines[1] = damage(lines[1])
        for listed in (True, False):
            if not listed and "SHA" in words:
                continue
            damaged = b"\n".join(lines)
            file.write_bytes(damaged)
            sums.write_text(list_of_digests if listed else "")
            for act in (run.read_metrics, lambda: run.truncate_metrics(1, 2), lambda: run.append_metrics(RECORDS)):
                with pytest.raises(InputError, match=words):
                    act()
            assert file.read_bytes() == damaged, "nothing is rewritten"
    file.unlink()
    sums.write_text(list_of_digests)
    with pytest.raises(InputError, match=r"metrics\.jsonl is missing"):
        run.read_metrics()


def test_records_that_lack_a_number_are_told(run: RunFolder) -> None:
    run.append_metrics(RECORDS)
    assert run.logged("train", "loss") == [record for record in RECORDS if record["kind"] == "train"]
    with pytest.raises(InputError, match=r"line 3 of .*metrics\.jsonl is damaged.*'test_accuracy'"):
        run.logged("evaluation", "test_accuracy")


def test_nothing_is_rewritten_where_no_record_is_dropped(run: RunFolder) -> None:
    run.append_metrics(RECORDS)
    before = (run.path / "metrics.jsonl").stat().st_ino
    run.truncate_metrics(2, 6)
    assert (run.path / "metrics.jsonl").stat().st_ino == before
