# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A run on disk: config.json, metrics.jsonl, checkpoints and pictures, every file whole or absent.

RUN/  config.json  metrics.jsonl  curves.png  samples/pass_003.png
      checkpoints/pass_003/{model.safetensors, state.pt}    pass_004_iteration_000250/ within a pass
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.whole_file import whole_file

_CHECKPOINT = re.compile(r"pass_(\d+)(?:_iteration_(\d+))?")


@dataclass(frozen=True)
class Checkpoint:
    """A saved moment: after so many iterations, of which the last belongs to pass `pass_number`."""

    path: Path
    pass_number: int
    iteration: int | None
    """None at the end of the pass."""

    @property
    def order(self) -> tuple[int, float]:
        """Later checkpoints have a larger order."""
        return self.pass_number, float("inf") if self.iteration is None else self.iteration

    @property
    def is_whole(self) -> bool:
        """Whether training can go on from it; older ones keep their weights alone."""
        return (self.path / "state.pt").exists()

    def load_weights(self) -> dict[str, Tensor]:
        """The classifier's weights.

        Raises:
            InputError: the file is missing or damaged.
        """
        file = self.path / "model.safetensors"
        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            raise self._damaged(file, error) from error

    def load_state(self) -> dict[str, Any]:
        """Optimiser, fakes and counters. Never unpickles code.

        Raises:
            InputError: the file is missing or damaged.
        """
        file = self.path / "state.pt"
        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
            return state
        except Exception as error:  # torch.load raises whatever its zip and pickle readers raise
            raise self._damaged(file, error) from error

    def _damaged(self, file: Path, error: Exception) -> InputError:
        reason = "is missing" if isinstance(error, FileNotFoundError) else "is damaged"
        return InputError(
            f"{file} {reason}; move the folder {self.path} away to go on from the checkpoint before it; "
            "nothing else is lost"
        )


