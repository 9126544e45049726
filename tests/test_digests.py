# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Files with digests: whatever is changed is noticed, whatever a kill leaves is not taken for a change."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stic_fast import digests
from stic_fast.digests import SUMS, listed, listed_file, read_checked
from stic_fast.errors import InputError


def write(path: Path, content: bytes) -> None:
    with listed_file(path) as file:
        file.write(content[:2])
        file.write(content[2:])


def test_what_was_written_is_read_and_what_was_changed_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a", b"hello")
    write(tmp_path / "b", b"")
    assert read_checked(tmp_path / "a") == (b"hello", True) and read_checked(tmp_path / "b") == (b"", True)
    for changed in (b"hellp", b"hell", b"hello\n", b""):
        (tmp_path / "a").write_bytes(changed)
        assert read_checked(tmp_path / "a") == (changed, False)
    write(tmp_path / "a", b"new")
    assert read_checked(tmp_path / "a") == (b"new", True)
    assert {name: len(each) for name, each in listed(tmp_path).items()} == {"a": 1, "b": 1}
    (tmp_path / "c").write_bytes(b"of an older version")
    assert read_checked(tmp_path / "c") == (b"of an older version", True)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_the_list_is_one_that_sha256sum_reads(tmp_path: Path) -> None:
    write(tmp_path / "a", b"hello")
    write(tmp_path / "b", b"hello")
    assert subprocess.run(["sha256sum", "--strict", "-c", SUMS], cwd=tmp_path, capture_output=True).returncode == 0
    (tmp_path / "b").write_bytes(b"jello")
    done = subprocess.run(["sha256sum", "-c", SUMS], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "b: FAILED" in done.stdout
    own = subprocess.run(["sha256sum", "--binary", "a"], cwd=tmp_path, capture_output=True, check=True).stdout
    (tmp_path / SUMS).write_bytes(own)
    assert read_checked(tmp_path / "a") == (b"hello", True)


class Killed(BaseException):
    """In place of a kill: nothing is cleared away."""


@pytest.mark.parametrize("before", [None, b"old", b"unlisted"])
@pytest.mark.parametrize("moment", range(4))
def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int, before: bytes | None
) -> None:
    file = tmp_path / "a"
    if before == b"unlisted":
        file.write_bytes(before)
    elif before is not None:
        write(file, before)
    replace, left = os.replace, moment

    def killed(source: Path, target: Path) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        try:
            write(file, b"new")
        except Killed:
            pass
        else:
            assert moment >= (3 if before == b"old" else 2)
    if before is None and not file.exists():
        assert "a" not in listed(tmp_path), "nothing is missed that never was"
    else:
        content, whole = read_checked(file)
        assert whole and content in (before, b"new")
    write(file, b"newer")
    assert read_checked(file) == (b"newer", True) and len(listed(tmp_path)["a"]) == 1


@pytest.mark.parametrize(
    "damage", [b"\x00" * 70, b"zz" * 32 + b"  a\n", b"0" * 64 + b"  a", b"0" * 63 + b"  a\n", b"\xff\n", b"\n"]
)
def test_a_damaged_list_is_told(tmp_path: Path, damage: bytes) -> None:
    write(tmp_path / "a", b"hello")
    (tmp_path / SUMS).write_bytes(damage)
    for act in (lambda: read_checked(tmp_path / "a"), lambda: write(tmp_path / "b", b"x")):
        with pytest.raises(InputError, match=r"SHA256SUMS is damaged \(.*\); "):
            act()
    (tmp_path / SUMS).unlink()
    (tmp_path / SUMS).mkdir()
    with pytest.raises(InputError, match="SHA256SUMS is damaged"):
        read_checked(tmp_path / "a")


def test_a_file_that_is_replaced_while_it_is_read_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a", b"old")
    look, looks = digests.listed, []

    def late(folder: Path) -> dict[str, list[str]]:
        looks.append(folder)
        if len(looks) == 1:
            with monkeypatch.context() as patch:
                patch.setattr(digests, "listed", look)
                write(tmp_path / "a", b"new")
        return look(folder)

    monkeypatch.setattr(digests, "listed", late)
    assert read_checked(tmp_path / "a") == (b"new", True) and len(looks) == 2
