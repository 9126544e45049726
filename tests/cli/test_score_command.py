# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast score`: anybody's images in, a table and numbers out, the same as those of an evaluation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stic_fast.cli.main import main
from stic_fast.evaluation import evaluate_texture
from stic_fast.evaluation.record_form import record_of
from stic_fast.evaluation.texture_record import TextureScores

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = ["--reference=digits", "--judge-iterations=5"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def write(file: Path, value: int, size: tuple[int, int] = (8, 8), mode: str = "L") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * 3).save(file)


def test_numbers_are_those_of_an_evaluation(tiny_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    quick = ["--n=40", "--judge-iterations=5", "--metrics=images"]
    assert main(["evaluate", str(run), *quick]) == 0
    (part,) = run.glob("evaluation/drawn_*/part_0000.npy")
    np.savez(tmp_path / "drawn.npz", np.load(part).transpose(0, 2, 3, 1), np.arange(40) % 10)
    out = tmp_path / "new" / "scores.json"
    assert main(["score", str(tmp_path / "drawn.npz"), *QUICK, "--out", str(out)]) == 0
    found, wanted = json.loads(out.read_text()), json.loads((run / "evaluation.json").read_text())
    del wanted["images"]["steps"]
    assert found["images"] == wanted["images"]
    assert found["command"].startswith(f"stic-fast score {tmp_path / 'drawn.npz'} --reference digits --out")


def test_a_folder_is_scored_with_its_classes_or_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in range(12):
        write(tmp_path / "loose" / f"{place}.png", 20 * place)
        write(tmp_path / "sorted" / str(place % 3) / f"{place}.png", 20 * place)
    assert main(["score", str(tmp_path / "loose"), *QUICK]) == 0
    said = capsys.readouterr().out
    assert "FD-cnn@12" in said and "Cls_R" not in said and "12 drawn images, 12 real ones" in said
    assert main(["score", str(tmp_path / "sorted"), *QUICK, "--n=9"]) == 0
    said = capsys.readouterr().out
    assert "FD-cnn@9" in said and "Cls_R-cnn@9" in said and "Cls_G-cnn@9" in said


def test_images_of_another_size_are_resized_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in range(4):
        write(tmp_path / "large" / f"{place}.jpg", 60 * place, (32, 24), "RGB")
    assert main(["score", str(tmp_path / "large"), *QUICK]) == 0
    assert "images of 32x24 pixels in RGB were brought to 8x8 pixels in grey" in capsys.readouterr().out


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "good"
    write(good / "a.png", 9)
    for folder in ("mixed", "colours", "broken"):
        write(tmp_path / folder / "a.png", 9)
    write(tmp_path / "mixed" / "b.png", 9, (9, 8))
    write(tmp_path / "colours" / "b.png", 9, mode="RGB")
    (tmp_path / "broken" / "b.png").write_bytes(b"no image")
    write(tmp_path / "classes" / "zebra" / "a.png", 9)
    write(tmp_path / "both" / "a.png", 9)
    write(tmp_path / "both" / "3" / "a.png", 9)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no archive")
    np.savez(tmp_path / "others.npz", weights=np.zeros(3))
    np.savez(tmp_path / "floats.npz", np.zeros((2, 8, 8)))
    np.savez(tmp_path / "uneven.npz", np.zeros((2, 8, 8), np.uint8), np.zeros(3, np.int64))
    for images, options, words in (
        ("nowhere", [], "nowhere"),
        ("empty", [], "empty holds no images"),
        ("mixed", [], "b.png is 9x8"),
        ("colours", [], "b.png is coloured"),
        ("broken", [], "b.png cannot be read as an image"),
        ("classes", [], "zebra"),
        ("both", [], "a.png stands outside any class folder"),
        ("text.txt", [], "text.txt"),
        ("others.npz", [], "weights; save the images as arr_0"),
        ("floats.npz", [], "arr_0 in"),
        ("uneven.npz", [], "2 images but 3 labels"),
        ("good", ["--judge=oracle"], "'oracle'"),
        ("good", ["--reference=nothing"], "'nothing'"),
        ("good", ["--out=scores.txt"], "--out must be a file that ends in .json"),
        ("good", ["--n=0"], "--n must be from 1"),
    ):
        assert main(["score", str(tmp_path / images), *QUICK, *options]) == 2, images
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1 and "Traceback" not in said, said
    assert main(["score", str(good)]) == 2
    assert "--reference" in capsys.readouterr().err


def texture(file: Path, size: tuple[int, int], seed: int, mode: str = "RGB") -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1] // 4, size[0] // 4, 3), np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).convert(mode).save(file)
    return file


def test_textures_are_held_against_their_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = texture(tmp_path / "source.png", (80, 64), 0)
    drawn = [str(texture(tmp_path / f"drawn_{seed}.png", (64, 48), seed)) for seed in (1, 2)]
    quick, out = ["--layers=pixels, level1.size3", "--patch=8"], tmp_path / "new" / "scores.json"
    assert main(["score", *drawn, "--texture", str(source), *quick, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("drawn_1.png", "another crop", "source itself", "noise", "diversity", "Gram"))
    found, wanted = (
        json.loads(out.read_text()),
        evaluate_texture(drawn, source, layers=["pixels", "level1.size3"], patch=8),
    )
    assert record_of(found["texture"], TextureScores) == wanted
    assert found["command"].startswith(f"stic-fast score {drawn[0]} {drawn[1]} --texture {source} --out")
    assert main(["score", drawn[0], "--texture", str(source), *quick]) == 0
    assert "diversity" not in capsys.readouterr().out


def test_bad_textures_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(texture(tmp_path / "source.png", (80, 64), 0))
    grey = str(texture(tmp_path / "grey.png", (64, 64), 1, "L"))
    small = str(texture(tmp_path / "small.png", (80, 28), 1))
    Image.fromarray(np.zeros((64, 64), np.uint16)).save(tmp_path / "deep.png")
    for words, said in (
        ([grey], "grey.png is grey but"),
        ([small], "small.png is 80x28 pixels"),
        ([str(tmp_path / "deep.png")], "more than 8 bits"),
        ([str(tmp_path)], "cannot be read as an image"),
        ([source, "--judge=cnn"], "the judge cnn is trained on sets of images"),
        ([source, "--layers=top"], "unknown layer 'top'"),
        ([source, "--patch=99"], "patch must be from 4 to 32"),
        ([source, "--n=3"], "--n says nothing with --texture"),
        ([source, "--reference=digits"], "either --reference"),
    ):
        assert main(["score", *words, "--texture", source]) == 2, words
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1 and "Traceback" not in error, error
    for words, said in (
        (["--reference=digits", "--patch=8"], "--patch says nothing with --reference"),
        ([source, "--reference=digits"], "--reference takes one folder or .npz file of images, got 2"),
    ):
        assert main(["score", source, *words]) == 2
        assert said in capsys.readouterr().err


def test_help_lists_judges_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "resnet20:PATH" in said and "For example: stic-fast score drawn --reference digits" in said
