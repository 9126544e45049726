# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What is packed: the pretrained runs are in the wheel and in the source distribution, every file of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRETRAINED = ("SHA256SUMS", "about.json", "config.json", "evaluation.json", "model.safetensors")
BUILD = """
from scikit_build_core.build import build_sdist, build_wheel
build_sdist("dist")
build_wheel("dist", {"wheel.cmake": "false"})
"""


def test_pretrained_runs_are_packed(tmp_path: Path) -> None:
    """By the settings and the ignored files of this checkout; nothing is compiled."""
    for name in ("pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    files = [f"stic_fast/pretrained/digits/{name}" for name in PRETRAINED]
    for name in ("stic_fast/__init__.py", *files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    subprocess.run([sys.executable, "-c", BUILD], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    (wheel,), (source,) = (tmp_path / "dist").glob("*.whl"), (tmp_path / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as packed:
        assert set(files) <= set(packed.namelist())
    with tarfile.open(source) as packed:
        assert set(files) <= {name.partition("/")[2] for name in packed.getnames()}