class RunFolder:
    """Reads and writes one run's folder."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, path: str | os.PathLike[str], method: str, config: Mapping[str, Any]) -> RunFolder:
        """Begins a run.

        Raises:
            InputError: the folder holds a run already, or anything else, or cannot be written.
        """
        run = cls(path)
        if run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
            what = "a run already" if (run.path / "config.json").exists() else "other files"
            mend = f"continue it with --resume {run.path}, or " if what == "a run already" else ""
            raise InputError(f"{run.path} holds {what}; {mend}give a new folder")
        with writing(run.path):
            run.path.mkdir(parents=True, exist_ok=True)
        run.write_json("config.json", {"method": method, "settings": config})
        return run

    def read_config(self) -> tuple[str, dict[str, Any]]:
        """The method's name and its settings in plain form.

        Raises:
            InputError: no run here, or its config.json is damaged.
        """
        file = self.path / "config.json"
        if not self.path.is_dir():
            raise InputError(f"{self.path} does not exist; give the folder of a run, as `stic-fast train` printed it")
        try:
            plain = json.loads(file.read_text())
            return str(plain["method"]), dict(plain["settings"])
        except FileNotFoundError as error:
            raise InputError(f"{self.path} is not a run: config.json is missing; give the folder of a run") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file} is damaged ({error}); restore it as the run wrote it") from error

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Writes one JSON file, whole or not at all."""
        return self._replace(self.path / name, json.dumps(content, indent=2) + "\n")

    def append_metrics(self, records: list[dict[str, Any]]) -> None:
        """Adds records to metrics.jsonl, one line each."""
        target = self.path / "metrics.jsonl"
        with writing(target, self._resuming()), target.open("a") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)

    def read_metrics(self) -> list[dict[str, Any]]:
        """All whole records; a last line that a kill cut short is left out."""
        file = self.path / "metrics.jsonl"
        records = []
        for line in file.read_text().splitlines() if file.exists() else []:
            try:
                records.append(json.loads(line))
            except ValueError:
                break
        return records

    def truncate_metrics(self, pass_number: int, iteration: int) -> None:
        """Drops the records that a run resumed from this moment will write again."""
        kept = [
            record
            for record in self.read_metrics()
            if record["pass"] <= pass_number and record["iteration"] <= iteration
        ]
        self._replace(self.path / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in kept))

    def save_checkpoint(
        self, pass_number: int, iteration: int | None, weights: Mapping[str, Tensor], state: Mapping[str, Any]
    ) -> Checkpoint:
        """Writes a checkpoint folder, whole or not at all, then drops what it makes superfluous.

        The newest two checkpoints stay whole. Of the older ones, those at the end of a pass keep their weights and
        drop the bulky state; those within a pass go.

        Raises:
            InputError: the disk is full or may not be written; the checkpoints before this one are whole.
        """
        name = f"pass_{pass_number:03d}" + ("" if iteration is None else f"_iteration_{iteration:06d}")
        folder = self.path / "checkpoints"
        target, partial = folder / name, folder / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            with writing(target, self._resuming()):
                partial.mkdir(parents=True)
                save_file({key: tensor.contiguous() for key, tensor in weights.items()}, partial / "model.safetensors")
                torch.save(dict(state), partial / "state.pt")
                shutil.copymode(partial / "state.pt", partial / "model.safetensors")  # safetensors makes it private
                for file in partial.iterdir():
                    _flush(file)
                shutil.rmtree(target, ignore_errors=True)
                partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        saved = Checkpoint(target, pass_number, iteration)
        self._prune(saved)
        return saved

    def checkpoints(self) -> list[Checkpoint]:
        """All checkpoints, oldest first."""
        folder = self.path / "checkpoints"
        found = []
        for path in folder.iterdir() if folder.is_dir() else []:
            match = _CHECKPOINT.fullmatch(path.name)
            if match:
                found.append(Checkpoint(path, int(match[1]), int(match[2]) if match[2] else None))
        return sorted(found, key=lambda checkpoint: checkpoint.order)

    def newest_checkpoint(self) -> Checkpoint:
        """The checkpoint to go on from.

        Raises:
            InputError: there is none yet.
        """
        found = self.checkpoints()
        if not found:
            raise InputError(f"{self.path} has no checkpoint yet; train it first")
        return found[-1]

    def end_of_pass(self, pass_number: int) -> Checkpoint:
        """The checkpoint at the end of a pass; pass 0 is before training.

        Raises:
            InputError: the pass has not ended yet.
        """
        ends = [checkpoint for checkpoint in self.checkpoints() if checkpoint.iteration is None]
        for checkpoint in ends:
            if checkpoint.pass_number == pass_number:
                return checkpoint
        known = ", ".join(str(checkpoint.pass_number) for checkpoint in ends) or "none"
        raise InputError(f"{self.path} has no checkpoint of pass {pass_number}; passes at hand: {known}")

    def drop(self, checkpoint: Checkpoint) -> None:
        """Removes a checkpoint."""
        with writing(checkpoint.path):
            shutil.rmtree(checkpoint.path)

    def picture(self, *parts: str) -> Path:
        """The path of a picture of this run, its folder made."""
        path = self.path.joinpath(*parts)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _prune(self, newest: Checkpoint) -> None:
        older = [checkpoint for checkpoint in self.checkpoints() if checkpoint.order < newest.order]
        for checkpoint in older[:-1]:
            if checkpoint.iteration is not None:
                shutil.rmtree(checkpoint.path, ignore_errors=True)
            else:
                (checkpoint.path / "state.pt").unlink(missing_ok=True)

    def _replace(self, target: Path, text: str) -> Path:
        with writing(target), whole_file(target) as file:
            file.write(text.encode())
        return target

    def _resuming(self) -> str:
        return f", then continue with --resume {self.path}: the last checkpoint is whole"


@contextmanager
def writing(target: Path, then: str = "") -> Iterator[None]:
    """Around the writing of a file: what the disk or the system refuses becomes a sentence, ending in `then`.

    Raises:
        InputError: what is within raised OSError, or torch's and safetensors' own errors for a failed write.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{target} cannot be written ({reason}); free the disk or mend permissions{then}") from error


def _flush(file: Path) -> None:
    with file.open("rb") as handle:
        os.fsync(handle.fileno())
